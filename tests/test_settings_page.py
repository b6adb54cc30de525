"""docs/settings.md has every key of every deployment's `user_config`, with its default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from deployments.images.hosts import HostList
from deployments.images.loader import LoaderSettings
from deployments.providers.settings import ProvidersSettings
from deployments.replica.settings import ReplicaSettings
from serve_app.config.settings import IngressSettings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
SETTINGS: dict[str, type[BaseModel]] = {
    "`Ingress`": IngressSettings,
    "`ImageLoader`": LoaderSettings,
    "`Providers`": ProvidersSettings,
    "Models": ReplicaSettings,
}


def told(heading: str) -> dict[str, str]:
    """The keys and defaults in the table below a heading."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.]+)` \| ([^|]+) \| [^|]+ \|$", part, re.MULTILINE))


def defaults(settings: BaseModel, before: str = "") -> Iterator[tuple[str, str]]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from defaults(value, f"{before}{name}.")
        elif isinstance(value, str):
            yield before + name, value
        else:
            yield before + name, json.dumps([] if isinstance(value, HostList) else value)


@pytest.mark.parametrize("heading", SETTINGS)
def test_the_page_has_every_key_with_its_default(heading: str) -> None:
    assert told(heading) == dict(defaults(SETTINGS[heading]()))
