"""``MEQC-v2``: MEQC where what is done now changes what comes, thousands of worlds side by side, in torch.

Source: ours throughout; tasks, channels and costs are the paper's. In the paper slots are independent, so that nothing
is gained by looking ahead. Here

* a QPU that has taken a task is held for ``hold_slots`` slots, this one included; the server's processor is not,
* a server's decay time gamma^-1 wanders: ln(gamma^-1 / its mean) is an AR(1) process that nobody observes, so that
  whether a QPU succeeds often enough, eqs (10) and (11), has to be remembered or guessed,
* what users compute themselves comes out of a battery for the whole episode; who cannot pay for the share it chose
  keeps what it can pay for and sends the rest. The radio has a reserve of its own.

Servers admit only where the QPU is cheaper (economic), and users may decline it (``Action.asks``): a QPU taken for a
small saving is missing for a large one. Servers' levels and qubits stay for the episode. Episodes have a fixed number
of slots, which agents see running down: they terminate, and are not cut off.

Deviation: drifting quality changes the chance of success alone; powers stay those of the mean decay time (they differ
by less than 1 % at 2 ms, where 95 % is the cryostat's).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from circuits.parameters import integer, real
from policies.envs.contract import Action, Observation, Step
from policies.envs.meqc.batch import Slots, local, settle
from policies.envs.meqc.model import Model
from policies.envs.meqc.observation import NUM_PAIR_FEATURES, NUM_USER_FEATURES
from policies.envs.meqc.world import Setting, World, rewards


@dataclass(frozen=True)
class SequentialSetting(Setting):
    """Of a sequential world; what is not listed here is as in :class:`~policies.envs.meqc.world.Setting`.

    Attributes:
        episode_slots: T.   hold_slots: for how many slots a task holds a QPU, the one in which it came included.
        drift_memory: correlation of ln(gamma^-1) from slot to slot.   drift_spread: its standard deviation.
        battery_j: what each user's processor may spend in an episode.

    Holding time and battery were chosen after looking: of 27 combinations tried on one seed these are among those
    where looking ahead gains most, 3 % (a held QPU gains less where more users compete for it).
    """

    episode_slots: int = integer(64, low=1, high=1_000_000, doc="slots of an episode")
    hold_slots: int = integer(8, low=1, high=10_000, doc="slots for which a task holds a QPU")
    drift_memory: float = real(0.95, low=0.0, high=0.999999, doc="correlation of a QPU's quality from slot to slot")
    drift_spread: float = real(0.5, low=0.0, high=5.0, doc="standard deviation of the logarithm of the decay time")
    battery_j: float = real(8.0, low=0.0, high=1e12, doc="energy of each user's own processor in an episode")
    model: Model = field(default_factory=lambda: Model(qpu_use="economic"))

    overrides: ClassVar[Mapping[str, Any]] = {"qpu_use": "economic"}


class SequentialWorld(World):
    """B worlds at once, in step; the same seed gives the same tasks, servers and drift, whatever is done in them.

    Attributes:
        slots: of now; ``ready`` is seen, ``error_ratio`` is not.
        slot: number of it in the episode, from 0.
        held: slots for which each QPU is still held, (B, E).   charge_j: left in batteries, (B, U).
    """

    setting: SequentialSetting
    setting_type = SequentialSetting
    num_features = (NUM_USER_FEATURES + 3, NUM_PAIR_FEATURES + 1)
    time_left = NUM_USER_FEATURES + 1
    may_decline = True
    source = None

    def _begin(self) -> None:
        """A new episode: other servers, full batteries."""
        setting = self.setting
        self.slot = 0
        fresh = self._drawn()
        self._level, self._qubits = fresh.level, fresh.qubits
        self._drift = setting.drift_spread * self._noise()
        self.held = torch.zeros_like(fresh.level)
        self.charge_j = torch.full_like(fresh.local_hz, setting.battery_j)
        self._was_on_qpu = torch.zeros_like(fresh.local_hz)
        self.slots = self._seen(fresh)

    def _noise(self) -> Tensor:
        shape = (self.num_worlds, self.setting.servers)
        return torch.randn(shape, generator=self._chance, device=self._chance.device, dtype=self.dtype)

    def _seen(self, fresh: Slots) -> Slots:
        """Fresh tasks and channels at this episode's servers; eps_err goes with 1 / gamma^-1, eq. (37)."""
        ready, ratio = (self.held == 0).to(self.dtype), torch.exp(-self._drift)
        return replace(fresh, level=self._level, qubits=self._qubits, ready=ready, error_ratio=ratio)

    def observe(self) -> Observation:
        """What the agents see now, (B, U, 12) and (B, U, E, 4): what they see in ``MEQC-v1`` and more.

        Of a user: battery, time left, whether its last task ran on a QPU; of a server: how long its QPU is still held.
        """
        setting, seen = self.setting, super().observe()
        left = torch.full_like(self.charge_j, 1.0 - self.slot / setting.episode_slots)
        more = torch.stack([self.charge_j / max(setting.battery_j, 1e-9), left, self._was_on_qpu], dim=-1)
        held = (self.held / setting.hold_slots).unsqueeze(1).expand_as(self.slots.gain)
        return Observation(torch.cat([seen.user, more], dim=-1), torch.cat([seen.pair, held.unsqueeze(-1)], dim=-1))

    def answers(self, request: Action) -> Tensor:
        """Whom servers would admit if this were done, bool (B, U); nobody is bound by it."""
        return settle(self.setting.model, self.slots, request).on_qpu

    def step(self, action: Action) -> Step:
        """Take an action and go on to the next slot, or to the next episode."""
        setting, slots = self.setting, self.slots
        own_j = local(setting.model, slots)[1]
        action = replace(action, shares=torch.minimum(action.shares, affordable(self.charge_j, own_j)))
        outcome = settle(setting.model, slots, action)
        reward = rewards(setting, slots, action, outcome)
        self.charge_j = (self.charge_j - action.shares * own_j).clamp_(min=0.0)
        taken = torch.zeros_like(self.held).scatter_reduce(1, action.servers, outcome.on_qpu.to(self.dtype), "amax")
        self.held = torch.where(taken > 0, float(setting.hold_slots), self.held).sub_(1.0).clamp_(min=0.0)
        self._was_on_qpu = outcome.on_qpu.to(self.dtype)
        self.slot += 1
        ends = self.slot == setting.episode_slots
        if ends:
            self._begin()
        else:
            kept = setting.drift_memory
            self._drift = kept * self._drift + math.sqrt(1.0 - kept**2) * setting.drift_spread * self._noise()
            self.slots = self._seen(self._drawn())
        return Step(reward, outcome, ends)


def affordable(charge_j: Tensor, own_j: Tensor) -> Tensor:
    """Largest share of a task that each battery pays for, in [0, 1]."""
    return (charge_j / own_j).nan_to_num(1.0, posinf=1.0).clamp(max=1.0)
