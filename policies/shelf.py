"""Trained checkpoints as policies, by name: ``placing:3f0c…``, the learner and the digest of what is in it.

A shelf is a folder of checkpoints, each in a folder named after its content (``policies.learners.kit.checkpoint``): the
user's own (``QORCH_CHECKPOINTS``; by default ``checkpoints`` in the data folder) and the one that comes with qorch. A
name may be cut short as long as only one checkpoint begins with it. Listing reads names and configurations alone.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import short
from orchestrator.settings import Settings

SHOWN = 12
"""Digits of a name in a list."""

LEAST = 4
"""Digits by which a checkpoint can be called."""

_NAME = re.compile(rf"([a-z][a-z0-9_]*):([0-9a-f]{{{LEAST},32}})")
_FOLDER = re.compile(r"[0-9a-f]{32}")
_CONFIG = "config.json"
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Entry:
    """A checkpoint on a shelf.

    Attributes:
        learner, env, epochs: as its configuration says; nothing was checked yet.
    """

    folder: Path
    learner: str
    env: str
    epochs: int

    @property
    def name(self) -> str:
        """By which a job asks for it."""
        return f"{self.learner}:{self.folder.name[:SHOWN]}"


def shelves() -> tuple[Path, ...]:
    """Where checkpoints are looked for."""
    return Settings().shelf, Path(str(files("policies") / "checkpoints"))


def is_name(name: str) -> bool:
    """Whether that is how a checkpoint is called, be it there or not."""
    return _NAME.fullmatch(name) is not None


def entries() -> Iterator[Entry]:
    """Everything on the shelves that can be a checkpoint, each once."""
    seen = set()
    for shelf in shelves():
        with suppress(OSError):
            for folder in sorted(shelf.iterdir()):
                if _FOLDER.fullmatch(folder.name) and folder.name not in seen and (entry := _entry(folder)):
                    seen.add(folder.name)
                    yield entry


def _entry(folder: Path) -> Entry | None:
    with suppress(OSError, ValueError, RecursionError):
        path = folder / _CONFIG
        if path.stat().st_size <= _MOST_BYTES:
            found = json.loads(path.read_bytes())
            kinds = {"learner": str, "env": str, "epochs": int}
            if isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in kinds.items()):
                return Entry(folder, found["learner"], found["env"], found["epochs"])
    return None


def find(name: str) -> Entry:
    """The checkpoint of that name.

    Raises:
        InvalidParameter: it is no such name, or none or several begin with it.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InvalidParameter(
            f"a checkpoint: wanted LEARNER:HASH, with at least {LEAST} digits of the hash, got {short(name)}"
        )
    learner, digits = match.groups()
    found = [one for one in entries() if one.learner == learner and one.folder.name.startswith(digits)]
    if len(found) != 1:
        known = ", ".join(one.name for one in found or entries()) or "none"
        problem = "several checkpoints begin so" if found else "no checkpoint begins so"
        raise InvalidParameter(f"{short(name)}: {problem}; {'they are' if found else 'there are'}: {known}")
    return found[0]


def put(folder: Path, shelf: Path) -> Entry:
    """Put a checkpoint, or the last one of a run's folder, on a shelf.

    Raises:
        InvalidParameter: it is damaged, or cannot place jobs; nothing was put there then.
    """
    from policies.learned import Placed
    from policies.learners.kit.checkpoint import load

    checkpoint = load(folder)
    Placed(checkpoint)
    source = folder if folder.name == checkpoint.name else folder / checkpoint.name
    target = shelf / checkpoint.name
    if not target.exists():
        shelf.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{checkpoint.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        part.rename(target)
    entry = _entry(target)
    assert entry is not None
    return entry


class Member:
    """What stands for a checkpoint in the registry: made into a policy when it is asked to decide."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.trained_on: dict[str, Any] = {}  # behind the guardrails, whatever is in it
        self.__doc__ = self._describe()

    def _describe(self) -> str:
        try:
            one = find(self._name)
        except InvalidParameter as error:
            return str(error)
        return f"Learned by {one.learner} in {one.env}, {one.epochs} epochs{_ranges(one)}."

    def __call__(self) -> Any:
        """The policy.

        Raises:
            LookupError: there is no such checkpoint.   ValueError: it is not what it was, or cannot place jobs.
        """
        try:
            entry = find(self._name)
        except InvalidParameter as error:
            raise LookupError(str(error)) from error
        from policies.learned import Placed
        from policies.learners.kit.checkpoint import load

        try:
            return Placed(load(entry.folder))
        except InvalidParameter as error:
            raise ValueError(str(error)) from error


def _ranges(entry: Entry) -> str:
    """The longest waits that it has seen in training, where that stands in its weights."""
    with suppress(ImportError, OSError, ValueError, LookupError):
        from safetensors.numpy import load_file

        held = load_file(entry.folder / "weights.safetensors")
        return f"; up to {held['high'][0]:.0f} backends and waits of {held['high'][-1]:.3g} s"
    return ""
