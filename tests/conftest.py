"""What tests of every kind share."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from deployments.catalogue import catalogue
from deployments.catalogue.catalogue import HOME, Catalogue
from deployments.files.store import ModelStore, cache_folder
from tests.support.models import COLBERT, RERANKER, with_random_models
from tests.support.provider_sites import ProviderSite
from tests.support.running import RunningService

# A machine that does other things, too, is no failure.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("busy"), max_examples=25)

STARTING_RAY = {"cluster", "conformance", "chaos"}
"""The folders of tests that start a service, Ray included."""


WAITING = {
    "embedded",
    "k8s",
    "kubernetes",
    "test_hostile_files.py",
    "test_tokenizing.py",
    "test_remote.py",
    "test_models_add.py",
    "test_onboarding.py",
    "test_pull.py",
    "attack",
    "test_architectures.py",
    "test_cross_encoder.py",
    "test_layouts.py",
    "test_literals.py",
    "test_simulation.py",
    "test_pipeline_time.py",
    "test_provider_key_leaks.py",
    "test_ragged.py",
    "ledger",
}
"""Folders and files of tests that wait for a disk, a clock, servers, programs or long sums: `slow` as a whole."""


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("quick" if "not slow" in str(config.getoption("markexpr")) else "busy")


class Shares(LoadScopeScheduling):
    """How processes share the tests (pytest-xdist): by files, and what starts a service stays in one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "cluster" if STARTING_RAY & set(Path(file).parts) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    return Shares(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What no test is run of is not imported: Ray, the engine and their like take seconds."""
    chosen = str(config.getoption("markexpr"))
    left_out = {"not cluster": STARTING_RAY, "not slow": WAITING}
    names = {name for words, group in left_out.items() if words in chosen for name in group}
    return True if collection_path.name in names else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests stay until the end: the garbage collector need not walk them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parts = set(item.path.relative_to(Path(__file__).parent).parts)
        if STARTING_RAY & parts:
            item.add_marker("cluster")
        if WAITING & parts:
            item.add_marker("slow")
        if "chromium" in getattr(item, "fixturenames", ()):  # a browser starts for each test
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed tells what its services have written last."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, RunningService):
                report.sections.append((f"the processes of {name}", value.last_words()))
    return report


@pytest.fixture(scope="session")
def starter() -> Catalogue:
    """The catalogue of starter models."""
    return catalogue.load(HOME / "configs" / "models" / "starter.yaml")


@pytest.fixture(scope="session")
def model_folder(starter: Catalogue) -> Callable[[str], Path]:
    """The folder with a starter model's files, by its name; fetched where the cache lacks them."""

    def folder(name: str) -> Path:
        pulled = ModelStore(cache_folder()).pull(starter.find(name, "test"))
        assert pulled is not None
        return pulled

    return folder


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with an empty embedded store and the models of `tests.support.models`.

    It starts with the first test that asks for it.
    """
    quicker = {"RAY_metrics_report_interval_ms": "2000"}
    made = RunningService(tmp_path_factory.mktemp("service"), quicker)
    running = with_random_models(made, COLBERT, RERANKER).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    """All external providers, at a server of this process."""
    made = ProviderSite()
    await made.start()
    yield made
    await made.close()
