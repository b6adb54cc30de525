"""What OBSERVABILITY.md, the dashboard and the alerts say, as values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deployments.metrics.instruments import PREFIX

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "OBSERVABILITY.md").read_text()
MONITORING = ROOT / "k8s" / "components" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"][0]["rules"]
OF_RAY = set(re.findall(r"`(ray_serve_\w+)`", PAGE))


def table() -> dict[str, list[str]]:
    """The rows of all tables of metrics, by name."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows if row[0].startswith(f"`{PREFIX}")}


def expressions() -> Iterator[Any]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(target["expr"].replace("$__rate_interval", "5m"), id=panel["title"])
    for rule in RULES:
        yield pytest.param(rule["expr"], id=rule["alert"])


def selectors(expression: Any) -> Iterator[Any]:
    """All selectors in a parsed expression."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "args", "param", "vector_selector", "vs"):
        inner = getattr(expression, name, None)
        for part in inner if isinstance(inner, list) else [inner]:
            if part is not None:
                yield from selectors(part)
