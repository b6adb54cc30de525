"""The script that takes everything away: in which order it asks for what, with stand-ins for kubectl and helm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deployments.catalogue.catalogue import HOME

SCRIPT = HOME / "k8s" / "uninstall.sh"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$ASKED"
case "$*" in *" get rayservices,rayclusters "*)
    left=$(cat "$LEFT"); [ "$left" -gt 0 ] && { echo raycluster.ray.io/inference; echo $((left - 1)) > "$LEFT"; } ;;
esac
exit 0
"""


def uninstall(folder: Path, *arguments: str, clusters_for: int = 2, timeout: str = "60") -> tuple[int, list[str], str]:
    """How it ends, what it asked of the programs, and what it says."""
    for name in ("kubectl", "helm"):
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    (folder / "sleep").symlink_to("/bin/true")
    (folder / "left").write_text(str(clusters_for))
    asked = folder / "asked"
    asked.touch()
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "ASKED": str(asked),
        "LEFT": str(folder / "left"),
        "TIMEOUT": timeout,
    }
    done = subprocess.run(
        [SCRIPT, *arguments], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, asked.read_text().splitlines(), done.stderr


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (("k8s/overlays/mine",), "kubectl delete --ignore-not-found -k k8s/overlays/mine"),
        (("--helm", "inference"), "helm --namespace qdrant-inference uninstall inference"),
    ],
)
def test_the_clusters_go_first_and_the_rest_when_they_are_gone(
    arguments: tuple[str, ...], last: str, tmp_path: Path
) -> None:
    status, asked, _ = uninstall(tmp_path, *arguments)
    assert status == 0
    assert asked[0] == "kubectl --namespace qdrant-inference delete rayservices --all --wait=false"
    assert asked[-1] == last
    assert len(asked) == 5, "it looked three times"


def test_nothing_else_is_deleted_while_a_cluster_is_there(tmp_path: Path) -> None:
    status, asked, told = uninstall(tmp_path, "k8s/overlays/mine", clusters_for=100, timeout="20")
    assert status == 1
    assert not [line for line in asked if "delete --ignore" in line]
    assert "nothing else was deleted" in told


@pytest.mark.parametrize("arguments", [(), ("--helm",)])
def test_it_says_what_it_wants(arguments: tuple[str, ...], tmp_path: Path) -> None:
    status, asked, told = uninstall(tmp_path, *arguments)
    assert (status, asked) == (2, [])
    assert "k8s/uninstall.sh --helm" in told
