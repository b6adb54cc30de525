"""Which code Ray's workers run."""

from __future__ import annotations

from pathlib import Path

from serve_app.cli.worker_paths import job_config
from tests.support.wheel import ROOT


def test_no_other_code_of_our_names_stands_before_the_installed_one(tmp_path: Path) -> None:
    (tmp_path / "clone" / "deployments").mkdir(parents=True)
    (tmp_path / "clone" / "deployments" / "__init__.py").touch()
    config = job_config()
    config._py_driver_sys_path.extend([str(tmp_path / "clone"), str(tmp_path), str(ROOT)])
    assert list(config._get_proto_job_config().py_driver_sys_path) == [str(tmp_path), str(ROOT)]
