"""`args` of a Serve config file: which external providers may be called; the examples of the page are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.auth import tenants
from serve_app.config import arguments

PAGE = Path(__file__).parents[3] / "docs" / "providers.md"


def example(name: str) -> str:
    (text,) = re.findall(rf"<!-- tested: {name} -->\n```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


@pytest.fixture
def catalogue(tmp_path: Path) -> str:
    path = tmp_path / "models.yaml"
    path.write_text(example("catalogue"))
    return str(path)


def test_without_providers_there_are_none() -> None:
    chosen = arguments.read({})
    assert not any(card.provider for card in arguments.served(chosen))
    assert arguments.provider_hosts(chosen) == frozenset()


def test_the_pages_examples_serve_what_the_page_says(catalogue: str, tmp_path: Path) -> None:
    chosen = arguments.read({**yaml.safe_load(example("arguments")), "catalogue": catalogue})
    models = arguments.served(chosen)
    assert [card.name for card in models if card.provider] == [
        "our/bge-m3", "openai/text-embedding-3-small", "openai/*", "cohere/*", "jinaai/*", "openrouter/*"
    ]  # fmt: skip
    assert arguments.provider_hosts(chosen) == {
        "api.openai.com", "api.cohere.com", "api.jina.ai", "openrouter.ai", "10.1.0.7:8080"
    }  # fmt: skip
    assert models.find_one("OpenAI/text-embedding-3-small", "").account == "openai/text-embedding-3-small"
    other = models.find_one("openai/text-embedding-3-large", "")
    assert (other.account, other.provider and other.provider.model) == ("openai/*", "text-embedding-3-large")
    nested = models.find_one("openrouter/mistralai/mistral-embed-2312", "")
    assert nested.provider
    assert nested.provider.model == "mistralai/mistral-embed-2312"
    path = tmp_path / "tenants.yaml"
    path.write_text(example("tenants"))
    (tenant,) = tenants.load(path).values()
    assert tenant.provider_keys == {"openai-api-key": "SHOP_OPENAI_KEY"}


def test_an_entry_that_leads_to_a_host_which_is_not_allowed_is_refused(catalogue: str) -> None:
    for providers in (None, {"routes": {"openai": None}}):
        with pytest.raises(ConfigError, match=r"our/bge-m3: its provider at 10\.1\.0\.7:8080 may not be called"):
            arguments.served(arguments.read({"catalogue": catalogue, "providers": providers}))


@pytest.mark.parametrize(
    ("providers", "text"),
    [
        ({"routes": {"voyage": None}}, "voyage"),
        ({"routes": {"openai": {"url": "ftp://x"}}}, "expected an address"),
        ({"routes": {"openai": {"url": "https://user:key@x/v1"}}}, "no user"),
        ({"routes": {"openai": {"url": "https://x/v1?key=1"}}}, "no query"),
        ({"routes": {"openai": {"key": "authorization"}}}, "such as openai-api-key"),
        ({"routes": {"openai": {"key": "x-api-key"}}}, "such as openai-api-key"),
        ({"routes": {"openai": {"key_env": "sk-123"}}}, "key_env"),
        ({"route": {}}, "route"),
    ],
)
def test_what_is_wrong_is_named(providers: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(text)):
        arguments.served(arguments.read({"providers": providers}))


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"provider": {"kind": "tei"}}, "needs 'url'"),
        ({"provider": {"kind": "openai"}}, "needs 'model'"),
        ({"provider": {"kind": "voyage", "model": "m"}}, "kind"),
        ({"provider": {"kind": "openai", "model": "m"}, "pooling": "mean"}, "has no 'pooling'"),
        ({"provider": {"kind": "openai", "model": "m"}, "family": "sparse"}, "dense models only"),
        ({"provider": {"kind": "openai", "model": "m"}, "dimensions": None}, "needs 'dimensions'"),
        ({}, "needs 'context_window'"),
    ],
)
def test_entries_that_do_not_fit_are_refused(entry: dict[str, Any], text: str, tmp_path: Path) -> None:
    card = {"name": "a/b", "family": "dense", "dimensions": 4, "licence": "-", "model_card_url": "-", **entry}
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"models": [card]}))
    with pytest.raises(ConfigError, match=re.escape(text)):
        arguments.served(arguments.read({"catalogue": str(path)}))


def test_the_configs_comments_are_what_they_would_be() -> None:
    """The lines that switch providers on are arguments once their marks are gone."""
    for name in ("serve-local.yaml", "serve-cpu.yaml"):
        text = (HOME / "configs" / name).read_text()
        (block,) = re.findall(r"^ +# (providers:\n(?: +#   .*\n)+)", text, re.MULTILINE)
        content = yaml.safe_load(re.sub(r"^ +# ", "", block, flags=re.MULTILINE))
        chosen = arguments.read(content)
        assert [card.account for card in arguments.served(chosen) if card.provider] == [
            "openai/*", "cohere/*", "jinaai/*", "openrouter/*"
        ]  # fmt: skip
