"""Policies on the same slots: who plays, and what each slot costs everybody.

In any world, a seed gives the same slots to all who play (:mod:`policies.envs.contract`): costs are compared slot by
slot. Learned policies come from checkpoints; those of one learner and config that differ in seed are runs
of one policy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs import load
from policies.envs.contract import Action, Observation, Rule
from policies.envs.known_optima import Tell, best_actions
from policies.learners.kit import checkpoint
from policies.learners.learner import Actor

Floats = NDArray[np.float64]
OPTIMUM = "optimum"
NUM_WORLDS = 100
"""Slots that are played at once. It is part of what a seed stands for: other numbers give other slots."""


@dataclass(frozen=True)
class Cell:
    """One world that everybody plays: its name, its setting, and the seeds and slots of each seed."""

    env: str
    setting: Any
    seeds: tuple[int, ...]
    num_slots: int

    @property
    def weights(self) -> tuple[float, float]:
        """Of delay and energy."""
        return self.setting.delay_weight, self.setting.energy_weight

    @property
    def is_exact(self) -> bool:
        """Whether optima are proven, and not only bracketed."""
        exact: bool = self.setting.exact_optimum
        return exact

    @property
    def num_worlds(self) -> int:
        """Worlds side by side: so many that all of a sequential world's episodes are played to their end."""
        episode_slots = getattr(self.setting, "episode_slots", None)
        return NUM_WORLDS if episode_slots is None else -(-self.num_slots // episode_slots)


@dataclass(frozen=True)
class Entrant:
    """A policy that plays: one run of a rule, or several of a learner, in the cells that they were trained for.

    Attributes:
        name: what it is called.   runs: its checkpoints; none of a rule.
    """

    name: str
    runs: tuple[checkpoint.Checkpoint, ...] = ()

    def fitting(self, setting: Any) -> tuple[checkpoint.Checkpoint, ...]:
        """Runs for a setting: those trained for just its size and weights, else those for all weights, else all."""

        def shape(one: Any) -> tuple[Any, ...]:
            return one.users, one.servers, one.delay_weight, one.energy_weight, one.weights

        exactly = tuple(run for run in self.runs if shape(run.run.setting) == shape(setting))
        every = tuple(run for run in self.runs if run.run.setting.weights == "drawn")
        return exactly or every or self.runs


def entrants(words: Sequence[str], env: str = "MEQC-v1") -> list[Entrant]:
    """Who plays in a world: names of its rules, ``optimum``, and folders of checkpoints, of runs, or of several runs.

    ``NAME=FOLDER`` calls the runs of a folder so; else they are called after their learner.

    Raises:
        InvalidParameter: a word is neither a rule nor a folder with a checkpoint.
    """
    known = (*load(env).rules, OPTIMUM)
    rules: list[Entrant] = []
    learned: dict[tuple[str, str], list[checkpoint.Checkpoint]] = {}
    for word in map(str.strip, words):
        if word in known:
            rules.append(Entrant(word))
            continue
        name, equals, folder = word.partition("=")
        if equals and name in known:
            raise InvalidParameter(f"policies: wanted a name of its own for {folder}, got {name}, which is a rule's")
        for each in _checkpoints(Path(folder if equals else word), known):
            document = each.run.document()
            kind = {"config": document["config"], "reward": document["setting"].get("reward")}
            key = (name if equals else each.run.learner, "" if equals else json.dumps(kind, sort_keys=True))
            learned.setdefault(key, []).append(each)
    found, taken = rules, {one.name for one in rules}
    for (wanted, _), runs in learned.items():
        numbered = (wanted if number == 1 else f"{wanted} {number}" for number in range(1, len(learned) + 2))
        name = next(each for each in numbered if each not in taken)
        taken.add(name)
        found.append(Entrant(name, tuple(runs)))
    return found


def _checkpoints(folder: Path, known: Sequence[str]) -> list[checkpoint.Checkpoint]:
    if not folder.name or not folder.is_dir():
        raise InvalidParameter(
            f"policies: wanted {', '.join(known)} or a folder of a checkpoint, got {short(str(folder))}"
        )
    if checkpoint.exists(folder) or (folder / checkpoint.FILES[0]).exists():
        return [checkpoint.load(folder)]
    runs = [each for each in sorted(folder.iterdir()) if checkpoint.exists(each)]
    if not runs:
        raise InvalidParameter(f"policies: wanted a folder with checkpoints, got {short(str(folder))}, which has none")
    return [checkpoint.load(each) for each in runs]


def visited(cell: Cell, seed: int, player: Rule) -> Iterator[tuple[Any, Tensor]]:
    """Slots and what each cost, float64 (num_worlds,), until there are enough of them."""
    world = load(cell.env)(cell.setting, cell.num_worlds, seed, dtype=torch.float64)
    chance = torch.Generator().manual_seed(seed)
    for _ in range(0, cell.num_slots, cell.num_worlds):
        slots = world.slots
        with torch.no_grad():
            action = player(world, chance)
        yield slots, world.step(action).outcome.cost.sum(-1)


def costs(cell: Cell, player: Rule) -> Floats:
    """What each slot of each seed cost all users; (num_seeds num_slots,)."""
    each = [torch.cat([cost for _, cost in visited(cell, seed, player)])[: cell.num_slots] for seed in cell.seeds]
    return np.asarray(torch.cat(each).numpy(), dtype=np.float64)


def rule(cell: Cell, name: str, tell: Tell | None = None) -> Rule:
    """A world's own, or the best action that is known of every slot."""
    kind, done = load(cell.env), [0]
    if name != OPTIMUM:
        found: Rule = kind.rules[name]
        return found
    if kind.source is None:
        raise InvalidParameter(
            f"policies: wanted rules and checkpoints in {cell.env}, got {OPTIMUM}, which is of slots"
        )

    def best(world: Any, _: torch.Generator) -> Action:
        action = best_actions(kind.source, cell.setting.model, world.slots).action
        done[0] += cell.num_worlds
        if tell:
            tell(min(done[0], cell.num_slots * len(cell.seeds)), cell.num_slots * len(cell.seeds))
        return action

    return best


def learned(actor: Actor) -> Rule:
    """A trained actor; its networks are float32, the world's costs float64. It may talk where servers answer."""

    def act(world: Any, _: torch.Generator) -> Action:
        seen: Observation = world.observe()
        ask = {"ask": world.answers} if getattr(actor, "rounds", 0) and hasattr(world, "answers") else {}
        action = actor.act(Observation(seen.user.float(), seen.pair.float()), **ask)
        return replace(action, shares=action.shares.double().clamp(0.0, 1.0))

    return act


def players(cell: Cell, entrant: Entrant, tell: Tell | None = None) -> list[Rule]:
    """One for each run of an entrant that is for this cell.

    Raises:
        InvalidParameter: a checkpoint's weights are not those of its learner, or there is no optimum to play.
    """
    if not entrant.runs:
        return [rule(cell, entrant.name, tell)]
    return [learned(run.actor()) for run in entrant.fitting(cell.setting)]


def play(cell: Cell, entrant: Entrant, tell: Tell | None = None) -> Floats | None:
    """Costs of all of an entrant's runs, (num_runs, num_slots); None if it was made for other sizes.

    Raises:
        InvalidParameter: see :func:`players`; or a checkpoint of this size cannot act here.
    """
    able = players(cell, entrant, tell)
    try:
        return np.stack([costs(cell, player) for player in able])
    except (RuntimeError, IndexError, InvalidParameter) as error:  # layers of another width, or so many words
        sizes = {(run.run.setting.users, run.run.setting.servers) for run in entrant.fitting(cell.setting)}
        if entrant.runs and (cell.setting.users, cell.setting.servers) not in sizes:
            return None
        raise InvalidParameter(f"policies: {entrant.name} cannot act in {cell.env}: {error}") from error


def lower_bound(cell: Cell) -> float:
    """Mean of what no action goes below in each slot, whatever was done before, where optima are only bracketed."""
    kind, model = load(cell.env), cell.setting.model
    anybody = next(iter(kind.rules.values()))

    def bound(slots: Any) -> Tensor:
        return best_actions(kind.source, model, kind.source.unhindered(slots)).lower_bound

    each = [torch.cat([bound(slots) for slots, _ in visited(cell, seed, anybody)]) for seed in cell.seeds]
    return float(torch.cat([one[: cell.num_slots] for one in each]).mean())


Played = Mapping[str, Floats]
"""Costs by policy, (num_runs, num_slots) each."""


def contest(
    cell: Cell, playing: Sequence[Entrant], tell: Callable[[str, int, int], object] | None = None
) -> dict[str, Floats]:
    """Everybody plays a cell; who was made for other sizes is left out.

    Args:
        tell: is told who plays, how many slots are done, and of how many.

    Raises:
        InvalidParameter: nobody is left; or see :func:`play`.
    """
    found = {}
    for entrant in playing:
        name = entrant.name
        if tell:
            tell(name, 0, 1)
        result = play(cell, entrant, partial(tell, name) if tell else None)
        if result is not None:
            found[name] = result
    if not found:
        sizes = f"{cell.setting.users} users and {cell.setting.servers} servers"
        raise InvalidParameter(f"policies: wanted one that was made for {sizes}, got none")
    return found
