"""The programs of Kubernetes that tests run, built from their makers' Go modules into a folder outside the project.

    python -m tests.support.kubernetes_programs [NAME ...]

builds those that are not there yet, by default what manifests need without pods, and fetches the resource types: about
20 minutes on two quiet cores the first time, and nothing after that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.34.3"
STAGING = "v0.34.3"
"""The version that Kubernetes's own libraries have beside it."""
KUBERAY = "v1.6.1"
"""The oldest that the manifests support."""


@dataclass(frozen=True)
class Program:
    """A command of a Go module."""

    module: str
    version: str
    package: str
    flags: str = "-s -w"
    inside: bool = False
    """Built in a copy of the module's folder, with the versions of its own go.mod."""


def _of_kubernetes(name: str) -> Program:
    stamp = f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    return Program("k8s.io/kubernetes", KUBERNETES, f"k8s.io/kubernetes/cmd/{name}", stamp)


PROGRAMS = {
    "helm": Program("helm.sh/helm/v3", "v3.19.5", "helm.sh/helm/v3/cmd/helm", inside=True),
    "kube-apiserver": _of_kubernetes("kube-apiserver"),
    "kube-controller-manager": _of_kubernetes("kube-controller-manager"),
    "kube-scheduler": _of_kubernetes("kube-scheduler"),
    "kuberay-operator": Program("github.com/ray-project/kuberay/ray-operator", KUBERAY, ".", inside=True),
    "kubelet": _of_kubernetes("kubelet"),
    "kube-proxy": _of_kubernetes("kube-proxy"),
    "coredns": Program("github.com/coredns/coredns", "v1.12.4", ".", inside=True),
    "kube-router": Program("github.com/cloudnativelabs/kube-router/v2", "v2.1.0", "cmd/kube-router", inside=True),
}
WITHOUT_PODS = ("helm", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kuberay-operator")
"""What `make test-manifests` needs; the others run pods."""
DEFINITIONS = {
    "github.com/ray-project/kuberay/ray-operator": (KUBERAY, "config"),
    "sigs.k8s.io/gateway-api": ("v1.4.1", "config/crd/standard"),
    "github.com/cert-manager/cert-manager": ("v1.19.1", "deploy/crds"),
    "github.com/external-secrets/external-secrets": ("v0.16.2", "config/crds/bases"),
    "github.com/prometheus-operator/prometheus-operator": ("v0.85.0", "example/prometheus-operator-crd"),
}
"""Modules whose folder holds resource types, as files of YAML."""


def cache() -> Path:
    named = os.environ.get("KUBERNETES_PROGRAMS")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(named) if named else home / "qdrant-inference-kubernetes"


def program(name: str) -> Path | None:
    """A program that was built here, or that the machine has."""
    built = cache() / _file(name)
    if built.exists():
        return built
    found = shutil.which(name)
    return Path(found) if found else None


def definitions(module: str) -> Path:
    """The folder of a module's resource types."""
    version, _ = DEFINITIONS[module]
    return cache() / f"{module.rpartition('/')[2]}@{version}"


def missing() -> list[str]:
    """What `make test-manifests` would have to build or fetch."""
    programs = [name for name in WITHOUT_PODS if program(name) is None]
    etcd = [] if shutil.which("etcd") else ["etcd"]
    return [*etcd, *programs, *(module for module in DEFINITIONS if not definitions(module).is_dir())]


def _file(name: str) -> str:
    """With its version, so that another version is built anew."""
    return f"{name}@{PROGRAMS[name].version}" if name in PROGRAMS else name


def build(name: str) -> None:
    wanted = PROGRAMS[name]
    with tempfile.TemporaryDirectory() as folder:
        if wanted.inside:
            source = _downloaded(wanted.module, wanted.version)
            _copy(source, Path(folder))
        else:
            _module_around(wanted, Path(folder))
        package = f"./{wanted.package.removeprefix(wanted.module).strip('/')}" if wanted.inside else wanted.package
        made = Path(folder) / "made"
        options = ["-trimpath", "-mod=mod", "-ldflags", wanted.flags, "-o", str(made)]
        command = ["go", "build", *options, package]
        subprocess.run(command, cwd=folder, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
        cache().mkdir(parents=True, exist_ok=True)
        shutil.move(made, cache() / _file(name))


def _copy(source: Path, target: Path) -> None:
    """To be written to, which Go's own copy of a module is not."""
    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _downloaded(module: str, version: str) -> Path:
    command = ["go", "mod", "download", "-json", f"{module}@{version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    if "Error" in told:
        raise SystemExit(told["Error"])
    return Path(told["Dir"])


def _module_around(wanted: Program, folder: Path) -> None:
    """A module that takes Kubernetes in; its go.mod names its own libraries by folders that only its repository has."""
    source = _downloaded(wanted.module, wanted.version)
    told = json.loads(
        subprocess.run(["go", "mod", "edit", "-json"], cwd=source, capture_output=True, text=True, check=True).stdout
    )
    own = [replace["Old"]["Path"] for replace in told.get("Replace") or () if "Version" not in replace["New"]]
    lines = [
        "module programs",
        f"go {told['Go']}",
        f"require {wanted.module} {wanted.version}",
        *(f"replace {path} => {path} {STAGING}" for path in own),
    ]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")


def fetch_definitions(module: str) -> None:
    version, folder = DEFINITIONS[module]
    source = _downloaded(module, version) / folder
    cache().mkdir(parents=True, exist_ok=True)
    _copy(source, definitions(module))


def main(names: list[str]) -> None:
    if shutil.which("etcd") is None:
        sys.stdout.write("etcd is not there, and is not built here; Debian has it as etcd-server\n")
    for module in DEFINITIONS:
        if not definitions(module).is_dir():
            fetch_definitions(module)
    for name in names or WITHOUT_PODS:
        if program(name) is None:
            sys.stdout.write(f"building {name}\n")
            sys.stdout.flush()
            began = time.monotonic()
            build(name)
            sys.stdout.write(f"{name} is there after {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main(sys.argv[1:])
