"""One line for each request, in a file of its own: who it was by its id, what it was for, how long it took.

Nothing that a caller wrote stands there but the id of its request, and that only if it looks like one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

import orjson

Form = Literal["none", "text", "json"]

_MAX_BYTES = 64 * 1024 * 1024
_KEPT = 3
_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")


def is_harmless(request_id: str) -> bool:
    """Whether an id that a caller chose may be written down: at most 128 characters, no spaces or quotes."""
    return _ID.fullmatch(request_id) is not None


class RequestLog:
    """Appends to a file; after 64 MiB it begins another one, and keeps three."""

    def __init__(self, file: Path, form: Form) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(file, maxBytes=_MAX_BYTES, backupCount=_KEPT, delay=True, encoding="utf-8")
        self._line = _json if form == "json" else _text

    def write(self, told: Mapping[str, Any]) -> None:
        """Write one line."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = self._line({"time": now, **told})
        self._handler.emit(logging.LogRecord("requests", logging.INFO, "", 0, line, None, None))

    def close(self) -> None:
        """Close the file; a line of a request that is still under way opens it once more."""
        self._handler.close()


def _json(told: Mapping[str, Any]) -> str:
    return orjson.dumps(told).decode()


def _text(told: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_word(value)}" for name, value in told.items() if value not in ("", {}))


def _word(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{str(key).replace(' ', ':')}:{number}" for key, number in value.items())
    text = str(value)
    return f'"{text}"' if " " in text else text
