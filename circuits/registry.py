"""One way to turn a name into an object, for every registry of the house.

A registry maps names to ``"module:attribute"``. Nothing is imported until a member is used, so a name costs no SDK. The
attribute may be a class or any other callable; the caller gives it its arguments.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping
from difflib import get_close_matches
from functools import cache, cached_property
from importlib import import_module
from typing import Any

log = logging.getLogger("qorch.registry")


class Registry(MutableMapping[str, str]):
    """The house's own members, and those that installed packages add.

    A package does so with one line of its ``pyproject.toml``::

        [project.entry-points."qorch.backends"]
        mine = "my_module:Mine"

    Packages are looked for once a process, at the first question about names. They are found by whichever process runs
    in the same environment: clients, workers and their children alike. What is assigned to a registry at run time is
    known to this process alone.
    """

    def __init__(self, group: str, own: Mapping[str, str]) -> None:
        """Of one group of entry points.

        Args:
            group: name of the group, such as "qorch.backends".
            own: the house's members; no package can take one of their names.
        """
        self._group = group
        self._own = own

    @cached_property
    def _members(self) -> dict[str, str]:
        members = dict(self._own)
        for name, path in _installed(self._group):
            if name in members or not name.isidentifier():
                why = "that name is taken" if name in members else "a name is made of letters, digits and _"
                log.warning("%s of %s is left out: %s", name[:80], self._group, why)
            else:
                members[name] = path
        return members

    def __getitem__(self, name: str) -> str:
        return self._members[name]

    def __setitem__(self, name: str, path: str) -> None:
        self._members[name] = path

    def __delitem__(self, name: str) -> None:
        del self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _installed(group: str) -> list[tuple[str, str]]:
    """Name and path of each entry point of a group, in the order of their names."""
    return sorted((one.name, one.value) for one in _entry_points().select(group=group))


@cache
def _entry_points() -> Any:
    from importlib.metadata import entry_points  # takes longer to import than the registries themselves

    return entry_points()


def resolve(registry: Mapping[str, str], name: str, *, kind: str, error: type[Exception]) -> Any:
    """Import the member that ``name`` stands for.

    Args:
        registry: name -> ``"module:attribute"``.
        name: the member wanted.
        kind: what a member is called in the message ("circuit family", "backend", "policy").
        error: the class to raise for a name without a member.

    Raises:
        error: ``name`` is not registered, and the message lists the names that are; or what it stands for is not there.
    """
    path = registry.get(name)
    if path is None:
        known = ", ".join(sorted(registry))
        close = get_close_matches(name, registry, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise error(f"no {kind} is called {name[:80]!r}; there are: {known}.{hint}")
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, SyntaxError, ValueError) as missing:
        raise error(
            f"the {kind} {name!r} stands for {path!r}, which cannot be had: {missing}; mend or uninstall its package"
        ) from missing


def named_in(variable: str) -> tuple[str, ...]:
    """Members that an environment variable names, separated by commas: those of which there are too many to list."""
    return tuple(filter(None, map(str.strip, os.environ.get(variable, "").split(","))))
