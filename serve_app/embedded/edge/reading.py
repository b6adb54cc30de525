"""Reads JSON by tables: a field that a table lacks is refused by name, never dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from serve_app.embedded.engine.errors import invalid, malformed
from serve_app.embedded.engine.request_parts import RequestParts
from serve_app.inference.field_aliases import FIELD_ALIASES

T = TypeVar("T")
Reader = Callable[[Any, str], T]
"""Makes something of a JSON value; the second argument is the path at which the value stands."""
_NO_ALIASES: Mapping[str, str] = {}

_SHOWN = 100
"""Characters of a caller's name that stand in a path."""


class _Read(RequestParts):
    """How much the request of this thread has asked for until now, and whether others wait for it."""

    others_wait = False


_read = _Read()


def begin(*, others_wait: bool = False) -> None:
    """A request begins in this thread, which others may wait for: it may not take seconds then."""
    _read.begin()
    _read.others_wait = others_wait


def others_wait() -> bool:
    """Whether others wait for this thread."""
    return _read.others_wait


def parts() -> int:
    """How much that is until now."""
    return _read.counted


def count() -> None:
    """One more part of the request.

    Raises:
        GrpcError: it has too many.
    """
    _read.count()


def _below(where: str, name: str) -> str:
    return f"{where}.{name[:_SHOWN]}" if where else name[:_SHOWN]


@dataclass(frozen=True)
class Object(Generic[T]):
    """How an object of one of Qdrant's schemas is read.

    `fields` has a reader for each field, `build` takes what these have read by the fields' names, without those that
    are absent or null. A field may come under another of its names, as in Qdrant, but not under both.
    """

    schema: str
    build: Callable[..., T]
    fields: Mapping[str, Reader[Any]]
    required: tuple[str, ...] = ()

    def __call__(self, value: Any, where: str) -> T:
        """What `build` makes of the object's fields."""
        if not isinstance(value, dict):
            raise malformed(where, f"expected an object ({self.schema})")
        aliases = FIELD_ALIASES.get(self.schema, _NO_ALIASES)
        read: dict[str, Any] = {}
        for given, inner in value.items():
            name = aliases.get(given, given)
            at = _below(where, name)
            if name not in self.fields:
                raise malformed(at, f"unknown field of {self.schema}")
            if name != given and name in value:
                raise malformed(at, f"duplicate field: `{given}` is another name of it")
            if inner is not None:
                read[name] = self.fields[name](inner, at)
        for name in self.required:
            if name not in read:
                raise malformed(_below(where, name), "Field required")
        return built(self.build, where, **read)


def built(build: Callable[..., T], where: str, /, *arguments: Any, **named: Any) -> T:
    """What `build` makes; what it does not take is the caller's mistake."""
    try:
        return build(*arguments, **named)
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed(where, str(error).partition("\n")[0]) from error


def string(value: Any, where: str) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise malformed(where, "expected a string")
    return value


def boolean(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise malformed(where, "expected a boolean")
    return value


@dataclass(frozen=True)
class Float:
    """A number within bounds."""

    minimum: float | None = None
    maximum: float | None = None

    def __call__(self, value: Any, where: str) -> float:
        """The number as a float."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise malformed(where, "expected a number")
        _check_bounds(value, self.minimum, self.maximum, where)
        return float(value)


number = Float()


@dataclass(frozen=True)
class Integer:
    """An unsigned integer of so many bits, within bounds.

    As in Qdrant, what does not fit the type makes a body malformed (400), what is out of bounds is invalid (422).
    """

    minimum: int = 0
    maximum: int | None = None
    bits: int = 64
    is_nonzero: bool = False
    """Whether zero does not fit the type, as with Rust's `NonZeroU64`."""

    def __call__(self, value: Any, where: str) -> int:
        """The integer as it is."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.is_nonzero <= value < 1 << self.bits:
            kind = "nonzero unsigned" if self.is_nonzero else "unsigned"
            raise malformed(where, f"expected a {kind} integer of {self.bits} bits")
        _check_bounds(value, self.minimum, self.maximum, where)
        return value


def _check_bounds(value: float, minimum: float | None, maximum: float | None, where: str) -> None:
    if minimum is not None and not value >= minimum:  # NaN, which gRPC has, is in no bounds
        raise invalid(where, f"value {value} invalid, must be {minimum} or larger")
    if maximum is not None and value > maximum:
        raise invalid(where, f"value {value} invalid, must be from {minimum} to {maximum}")


def choice(variants: Mapping[str, T]) -> Reader[T]:
    """One of a few words."""

    def read(value: Any, where: str) -> T:
        if not isinstance(value, str) or value not in variants:
            raise malformed(where, f"unknown variant, expected one of {', '.join(variants)}")
        return variants[value]

    return read


def word(*variants: str) -> Reader[str]:
    """One of a few words, as it is."""
    return choice({variant: variant for variant in variants})


def items(read: Reader[T]) -> Reader[list[T]]:
    """A list."""

    def read_all(value: Any, where: str) -> list[T]:
        if not isinstance(value, list):
            raise malformed(where, "expected a list")
        return [read(item, f"{where}[{number}]") for number, item in enumerate(value)]

    return read_all


def one_or_many(read: Reader[T]) -> Reader[list[T]]:
    """A list, or one of its items."""
    many = items(read)
    return lambda value, where: many(value, where) if isinstance(value, list) else [read(value, where)]


def mapping(read: Reader[T]) -> Reader[dict[str, T]]:
    """An object with any names."""

    def read_all(value: Any, where: str) -> dict[str, T]:
        if not isinstance(value, dict):
            raise malformed(where, "expected an object")
        return {name: read(inner, _below(where, name)) for name, inner in value.items()}

    return read_all


def variant(schema: str, variants: Mapping[str, Reader[T]]) -> Reader[T]:
    """An object whose only field says which kind it is."""

    def read(value: Any, where: str) -> T:
        if not isinstance(value, dict) or len(value) != 1 or not set(value) <= set(variants):
            raise malformed(where, f"expected an object ({schema}) with one of {', '.join(variants)}")
        [(name, inner)] = value.items()
        return variants[name](inner, f"{where}.{name}")

    return read


def later(reader: Callable[[], Reader[T]]) -> Reader[T]:
    """A reader that is defined further down, for schemas that contain themselves."""
    return lambda value, where: reader()(value, where)  # noqa: PLW0108  it is not there yet


def anything(value: Any, where: str) -> Any:  # noqa: ARG001
    """Any JSON."""
    return value
