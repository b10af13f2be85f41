"""Rules that play, by the words that name them, and logs of their play.

* ``random``: home or any place, with or without its QPU, each as likely (ours)
* ``local``: everybody stays at home
* ``selfish``: everybody takes its own cheapest way
* ``priced:HOLD:ENERGY``, in ``MEQC-v2``: the same at prices of a held QPU and of a joule,
  :mod:`policies.envs.meqc.pricing`
* ``central:HOLD:ENERGY``, in ``MEQC-v2``: an assignment by somebody who knows everything of the slot
* FOLDER: what was learned, of a checkpoint
* whatever the world's own ``rules`` name, or the baselines of MEQC
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs import ENVS, of
from policies.envs import load as world_type
from policies.envs.contract import Action, Rule
from policies.envs.meqc.baselines import BASELINES
from policies.envs.meqc.pricing import PLAYS, Prices
from policies.envs.meqc.sequential import SequentialSetting
from policies.envs.meqc.world import Setting
from policies.learners.kit.trajectories import TENSORS, Trajectories

NO_EPISODES = 16
"""Slots of a logged episode in a world that has none of its own."""
REFERENCE = "selfish"
PRICED = {"priced": "local", "central": "central"}
"""Plays of :data:`policies.envs.meqc.pricing.PLAYS` by the word before their prices."""

Tell = Callable[[str, int, int], object]


def slots_of_episode(setting: Any) -> int:
    """T."""
    return int(getattr(setting, "episode_slots", NO_EPISODES))


def recorded(
    setting: Any, plays: Sequence[str], num_episodes: int, seed: int, *, by: str = REFERENCE, tell: Tell | None = None
) -> Trajectories:
    """Episodes of each play, and how the reference fares on the same tasks.

    Args:
        plays: who plays, in the words above.   num_episodes: of each.   seed: of the first play's worlds.
        by: the reference rule.   tell: is told who plays, how many plays are done, and of how many.

    Raises:
        InvalidParameter: a word names nobody, or the world is none that is registered.
    """
    kind, rules = of(setting), [rule_of(setting, word) for word in plays]
    reference = rule_of(setting, by)
    parts = []
    for number, (word, rule) in enumerate(zip(plays, rules, strict=True)):
        if tell:
            tell(word, number, len(plays))
        worlds = [kind(setting, num_episodes, seed + number, dtype=torch.float64) for _ in range(2)]
        played = _played(worlds[0], rule, seed + number)
        played["reference"] = _played(worlds[1], reference, seed + number)["reward"]
        parts.append(played | {"play": torch.full((num_episodes,), number)})
    joined = {name: torch.cat([part[name] for part in parts]).to(TENSORS[name][1]) for name in TENSORS}
    return Trajectories(_name(kind), setting, tuple(plays), by, seed, **joined)


def _played(world: Any, rule: Rule, seed: int) -> dict[str, Tensor]:
    """One episode of each world, by the names of :data:`TENSORS`."""
    chance, slots = torch.Generator().manual_seed(seed), []
    for _ in range(slots_of_episode(world.setting)):
        seen = world.observe()
        with torch.no_grad():
            action = rule(world, chance)
        step = world.step(action)
        asks = torch.ones_like(action.servers, dtype=torch.bool) if action.asks is None else action.asks
        terminated = torch.full((world.num_worlds,), step.terminated)
        done = {"servers": action.servers, "shares": action.shares, "asks": asks, "reward": step.reward}
        felt = {"cost": step.outcome.cost.sum(-1), "terminated": terminated}
        slots.append({"user": seen.user, "pair": seen.pair, **done, **felt})
    return {name: torch.stack([slot[name] for slot in slots], dim=1) for name in slots[0]}


def _name(kind: type) -> str:
    return next(name for name in ENVS if world_type(name) is kind)


def rule_of(setting: Any, word: str) -> Rule:
    """Who plays, by name.

    Raises:
        InvalidParameter: nobody has that name in this world.
    """
    name, _, prices = word.partition(":")
    if isinstance(setting, SequentialSetting) and (name in PRICED or word == REFERENCE):
        return _priced(PRICED.get(name, "local"), word, prices or "0:0")  # MEQC-v1's would see the hidden quality
    own = getattr(of(setting), "rules", {})
    if word in own:
        return own[word]  # type: ignore[no-any-return]
    if word in ANYWHERE:
        return ANYWHERE[word]
    if isinstance(setting, Setting) and word in BASELINES:
        return lambda world, chance: BASELINES[word](world.setting.model, world.slots, chance)
    if Path(word).is_dir():
        return _learned(Path(word))
    known = [*ANYWHERE, *own, *(BASELINES if isinstance(setting, Setting) else ())]
    more = ["priced:HOLD:ENERGY", "central:HOLD:ENERGY"] * isinstance(setting, SequentialSetting)
    raise InvalidParameter(f"plays: wanted {', '.join([*known, *more])} or a checkpoint's folder, got {short(word)}")


def _priced(play: str, word: str, prices: str) -> Rule:
    try:
        hold, energy = (float(each) for each in prices.split(":"))
    except ValueError as error:
        raise InvalidParameter(f"plays: wanted two prices such as priced:2:8, got {short(word)}") from error
    added = Prices(hold, energy)

    def rule(world: Any, _: torch.Generator) -> Action:
        action = PLAYS[play](world, added)
        # what a battery does not pay for is sent on by the world: who stays keeps all, as far as the choice goes
        return replace(action, shares=(action.shares > 0).to(action.shares.dtype))

    return rule


def _learned(folder: Path) -> Rule:
    from policies.envs.contest import learned
    from policies.learners.kit.checkpoint import load

    return learned(load(folder).actor())


def _random(world: Any, chance: torch.Generator) -> Action:
    setting = world.setting
    shape = (world.num_worlds, setting.users)
    chosen = torch.randint(setting.servers + 1, shape, generator=chance)
    asks = torch.randint(2, shape, generator=chance).bool() if world.may_decline else None
    return Action((chosen - 1).clamp(min=0), (chosen == 0).to(world.dtype), asks)


def _local(world: Any, _: torch.Generator) -> Action:
    shape = (world.num_worlds, world.setting.users)
    return Action(torch.zeros(shape, dtype=torch.long), torch.ones(shape, dtype=world.dtype))


ANYWHERE: dict[str, Rule] = {"random": _random, "local": _local}
"""Rules that need to know nothing of the world."""
