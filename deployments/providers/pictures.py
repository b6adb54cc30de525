"""Images as providers take them: URLs, data URLs or base64. What is base64 is looked at before it is sent."""

from __future__ import annotations

import base64
import re

from deployments.errors import WrongInput
from deployments.images import files, urls
from deployments.images.decoding import from_base64

_URL = re.compile(r"https?:", re.IGNORECASE)
_MOST_BYTES = 20 * 1024 * 1024


def url(source: str, *, allowed: bool) -> str | None:
    """The URL that a source is; None if it is base64.

    Raises:
        WrongInput: URLs are not allowed, or it is none. Never quotes it.
    """
    if not _URL.match(source):
        return None
    if not allowed:
        raise WrongInput("this model takes no URLs of images: send a data URL (data:image/png;base64,...) or base64")
    return str(urls.parse(source))


def plain(source: str) -> str:
    """The image in base64 as RFC 4648 has it.

    Raises:
        WrongInput: it is no base64, no image of a known format, or too large. Never quotes it.
    """
    return _read(source)[1]


def data_url(source: str) -> str:
    """The image as a data URL; raises as `plain` does."""
    kind, text = _read(source)
    return f"data:image/{kind};base64,{text}"


def _read(source: str) -> tuple[str, str]:
    data = from_base64(source, _MOST_BYTES)
    return files.kind(data).lower(), base64.b64encode(data).decode()
