"""The Helm chart as Helm renders it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.catalogue.catalogue import HOME
from tests.support.kubernetes_programs import KUBERNETES, program
from tests.support.manifests import Document

CHART = HOME / "k8s" / "chart"
Documents = dict[tuple[str, str], Document]


def helm_template(folder: Path, values: dict[str, Any]) -> str:
    helm = program("helm")
    if helm is None:
        pytest.skip("helm is not there; `make test-manifests` builds it")
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    options = ["--namespace", "qdrant-inference", "--kube-version", KUBERNETES, "--values", file]
    command = [helm, "template", "inference", CHART, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def by_name(text: str) -> Documents:
    """Documents by kind and name; the settings' name without its hash, which each makes in its own way."""
    alike = re.sub(r"\bsettings-\w{10}\b", "settings", text)
    documents = yaml.load_all(alike, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return {(document["kind"], document["metadata"]["name"]): document for document in documents if document}
