"""Arrays and fields of JSON documents from outside: read with every number checked, refused by the field's name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import short


@dataclass(frozen=True)
class Numbers:
    """How an array is written in a file: its key, its axes, and what its numbers may be."""

    key: str
    axes: str
    low: float
    high: float = math.inf
    whole: bool = False
    open_low: bool = True

    def wanted(self) -> str:
        """In words."""
        least = f"{'more than' if self.open_low else 'at least'} {self.low:g}"
        most = "" if math.isinf(self.high) else f", at most {self.high:g}"
        return f"{'integers' if self.whole else 'finite numbers'} {least}{most}"


def array(name: str, rule: Numbers, given: object, sizes: Mapping[str, int]) -> NDArray[Any]:
    """Nested lists as an array, float64 or int64.

    Args:
        name: of the field, for messages.   sizes: length of each axis, by its letter.

    Raises:
        InvalidParameter: the shape is another one, or a number is none or out of range; the message names the field.
    """
    shape = tuple(sizes[letter] for letter in rule.axes)
    flat = _numbers(name, given, shape)
    found = np.array(flat, dtype=np.float64).reshape(shape)
    low = found > rule.low if rule.open_low else found >= rule.low
    fits = low & (found <= rule.high) & np.isfinite(found)
    if rule.whole:
        fits &= found == np.floor(found)
    if not fits.all():
        raise InvalidParameter(f"{name}: wanted {rule.wanted()}, got {found[~fits].flat[0]:g}")
    return found.astype(np.int64) if rule.whole else found


def _numbers(name: str, given: object, shape: tuple[int, ...]) -> list[float]:
    """Nested lists of the shape, flat."""
    if not shape:
        if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > 1e300:
            raise InvalidParameter(f"{name}: wanted a number, got {short(given)}")
        return [float(given)]
    if not isinstance(given, list) or len(given) != shape[0]:
        got = f"{len(given)}" if isinstance(given, list) else short(given)
        raise InvalidParameter(f"{name}: wanted a list of {shape[0]}, got {got}")
    return [number for each in given for number in _numbers(name, each, shape[1:])]


def check_keys(where: str, document: Mapping[str, Any], *, required: set[str], known: set[str]) -> None:
    """Refuse what is missing and what nobody would read.

    Raises:
        InvalidParameter: the message names the first such field.
    """
    for key in sorted(required - set(document)):
        raise InvalidParameter(f"{where}.{key}: wanted this field, got none")
    for key in document:
        if key not in known:
            raise InvalidParameter(f"{where}: wanted only {', '.join(sorted(known))}, got {short(key)}")


def instances(document: object) -> list[Mapping[str, Any]]:
    """What a file holds: one instance, a list of them, or a list under "instances".

    Raises:
        InvalidParameter: there is none, or one is no object.
    """
    found = document.get("instances", [document]) if isinstance(document, Mapping) else document
    if not isinstance(found, list) or not found:
        raise InvalidParameter(f"instances: wanted an object, or a list of at least one instance, got {short(found)}")
    for each in found:
        if not isinstance(each, Mapping):
            raise InvalidParameter(f"instance: wanted an object, got {short(each)}")
    return found
