"""What a provider's statuses mean for a caller.

A provider's own words help whoever sent the request, and go to nobody else: they are cut, and hold no key. They are
never logged, for they may quote an input.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import orjson

from deployments.contract import ProviderKey, Target
from deployments.errors import (
    InferenceError,
    KeyRefused,
    ModelUnavailable,
    Overloaded,
    UnknownModel,
    WrongInput,
)
from deployments.providers.replies import Reply

_QUOTED = 300
_LOOKED_AT = 64 * 1024
_PART = 8
"""So many characters of a key at its start or end are as good as the key in an error."""

_UNSEEN = re.compile(r"[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]+")
_PROVIDERS_OWN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.FAILED_DEPENDENCY})
"""Statuses that look like the caller's fault: the provider gave up, or its model failed (text-embeddings-inference)."""

_INVALID_TOKEN = 498
"""Cohere's status for a key that has expired."""

_OWNERS = {"request": "the key of the request", "tenant": "the tenant's key", "operator": "the operator's key"}


def refusal(reply: Reply, target: Target, key: ProviderKey | None, secret: str | None) -> InferenceError:
    """The error for a caller whose call a provider has answered with a status that is not 200."""
    status, name = reply.status, target.name
    whose = _OWNERS[key.owner] if key else "a call without a key"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, _INVALID_TOKEN}:
        return KeyRefused(f"the provider of {name} refused {whose} ({status})")
    if status == HTTPStatus.PAYMENT_REQUIRED:
        return KeyRefused(f"the provider of {name} says that {whose} has nothing left to pay with")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded(f"the provider of {name} takes no more from {whose} yet", reply.retry_after or 1.0)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PROVIDERS_OWN:
        kind = UnknownModel if status == HTTPStatus.NOT_FOUND else WrongInput
        return kind(f"the provider of {name} refused the request ({status}){_said(reply.body, secret)}")
    return ModelUnavailable(f"the provider of {name} failed ({status})", reply.retry_after or 1.0)


def _said(body: bytes, secret: str | None) -> str:
    """A provider's own words, as an end of a sentence; nothing if it has none, or if they hold a part of the key."""
    try:
        content = orjson.loads(body) if len(body) <= _LOOKED_AT else None
    except orjson.JSONDecodeError:
        return ""
    text = _UNSEEN.sub(" ", _message(content))
    if secret and (secret[:_PART] in text or secret[-_PART:] in text):
        return ""
    return f": {text[:_QUOTED]}" if text.strip() else ""


def _message(content: Any) -> str:
    """Where the providers put it: `error.message`, `message`, `detail`, `error`."""
    if not isinstance(content, dict):
        return ""
    error = content.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    return next((text for text in (inner, content.get("message"), content.get("detail")) if isinstance(text, str)), "")
