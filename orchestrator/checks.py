"""What a job may be given, checked value by value: type first, then range. Every refusal is an :class:`InvalidJob`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from circuits.parameters import short
from orchestrator.errors import InvalidJob

__all__ = ["distinct", "integer", "kind", "number", "refuse", "short", "texts"]


def integer(name: str, value: Any, low: int, high: int | None = None) -> None:
    """Refuse what is not a whole number in [low, high]; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        refuse(name, f"a whole number {bounds}", value)


def number(name: str, value: Any, low: float, high: float) -> None:
    """Refuse what is not a number in [low, high]; NaN and bools are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        refuse(name, f"a finite number from {low:g} to {high:g}", value)


def kind(name: str, value: Any, wanted: type, example: str) -> None:
    """Refuse what is not an instance of ``wanted``; ``example`` shows how to write one."""
    if not isinstance(value, wanted):
        refuse(name, example, value)


def texts(name: str, values: Any) -> None:
    """Refuse what is not a tuple or list of texts."""
    if not isinstance(values, tuple | list) or not all(isinstance(value, str) for value in values):
        refuse(name, "a sequence of names, such as ['a', 'b']", values)


def distinct(name: str, values: Iterable[Any], high: int) -> None:
    """Refuse what is not a tuple or list of different whole numbers in [0, high]."""
    if not isinstance(values, tuple | list):
        refuse(name, "a sequence of whole numbers, such as (0, 1)", values)
    for value in values:
        integer(name, value, 0, high)
    if len(set(values)) < len(values):
        refuse(name, "each number once", values)


def refuse(name: str, wanted: str, got: Any) -> NoReturn:
    """Raise :class:`InvalidJob` in the house's words."""
    raise InvalidJob(f"{name} must be {wanted}; got {short(got)}")
