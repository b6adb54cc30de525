"""A running service, asked by its management API: models are added there and taken away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from deployments.errors import ConfigError, SetupError, reason
from serve_app.config import environment

_PATIENCE_S = 60.0
_POLL_S = 0.5
_BYTES = 16 * 2**20

Watch = Callable[[Mapping[str, Any]], object]
"""Is told how far an addition is, as the API has it."""


class RemoteService:
    """A service at an address; it is shown the admin key of the environment, if there is one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"'{url}' is no address of a service", "expected one such as http://localhost:6333")
        key = environment.read().qdrant_inference_admin_key
        self._base = url.rstrip("/")
        self._headers = {"api-key": key.get_secret_value()} if key else {}

    def add(self, wanted: Mapping[str, Any], watch: Watch) -> Mapping[str, Any]:
        """Add models, and wait until they are ready.

        Raises:
            SetupError: what the service says, or why it could not be asked.
        """
        addition: Mapping[str, Any] = self._ask("POST", "/inference/models", wanted)
        while addition["state"] not in {"ready", "failed"}:
            watch(addition)
            time.sleep(_POLL_S)
            addition = self._state(addition["name"])
        if addition["state"] == "failed":
            raise SetupError(f"{addition['name']}: {addition['reason']}")
        return addition

    def remove(self, name: str, *, files: bool) -> Mapping[str, Any]:
        """Take away what was added.

        Raises:
            SetupError: as above.
        """
        query = "?files=true" if files else ""
        gone: Mapping[str, Any] = self._ask("DELETE", f"/inference/models/{quote(name)}{query}")
        return gone

    def _state(self, name: str) -> Mapping[str, Any]:
        for addition in self._ask("GET", "/inference/models")["additions"]:
            if addition["name"] == name:
                return dict(addition)
        raise SetupError(f"{name}: it was taken away while it was being added")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, "content-type": "application/json"}
        request = Request(self._base + path, content, headers, method=method)  # noqa: S310  HTTP, see above
        try:
            with urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
                return json.loads(answer.read(_BYTES))["result"]
        except HTTPError as error:
            with error:
                said = _said(error.read(_BYTES))
            raise SetupError(said or f"{self._base} answers {error.code} {error.reason}") from error
        except URLError as error:
            why = reason(error.reason) if isinstance(error.reason, OSError) else error.reason
            raise SetupError(f"{self._base} does not answer: {why}") from error
        except (HTTPException, OSError, ValueError, LookupError) as error:
            raise SetupError(f"{self._base} is no service of this kind: {type(error).__name__}") from error


def _said(answer: bytes) -> str:
    """The error in an answer of ours; empty if it is none."""
    try:
        return str(json.loads(answer)["status"]["error"])
    except (ValueError, LookupError, TypeError):
        return ""
