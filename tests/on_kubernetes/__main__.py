"""The manifests on a Kubernetes of one machine, made for it: `python -m tests.on_kubernetes`. Prints a Markdown table.

It needs root, Linux, and of the machine: etcd, kubectl, containerd, runc, CNI's plugins (in /usr/lib/cni), iptables,
ipset, conntrack, buildah, and debootstrap where no registry of images is reached. Kubernetes itself is built from Go's
modules. All that runs lives in namespaces and in a folder of its own, which go at the end. The exit status is 1 when a
check failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.on_kubernetes.checks import CHECKS
from tests.on_kubernetes.cluster import Cluster, prepare
from tests.on_kubernetes.images import archives, models
from tests.on_kubernetes.machine import load_image, machine
from tests.support import kubernetes_programs
from tests.support.kubernetes_programs import KUBERAY, KUBERNETES, PROGRAMS
from tests.support.real_qdrant import BINARY

NEEDED = ("etcd", "kubectl", "containerd", "runc", "iptables", "ipset", "conntrack", "buildah", "nsenter", "setpriv")


def missing() -> list[str]:
    """What this machine has not."""
    rights = [] if platform.system() == "Linux" and os.geteuid() == 0 else ["root on Linux"]
    plugins = [] if Path("/usr/lib/cni/bridge").exists() else ["/usr/lib/cni/bridge"]
    return [*rights, *(name for name in NEEDED if shutil.which(name) is None), *plugins]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long something took."""
    began = time.monotonic()
    yield
    sys.stderr.write(f"{what}: {time.monotonic() - began:.0f} s\n")


def check(cluster: Cluster, name: str) -> str:
    """The row of a check."""
    began = time.monotonic()
    try:
        seen, held = CHECKS[name](cluster), True
    except Exception as error:  # noqa: BLE001  the row tells it
        seen, held = " ".join(f"{type(error).__name__}: {error}".split())[:1500], False
    row = f"| {name} | {'held' if held else 'NOT HELD'} | {seen} |"
    sys.stderr.write(f"{row} ({time.monotonic() - began:.0f} s)\n")
    return row


def run(chosen: list[str], *, hold: bool) -> list[str]:
    """Make the cluster, do the checks, take everything away."""
    with tempfile.TemporaryDirectory(prefix="qi-") as name:
        folder = Path(name)
        with machine(folder) as plane:
            with timed("the images"):
                for archive in archives(folder):
                    load_image(plane, archive)
                starter = models()
            with timed("DNS, the operator and callers"):
                cluster = prepare(plane, starter)
            try:
                return [check(cluster, one) for one in chosen]
            finally:
                if hold:
                    sys.stderr.write(f"{' '.join(plane.kubectl_command())}\nEnter ends it.\n")
                    sys.stdin.readline()


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.on_kubernetes", description=__doc__)
    parser.add_argument("--only", action="append", metavar="WORDS", help="checks with these words in their name")
    parser.add_argument("--hold", action="store_true", help="keep the cluster until Enter")
    options = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(f"not here: {', '.join(lacking)}\n")
        return 1
    kubernetes_programs.main(list(PROGRAMS))
    began = time.monotonic()
    rows = run([one for one in CHECKS if any(words in one for words in options.only or [""])], hold=options.hold)
    store = "Qdrant's binary" if BINARY else "the embedded store in Qdrant's place"
    took = f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores, {platform.machine()}"
    sys.stdout.write("\n".join(["| check | | seen |", "|---|---|---|", *rows]) + "\n\n")
    sys.stdout.write(f"Kubernetes {KUBERNETES}, KubeRay {KUBERAY}, {store}; {took}.\n")
    return int(any("NOT HELD" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
