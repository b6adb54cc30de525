"""Where Ray's workers look for code.

Ray puts the directory that a service is started in before all others. In a clone whose package is installed elsewhere
(`pip install .`) its workers would run a mixture of the clone's code and the installed one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from ray.job_config import JobConfig

_PACKAGES = ("serve_app", "deployments")
_ROOT = Path(__file__).parents[2]


class WorkerPaths(list[str]):
    """What stands before a worker's own paths: nothing that has other packages of our names."""

    @override
    def extend(self, paths: Iterable[str], /) -> None:
        super().extend(path for path in paths if not _shadows(Path(path)))


def _shadows(folder: Path) -> bool:
    return folder.resolve() != _ROOT and any((folder / name / "__init__.py").exists() for name in _PACKAGES)


def job_config() -> JobConfig:
    """What Ray is told of the code of its workers; it adds paths to it while it starts."""
    from ray.job_config import JobConfig  # noqa: PLC0415  see `launcher`

    config = JobConfig()
    config._py_driver_sys_path = WorkerPaths()  # noqa: SLF001  an empty one that is given is replaced
    return config
