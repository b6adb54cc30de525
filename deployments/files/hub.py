"""The model hub, through its own library, which takes HF_ENDPOINT, HF_TOKEN and the proxy variables into account.

What the library logs and what its errors say may hold URLs with signatures, so none of it is passed on.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments.catalogue.card import HubSource
from deployments.errors import ModelFilesError
from deployments.files.downloads import Report, growth_reported

ADVICE = (
    "Behind a proxy, set HTTPS_PROXY; with a mirror of the hub, set HF_ENDPOINT; on a machine without a network, run "
    "'qdrant-inference models pull' elsewhere, copy the cache folder here, and run 'qdrant-inference models verify'."
)


class HubAway(ModelFilesError):
    """The model hub did not answer; `ADVICE` says what to do."""


def bring(source: HubSource, target: Path, scratch: Path, report: Report) -> None:
    """Download a source's files into `target`; `scratch` is for what is not finished.

    Raises:
        HubAway: the hub did not answer.
        ModelFilesError: it refused the repository or a file.
    """
    paths = {name: file.path or name for name, file in source.files.items()}
    total = _size(source, list(paths.values()))
    with growth_reported(scratch, report, lambda: total):
        fetched = {name: _download(source, path, scratch) for name, path in paths.items()}
    for name, path in fetched.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target / name)


def list_files(repository: str, revision: str) -> tuple[str, frozenset[str]]:
    """The commit that a repository's revision stands for, and the paths of the files in it.

    Raises:
        HubAway: the hub did not answer.
        ModelFilesError: it refused the repository.
    """
    with _translated(f"the repository '{repository}'") as library:
        info = library.HfApi(endpoint=_endpoint()).model_info(repository, revision=revision)
    return str(info.sha), frozenset(file.rfilename for file in info.siblings or ())


def _size(source: HubSource, paths: list[str]) -> int | None:
    """The bytes of some files, None if the hub does not tell.

    Without this look ahead, a hub that is away would be tried for half a minute, and a file that is missing would be
    noticed when the others have been downloaded.
    """
    sizes = []
    for path in paths:
        with _translated(f"'{path}'") as library:
            url = library.hf_hub_url(source.hub, path, revision=source.revision, endpoint=_endpoint())
            sizes.append(library.get_hf_file_metadata(url, endpoint=_endpoint()).size)
    return None if None in sizes else sum(sizes)


def _download(source: HubSource, path: str, scratch: Path) -> str:
    with _translated(f"'{path}'") as library:
        place: str = library.hf_hub_download(
            source.hub, path, revision=source.revision, local_dir=scratch, endpoint=_endpoint()
        )
    return place


def _endpoint() -> str | None:
    """A mirror, or None for the hub itself. The library would read it too, but only when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def _translated(what: str) -> Iterator[Any]:
    """The hub's library, with its errors as ours."""
    library = _library()
    errors = library.errors
    try:
        yield library
    except errors.RemoteEntryNotFoundError as error:
        raise ModelFilesError(f"the hub has no {what} there") from error
    except errors.RevisionNotFoundError as error:
        raise ModelFilesError("the hub has no such revision") from error
    except errors.RepositoryNotFoundError as error:  # also if a token is missing, or may not read it
        raise ModelFilesError("the hub has no such repository, or wants a token that may read it (HF_TOKEN)") from error
    except errors.HfHubHTTPError as error:
        raise ModelFilesError(f"the hub answered {error.response.status_code} for {what}") from error
    except errors.HFValidationError as error:
        raise ModelFilesError("the hub has no repositories with such names") from error
    # With no answer, what is raised depends on the library's version and on its HTTP client.
    except Exception as error:
        raise HubAway("the model hub cannot be reached, or broke off") from error


def _library() -> Any:
    try:
        import huggingface_hub  # noqa: PLC0415  # seldom needed
        import huggingface_hub.errors  # noqa: PLC0415
        import huggingface_hub.utils  # noqa: PLC0415
    except ImportError as error:
        raise ModelFilesError("the package huggingface_hub is not installed") from error
    huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined]
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    return huggingface_hub
