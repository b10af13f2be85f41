"""Parameters of a circuit family: dataclass fields that know their range.

A family declares ``rounds: int = integer(1, low=1, high=8, doc="...")`` and calls :func:`validate` in its
``__post_init__``. The same metadata gives the command line its options. What it does not do: relations between fields;
a family states those itself with :func:`refuse`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from circuits.errors import InvalidParameter


@dataclass(frozen=True)
class Domain:
    """The values a field may take.

    Attributes:
        kind: int, float or str.
        low: smallest value of a number.
        high: largest value of a number; longest string.
        choices: the allowed values, if they are listed.
        doc: one line for the command line.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Any, ...] = ()
    doc: str = ""

    def describe(self) -> str:
        """The domain in words, for messages and help texts."""
        if self.choices:
            return "one of " + ", ".join(repr(choice) for choice in self.choices)
        if self.kind is str:
            return f"a string of at most {self.high:g} characters"
        noun = "an integer" if self.kind is int else "a finite number"
        return f"{noun} in [{self.low:g}, {self.high:g}]"

    def contains(self, value: object) -> bool:
        """Whether ``value`` has the right type and lies in the domain; a bool is never a number."""
        if isinstance(value, bool) or not isinstance(value, (int, float) if self.kind is float else self.kind):
            return False
        if self.choices:
            return value in self.choices
        if isinstance(value, str):
            return len(value) <= self.high
        return isinstance(value, (int, float)) and self.low <= value <= self.high  # false for NaN


def integer(default: int, *, low: int, high: int, doc: str = "") -> Any:
    """A dataclass field that holds an int in [low, high]."""
    return field(default=default, metadata={"domain": Domain(int, low, high, doc=doc)})


def real(default: float, *, low: float, high: float, doc: str = "") -> Any:
    """A dataclass field that holds a finite float in [low, high]; an int is taken as one."""
    return field(default=default, metadata={"domain": Domain(float, low, high, doc=doc)})


def choice(default: Any, *choices: Any, doc: str = "") -> Any:
    """A dataclass field that holds one of ``choices``, all of the type of ``default``."""
    return field(default=default, metadata={"domain": Domain(type(default), choices=choices, doc=doc)})


def text(default: str, *, longest: int, doc: str = "") -> Any:
    """A dataclass field that holds a string; the family itself says what may be in it."""
    return field(default=default, metadata={"domain": Domain(str, high=longest, doc=doc)})


def domains(family: Any) -> dict[str, Domain]:
    """Domain of each field of a family class or instance, by name."""
    return {item.name: item.metadata["domain"] for item in fields(family) if "domain" in item.metadata}


def refuse(family: object, name: str, wanted: str, got: object) -> NoReturn:
    """Raise :class:`InvalidParameter` in the house's words."""
    raise InvalidParameter(f"{type(family).__name__}.{name}: wanted {wanted}, got {short(got)}")


def validate(family: object) -> None:
    """Check every field against its domain and turn ints into floats where a float is declared.

    Raises:
        InvalidParameter: a value has the wrong type or lies outside its domain; the message names field, domain, value.
    """
    for name, domain in domains(family).items():
        value = getattr(family, name)
        if not domain.contains(value):
            refuse(family, name, domain.describe(), value)
        if domain.kind is float:
            object.__setattr__(family, name, float(value))  # 1 and 1.0 must give the same content hash


def construct(cls: type, parameters: Mapping[str, Any]) -> Any:
    """``cls(**parameters)`` with unknown names refused in the house's words.

    Raises:
        InvalidParameter: a name is not a field of ``cls``, or a value lies outside its domain.
    """
    known = {item.name for item in fields(cls) if item.init}
    for name in parameters:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise InvalidParameter(f"{cls.__name__} has no parameter {short(name)}; it has: {listed}")
    return cls(**parameters)


def short(value: object) -> str:
    """``repr`` of at most 80 characters, for messages; what has none that can be had is named by its type."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer inside is too long, or the value holds itself
        return f"a value of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
