"""Trained agents in the grid: those that differ in the training seed alone are one agent.

Runs tell them apart, ``NAME#SEED``; a report averages them within a topology before anything else, since they are no
samples of other topologies, and tells each by itself in an appendix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.words import named

if TYPE_CHECKING:
    from policies.allocators.contenders import Contender

APART = "#"


def agent_of(policy: str) -> tuple[str, str]:
    """Name and training seed of who made a run; rules have no seed, ""."""
    name, _, seed = policy.partition(APART)
    return name, seed


def learned(words: Sequence[str] | None) -> dict[str, Contender]:
    """Trained agents as contenders, from ``NAME=FOLDER``; what links expect is their running mean.

    Args:
        words: a folder is a run, a checkpoint, or holds runs; one name may come several times.

    Raises:
        InvalidParameter: a word is no such pair, a name is taken or no word, a folder holds no agent, or two of one
            name have the same training seed or differ in more than that.
    """
    from policies.allocators.contenders import CONTENDERS
    from policies.allocators.dpem.grid import BOUND

    found: dict[str, Contender] = {}
    kinds: dict[str, Any] = {}
    for word in words or ():
        ((name, folder),) = named("checkpoint", [word]).items()
        if name in {*CONTENDERS, BOUND} or not name.isidentifier():
            raise InvalidParameter(f"checkpoint: wanted a word that is no policy's name, got {short(name)}")
        for path in _runs(Path(folder)):
            seed, kind, one = _entrant(path)
            entry = f"{name}{APART}{seed}"
            if entry in found:
                raise InvalidParameter(f"checkpoint: wanted other training seeds of {name}, got {seed} again: {path}")
            if kinds.setdefault(name, kind) != kind:
                raise InvalidParameter(f"checkpoint: wanted {name} trained alike but for the seed, got another: {path}")
            found[entry] = one
    return found


def _runs(folder: Path) -> Iterator[Path]:
    """The folder, or those in it that are runs where it is none itself."""
    from policies.learners.kit.checkpoint import exists

    within = sorted(path for path in folder.glob("*") if exists(path)) if not exists(folder) else []
    yield from within or [folder]


def _entrant(folder: Path) -> tuple[int, Any, Contender]:
    """Training seed, how it was trained otherwise, and the agent.

    What it began with is another checkpoint for each seed, so that it only counts whether there was one.
    """
    from policies.allocators.contenders import by_rule
    from policies.allocators.dpem.evaluation import rule_on
    from policies.allocators.dpem.learner import read_run
    from policies.learners.kit.checkpoint import load

    found = load(folder, read_run)
    agent: Any = found.actor()
    known = found.run.document()
    kind = {**known, "seed": None, "start": "start" in known, "epochs": len(found.curve)}
    return found.run.seed, kind, by_rule(partial(rule_on, agent), checkpoint=found.name)
