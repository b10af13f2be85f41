"""``QCN-v2``: a QCN whose nodes work on what came before, thousands of networks side by side, in torch.

Source: ours throughout; tasks, rates and costs are those of ``QCN-v1``. A slot lasts ``slot_s``. What a node has not
done of a slot's tasks by then is its backlog, and whoever comes later waits for it: sending everything to where it is
fastest now is paid for by those who come next. Nodes stay for the episode. Episodes have a fixed number of slots, which
agents see running down: they terminate, and are not cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from circuits.parameters import integer, real
from policies.envs.contract import Action, Observation, Step
from policies.envs.qcn.batch import Slots
from policies.envs.qcn.known_optima import SEQUENTIAL
from policies.envs.qcn.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES, squashed
from policies.envs.qcn.world import Setting, World, paid


@dataclass(frozen=True)
class SequentialSetting(Setting):
    """Of a sequential world; what is not listed here is as in :class:`~policies.envs.qcn.world.Setting`.

    Attributes:
        episode_slots: T.   slot_s: how long a slot lasts, in which nodes work.

    With the constants "cited", the random policy keeps processors busy for 0.6 of the default slot, so that backlogs
    stay finite; sending everything to the best edge node for 1.2 of it. Chosen by these loads, before any cost was
    looked at.
    """

    episode_slots: int = integer(64, low=1, high=1_000_000, doc="slots of an episode")
    slot_s: float = real(0.2, low=0.0, high=1e9, doc="seconds of a slot, in which nodes work")

    @property
    def exact_optimum(self) -> bool:
        """Never: the best action of a slot may leave later ones a backlog, see :mod:`policies.envs.qcn.hindsight`."""
        return False


class SequentialWorld(World):
    """B worlds at once, in step; the same seed gives the same tasks and nodes, whatever is done in them.

    Attributes:
        slots: of now, with ``backlog_s``.   slot: number of it in the episode, from 0.
    """

    setting: SequentialSetting
    setting_type = SequentialSetting
    num_features = (NUM_USER_FEATURES + 1, NUM_PAIR_FEATURES + 1)
    time_left = NUM_USER_FEATURES
    source = SEQUENTIAL

    def _begin(self) -> None:
        """A new episode: other nodes, nothing to work on."""
        self.slot = 0
        fresh = self._drawn()
        self._flops = fresh.server_flops
        self.slots = self._seen(fresh, torch.zeros_like(fresh.server_flops))

    def _seen(self, fresh: Slots, backlog_s: Tensor) -> Slots:
        return replace(fresh, server_flops=self._flops, backlog_s=backlog_s)

    def observe(self) -> Observation:
        """What the agents see now, (B, U, 12) and (B, U, E, 10): what they see in ``QCN-v1`` and more.

        Of a user: time left; of a place: how long it still works, in slots (squashed).
        """
        setting, seen = self.setting, super().observe()
        left = torch.full_like(seen.user[..., :1], 1.0 - self.slot / setting.episode_slots)
        waits = squashed(self.backlog_s / max(setting.slot_s, 1e-9))
        waits = waits.unsqueeze(1).expand_as(self.slots.rate_bps).unsqueeze(-1)
        return Observation(torch.cat([seen.user, left], dim=-1), torch.cat([seen.pair, waits], dim=-1))

    @property
    def backlog_s(self) -> Tensor:
        """How long each place still works, (B, E)."""
        assert self.slots.backlog_s is not None
        return self.slots.backlog_s

    def step(self, action: Action) -> Step:
        """Take an action and go on to the next slot, or to the next episode."""
        outcome, reward = paid(self.setting, self.slots, action)
        came = torch.zeros_like(self.backlog_s).scatter_add(1, outcome.reached, outcome.load_s)
        backlog_s = (self.backlog_s + came - self.setting.slot_s).clamp(min=0.0)
        self.slot += 1
        ends = self.slot == self.setting.episode_slots
        if ends:
            self._begin()
        else:
            self.slots = self._seen(self._drawn(), backlog_s)
        return Step(reward, outcome, ends)
