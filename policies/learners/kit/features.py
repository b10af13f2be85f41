"""What an agent can work out from its own observation by the model it knows: prices of every way of doing its task.

Source: ours. An observation, eq. (16) of the MEQC paper, holds everything that the user's own costs depend on:
:func:`policies.envs.meqc.observation.slots_of` turns it back into quantities, and
:func:`policies.envs.meqc.baselines.priced` prices them. Nothing of other users goes in but their number. All features
are ratios, logarithms or fractions: they look alike in worlds of any size.

Pair features, by index, of user u and server e; "way" is what the server would do with the task if nobody came before:
    0 log(processor / local) · 1 log(QPU / local) · 2 whether the QPU takes it · 3 log(way / local)
    4 log(way / best other way of u) · 5 saving of the QPU over the scale of the weights, compressed by asinh
    6 log(upload time / local time) · 7 log(processor time / local time) · 8 to 10 level 1, 2, 3 · 11 log(users per
    server of this level) · 12 (gain - 4) / 4 · 13 server's qubits / 5000
and after servers announced who came (:class:`policies.learners.kit.marginals.Told`), when "way" counts them:
    14 whether u came itself · 15 log(1 + others that came) · 16 whether another wants the QPU · 17 own saving less the
    largest of another, compressed by asinh · 18 part of the rounds that is over
Where device and server work at once, "way" is the better of no share and the balanced one.
User features, by index: the nine of :mod:`policies.envs.meqc.observation`, then
    9 log(local / scale) · 10 to 12 fraction of servers of level 1, 2, 3 · 13 log(users per server)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policies.envs.contract import Observation
from policies.envs.meqc.baselines import Priced, priced
from policies.envs.meqc.batch import Slots, local, remote
from policies.envs.meqc.model import LEVELS
from policies.envs.meqc.moves import balanced
from policies.envs.meqc.observation import NUM_USER_FEATURES, slots_of
from policies.envs.meqc.world import Setting
from policies.learners.kit.marginals import NOBODY, Told, joined

NUM_PAIR = 14
NUM_TOLD = 5
NUM_USER = NUM_USER_FEATURES + 5
WIDEST = 6.0
"""Logarithms are cut off here: what costs 400 times as much is not worth telling from what costs more."""


@dataclass(frozen=True)
class Features:
    """What a network sees.

    Attributes:
        pair: (B, U, E, 14), or 19 with what servers announced.   user: (B, U, 14).
        way: logarithm of feature 3 before it is cut off, (B, U, E).
        known: prices behind them.
        balanced: share with which device and processor would end together, (B, U, E).
    """

    pair: Tensor
    way: Tensor
    user: Tensor
    known: Priced
    balanced: Tensor


def scale(slots: Slots) -> Tensor:
    """What a task costs at home on average under each user's weights, (B, U): costs and savings are measured by it."""
    return slots.delay_weight * MEAN_LOCAL_S + slots.energy_weight * MEAN_LOCAL_J


MEAN_LOCAL_S = 233.0
MEAN_LOCAL_J = 3.8
"""Rounded means of eq. (1) over the worlds of MEQC, V.A        (ours)."""


def _log(ratio: Tensor) -> Tensor:
    return torch.log(ratio.clamp(min=1e-12)).clamp(-WIDEST, WIDEST)


def features(setting: Setting, seen: Observation, told: Told | None = None) -> Features:
    """What each agent's network sees."""
    model, slots = setting.model, slots_of(seen, setting.deepest)
    known, there = priced(model, slots), remote(model, slots)
    local_s = local(model, slots)[0].unsqueeze(-1)
    home, unit = known.local.unsqueeze(-1), scale(slots).unsqueeze(-1)
    num_users, num_servers = known.cpu.shape[1:]
    rival = torch.full_like(known.cpu, NOBODY) if told is None else told.rival
    crowd = 1.0 if told is None or model.bandwidth == "full" else 1.0 + told.others
    upload_s, upload_j = there.upload_s * crowd, there.upload_j * crowd
    share, together = balanced(model, slots, upload_s + there.cpu_s, upload_j + there.cpu_j)
    way = joined(known, rival) if model.overlap == "sum" else together
    saving = (known.cpu - known.qpu) / unit
    levels = torch.stack([slots.level == level for level in LEVELS], dim=-1).to(way.dtype)  # (B, E, 3)
    of_level = levels.sum(1)  # (B, 3)
    wanted_by = torch.log(num_users / (levels * of_level.unsqueeze(1)).sum(-1).clamp(min=1.0))  # (B, E)
    pair = [
        _log(known.cpu / home),
        _log(known.qpu / home),
        known.takes.to(way.dtype),
        _log(way / home),
        _log(way / _best_other(torch.cat([home, way], dim=-1))[..., 1:]),
        _compressed(saving),
        _log(there.upload_s / local_s),
        _log(there.cpu_s / local_s).expand_as(way),
        *levels.unsqueeze(1).expand(-1, num_users, -1, -1).unbind(-1),
        wanted_by.unsqueeze(1).expand_as(way),
        seen.pair[..., 0],
        seen.pair[..., 2],
    ]
    if told is not None:
        wanted = rival > NOBODY
        lead = _compressed(torch.where(wanted, saving - rival / unit, 0.0))
        pair += [told.here, torch.log1p(told.others), wanted, lead, torch.full_like(way, told.round)]
    shared = [
        *(of_level / num_servers).unsqueeze(1).expand(-1, num_users, -1).unbind(-1),
        torch.full_like(known.local, num_users / num_servers).log(),
    ]
    user = torch.cat([seen.user, torch.stack([_log(known.local / unit[..., 0]), *shared], dim=-1)], dim=-1)
    return Features(
        torch.stack([each.to(way.dtype) for each in pair], dim=-1),
        torch.log((way / home).clamp(min=1e-12)),
        user,
        known,
        share,
    )


def _compressed(savings: Tensor) -> Tensor:
    return torch.asinh(5.0 * savings).clamp(-WIDEST, WIDEST)


def _best_other(costs: Tensor) -> Tensor:
    """For each entry of the last dimension the smallest of the others."""
    least = costs.topk(min(2, costs.shape[-1]), dim=-1, largest=False)
    first, second = least.values[..., :1], least.values[..., -1:]
    at = torch.arange(costs.shape[-1], device=costs.device) == least.indices[..., :1]
    return torch.where(at, second, first)
