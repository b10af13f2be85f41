"""One way to turn a name into an object, for every registry of the house.

A registry is a plain dict of ``"module:attribute"`` strings. Nothing is imported until a member is used, so a name
costs no SDK. The attribute may be a class or any other callable; the caller gives it its arguments.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any


def resolve(registry: Mapping[str, str], name: str, *, kind: str, error: type[Exception]) -> Any:
    """Import the member that ``name`` stands for.

    Args:
        registry: name -> ``"module:attribute"``.
        name: the member wanted.
        kind: what a member is called in the message ("circuit family", "backend", "policy").
        error: the class to raise for an unknown name.

    Raises:
        error: ``name`` is not registered; the message lists the names that are.
    """
    path = registry.get(name)
    if path is None:
        known = ", ".join(sorted(registry))
        close = get_close_matches(name, registry, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise error(f"no {kind} is called {name[:80]!r}; there are: {known}.{hint}")
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def named_in(variable: str) -> tuple[str, ...]:
    """Members that an environment variable names, separated by commas: those of which there are too many to list."""
    return tuple(filter(None, map(str.strip, os.environ.get(variable, "").split(","))))
