"""The images of pods, built by buildah: ours from the Dockerfile, in place of others' what Debian's packages hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from deployments.catalogue.catalogue import HOME
from tests.support.kubernetes_programs import cache, program
from tests.support.real_qdrant import BINARY

BASE = "docker.io/library/ubuntu:24.04"
OURS = "docker.io/library/qdrant-inference-cpu:0.2.0"
_REDIS = "docker.io/library/redis:7.2"
QDRANT = "docker.io/qdrant/qdrant:v1.19.0-unprivileged"
_PROGRAMS = {
    "docker.io/library/coredns:tests": "coredns",
    "docker.io/library/kuberay-operator:tests": "kuberay-operator",
}
_PAUSE = f'FROM {BASE}\nENTRYPOINT ["sleep", "infinity"]\n'
_OF_REDIS = (
    f"FROM {BASE}\nRUN apt-get update && apt-get install --yes --no-install-recommends redis-server\nWORKDIR /data\n"
)
_OF_QDRANT = f"""FROM {BASE}
WORKDIR /qdrant
COPY qdrant .
RUN printf '#!/bin/sh\\nexec ./qdrant "$@"\\n' > entrypoint.sh && chmod 755 entrypoint.sh qdrant
"""
_STORE = "exec qdrant-inference store --host 0.0.0.0 --rest-port 6333 --grpc-port 6334 --folder /qdrant/storage"
_OF_THE_STORE = f"""FROM {OURS}
USER 0
WORKDIR /qdrant
RUN printf '#!/bin/sh\\n{_STORE}\\n' > entrypoint.sh && chmod 755 entrypoint.sh
"""
"""What stands for Qdrant without a binary of it; it knows no keys."""
_OF_A_PROGRAM = 'FROM scratch\nCOPY program /program\nENTRYPOINT ["/program"]\n'


def archives(folder: Path) -> Iterator[Path]:
    """All images, one after the other; each file may go once it was imported."""
    _make_base()
    _build_ours()
    others = {"localhost/pause:1": (_PAUSE, {}), _REDIS: (_OF_REDIS, {}), QDRANT: _qdrant()}
    for name, its_program in _PROGRAMS.items():
        others[name] = _OF_A_PROGRAM, {"program": _path(its_program)}
    for name, (dockerfile, files) in others.items():
        _build(name, dockerfile, files)
    for name in (OURS, *others):
        archive = folder / "image.tar"
        _buildah("push", name, f"docker-archive:{archive}:{name}")
        yield archive
        archive.unlink()


def models() -> Path:
    """The starter models, pulled by our image, since some of them remember where it keeps them."""
    folder = cache() / "starter-models"
    if not folder.exists():
        made = folder.with_name("starter-models.part")
        made.mkdir(exist_ok=True)
        container = _buildah("from", OURS)
        try:
            places = [f"--volume={made}:/models", *_certificates()]
            _buildah("run", *_ISOLATED, "--user=0:0", *places, container, "--", "qdrant-inference", "models", "pull")
        finally:
            _buildah("rm", container)
        made.rename(folder)
    return folder


def _qdrant() -> tuple[str, Mapping[str, Path]]:
    return (_OF_QDRANT, {"qdrant": Path(BINARY)}) if BINARY else (_OF_THE_STORE, {})


def _path(name: str) -> Path:
    found = program(name)
    assert found is not None, name
    return found


def _make_base() -> None:
    """Ubuntu's, or where no registry is reached one of the machine's own packages in its place."""
    if _there(BASE) or subprocess.run(["buildah", "pull", BASE], capture_output=True, check=False).returncode == 0:
        return
    release = dict(line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines())
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["debootstrap", "--variant=minbase", release["VERSION_CODENAME"], root], check=True)
        container = _buildah("from", "scratch")
        _buildah("copy", container, root, "/")
        _buildah("config", "--cmd", "/bin/sh", container)
        _buildah("commit", "--rm", container, BASE)


def _there(name: str) -> bool:
    return (
        subprocess.run(["buildah", "inspect", "--type=image", name], capture_output=True, check=False).returncode == 0
    )


def _build_ours() -> None:
    pip = Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))
    secret = [f"--secret=id=pip,src={pip}"] if pip.exists() else []
    options = ["--pull-never", "--layers", "--force-rm", "--target=cpu", *_certificates(), *secret]
    _buildah("bud", *_ISOLATED, *options, f"--tag={OURS}", str(HOME))


_ISOLATED = ("--isolation=chroot",)
"""The one way that needs no engine's network."""


def _certificates() -> list[str]:
    """The machine's, for a package index behind an authority of its own."""
    place = Path("/etc/ssl/certs")
    return [f"--volume={place}:{place}:ro"] if place.is_dir() else []


def _build(name: str, dockerfile: str, files: Mapping[str, Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(dockerfile)
        for target, source in files.items():
            shutil.copy(source, Path(folder, target))
        _buildah("bud", *_ISOLATED, "--pull-never", "--layers", "--force-rm", *_certificates(), f"--tag={name}", folder)


def _buildah(*arguments: str) -> str:
    done = subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"buildah {' '.join(arguments)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout.strip()
