"""Records in and out of JSON: frozen dataclasses, checked by type when they come in."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def to_json(record: Any) -> str:
    """Canonical JSON of a record: sorted keys, no spaces."""
    return msgspec.json.encode(record, order="sorted").decode()


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read a record.

    Raises:
        ValueError: not JSON, or not of that shape; the message names the field.
    """
    return msgspec.json.decode(text, type=kind)


def to_plain(record: Any) -> Any:
    """The record as dicts, lists and scalars."""
    return msgspec.to_builtins(record)


def from_plain(kind: type[T], plain: Any) -> T:
    """The reverse of :func:`to_plain`.

    Raises:
        ValueError: not of that shape; the message names the field.
    """
    return msgspec.convert(plain, type=kind)
