"""Every error that we raise ourselves, sorted by whose fault it is.

    InferenceError
    ├── RequestError               the caller's: the request has to change
    │   ├── MalformedRequest         not JSON, or not the schema where we had to look inside
    │   ├── UnknownModel             no model of that name
    │   ├── AlreadyThere             what is to be made is there already
    │   ├── WrongInput               the input does not fit the model, or is no image, or cannot be fetched
    │   ├── BadOption                an option that the model does not take, or a bad value of one
    │   ├── KeyRefused               an external provider does not take the key that it was shown
    │   ├── TooLarge                 over a limit on size
    │   └── UnsupportedEncoding      compressed in a way that is not read here
    ├── AccessError                the caller's: it has to show another credential
    │   ├── Unauthenticated          no key or token, or a wrong one
    │   └── Forbidden                the key or token does not allow this
    ├── SwitchedOff                the operator's: inference is off for what the request needs
    ├── TemporaryError             nobody's: the same request may pass later
    │   ├── Overloaded               the queue is full
    │   ├── QuotaUsedUp              the tenant has used up its tokens
    │   ├── LedgerUnavailable        the ledger's database cannot be reached
    │   ├── ModelUnavailable         no replica of the model answers
    │   ├── UpstreamUnavailable      Qdrant cannot be reached
    │   └── DeadlineExceeded         the time given for the request is over
    └── InternalError              ours: a bug

    SetupError                     the operator's: found at start, never while serving
    ├── ConfigError                  a configuration file or an environment variable is wrong
    ├── ModelFilesError              a model's files are missing, damaged or cannot be fetched
    └── ModelError                   the files are whole, but this software cannot run them

A request's error carries a neutral `kind`; each protocol has one table from kind to status. These errors cross Serve
calls, so every argument goes to the base constructor, where pickle finds it.
"""

from __future__ import annotations

import json
from enum import Enum

LONGEST = 1900
"""Bytes of an error as a JSON string."""


def shortened(text: str) -> str:
    """An error's text, cut where it is longer than an error has use for: with what callers send in it, it may be."""
    while len(text) > LONGEST or len(json.dumps(text, ensure_ascii=False).encode()) > LONGEST:
        text = text[: min(len(text) * 3 // 4, LONGEST)]
    return text


class Kind(Enum):
    """What went wrong, in no protocol's words."""

    BAD_REQUEST = "bad request"
    TOO_LARGE = "too large"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    SWITCHED_OFF = "switched off"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline exceeded"
    INTERNAL = "internal"


class InferenceError(Exception):
    """An error with which a request ends. Its text goes to the caller and never quotes the input."""

    kind: Kind

    @property
    def message(self) -> str:
        """What is wrong, where in the request, and what is allowed; short, whatever names of the caller's are in it."""
        return shortened(str(self.args[0]))


class RequestError(InferenceError):
    """The request has to change before it can pass."""

    kind = Kind.BAD_REQUEST


class MalformedRequest(RequestError):
    """The body is not JSON, or not what the schema says at a place where we had to look."""


class UnknownModel(RequestError):
    """No model of that name is served."""


class AlreadyThere(RequestError):
    """What is to be made is there already."""

    kind = Kind.CONFLICT


class WrongInput(RequestError):
    """The input does not fit the model."""


class BadOption(RequestError):
    """An option that the model does not take, or a value out of range."""


class KeyRefused(RequestError):
    """An external provider does not take the key that it was shown. Says whose it was, and never quotes it."""


class TooLarge(RequestError):
    """The request is over a limit on size."""

    kind = Kind.TOO_LARGE


class UnsupportedEncoding(RequestError):
    """The body is compressed in a way that is not read here, and has to be looked into."""

    kind = Kind.UNSUPPORTED


class AccessError(InferenceError):
    """The request may pass with another credential. Its text never quotes one."""


class Unauthenticated(AccessError):
    """No key and no token, or a wrong one."""

    kind = Kind.UNAUTHENTICATED


class Forbidden(AccessError):
    """The key or token is known here, and does not allow what was asked for."""

    kind = Kind.FORBIDDEN


class SwitchedOff(InferenceError):
    """Inference is off: for all, for a model, or for a collection."""

    kind = Kind.SWITCHED_OFF


class TemporaryError(InferenceError):
    """The same request may pass later. `args` are the message and the seconds after which to try again."""

    kind = Kind.UNAVAILABLE

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)

    @property
    def retry_after(self) -> float:
        """Seconds until a new try makes sense."""
        return float(self.args[1])


class Overloaded(TemporaryError):
    """More work waits than the limits allow."""

    kind = Kind.OVERLOADED


class QuotaUsedUp(TemporaryError):
    """Nothing is left of a quota. `args` end with its limit in tokens."""

    kind = Kind.OVERLOADED

    def __init__(self, message: str, retry_after: float, limit: int) -> None:
        super().__init__(message, retry_after)
        self.args = (message, retry_after, limit)

    @property
    def limit(self) -> int:
        """How many tokens the quota allows."""
        return int(self.args[2])


class LedgerUnavailable(TemporaryError):
    """The ledger's database cannot be reached. Inference goes on without it."""


class ModelUnavailable(TemporaryError):
    """No replica of the model could do the work."""


class UpstreamUnavailable(TemporaryError):
    """Qdrant could not be reached, or broke off before it answered."""


class DeadlineExceeded(TemporaryError):
    """The time that the request was given is over."""

    kind = Kind.DEADLINE


class InternalError(InferenceError):
    """A promise inside this software was broken."""

    kind = Kind.INTERNAL


class SetupError(Exception):
    """Something that the operator has to put right. Its text says what and where, one fault a line.

    `hint` is what can be done about it, such as a command to run; empty if the text says all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def hint(self) -> str:
        """What can be done about it."""
        return str(self.args[1])


class ConfigError(SetupError):
    """A configuration file or environment variable is wrong: names the file, the key, and what was expected."""


class ModelFilesError(SetupError):
    """A model's files are missing, damaged, or cannot be fetched."""


class ModelError(SetupError):
    """A model's files are whole, but not of a kind that can be run here."""


def reason(error: OSError) -> str:
    """Why the system refused something, in its own words without their number and path."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]
