"""What no play of an episode of ``QCN-v2`` goes below: every slot at its best, with nothing to wait for.

Source: ours. Slots of an episode are tied by backlogs alone, and a backlog only adds to what users wait for. Without
them each slot costs at least its own optimum (:mod:`policies.envs.qcn.optimum`), so the mean of these is a bound for
whoever plays, whatever is known of the future. It is attained where those optima leave no backlog behind.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.envs.contract import Action
from policies.envs.hindsight import Hindsight
from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.known_optima import unhindered
from policies.envs.qcn.optimum import optima
from policies.envs.qcn.rules import stay_local
from policies.envs.qcn.sequential import SequentialSetting, SequentialWorld


def hindsight(
    setting: SequentialSetting,
    seed: int,
    num_worlds: int = 1,
    *,
    first: int | None = None,
    time_limit_s: float = 20.0,
) -> list[Hindsight]:
    """Of the first episode of each of so many worlds with this seed.

    Args:
        first: of how many of them; None: of all.   time_limit_s: of a slot's program, where there is one.
    """
    world, bounds, attained = SequentialWorld(setting, num_worlds, seed, dtype=torch.float64), [], []
    for slot in range(setting.episode_slots):
        slots = unhindered(world.slots).at(slice(first))
        found = optima(setting.model, slots, time_limit_s)
        bounds.append([one.lower_bound for one in found])
        action = Action(
            torch.tensor([one.servers for one in found]),
            torch.tensor([one.shares for one in found], dtype=torch.float64),
        )
        is_last = slot == setting.episode_slots - 1
        in_time = _busy_s(setting, slots, action) <= (torch.inf if is_last else setting.slot_s)
        attained.append([one.exact and bool(each) for one, each in zip(found, in_time, strict=True)])
        world.step(stay_local(world, torch.Generator()))
    return [
        Hindsight(sum(costs) / len(costs), all(exact))
        for costs, exact in zip(zip(*bounds, strict=True), zip(*attained, strict=True), strict=True)
    ]


def _busy_s(setting: SequentialSetting, slots: Slots, action: Action) -> Tensor:
    """How long the busiest place of each slot works on what comes, (B,)."""
    outcome = settle(setting.model, slots, action)
    return torch.zeros_like(slots.server_flops).scatter_add(1, outcome.reached, outcome.load_s).amax(-1)
