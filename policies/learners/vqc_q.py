"""Q-learning on variational circuits: one agent for all users of a small world values each joint action.

Sources: Skolik, Jerbi and Dunjko, "Quantum agents in the Gym: a variational quantum algorithm for deep Q-learning",
Quantum 6, 720, 2022; Lockwood and Si, "Reinforcement learning with quantum variational circuits", AIIDE 2020: replay,
targets, trainable scaling of inputs and outputs. What the circuit is and how it differs is in
:mod:`policies.learners.kit.joint`, with its classical twins (``network``); how it is trained, which is the same for the
twins, in :mod:`policies.learners.kit.off_policy`. Double targets as in :mod:`policies.learners.dqn` (ours).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from circuits.parameters import choice, integer, real
from policies.envs.contract import Action, Observation
from policies.learners.kit.joint import MIDDLES, JointNetwork, joint_action, num_joint
from policies.learners.kit.off_policy import Chooser, OffPolicy, OffPolicyConfig
from policies.learners.kit.replay import Met
from policies.learners.kit.ways import num_requests


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """How to train, and on what; ``width`` and ``actor_rate`` are not used."""

    network: str = choice("vqc", *MIDDLES, doc="circuits, or a twin with as many weights")
    circuits: int = integer(8, low=1, high=1024, doc="circuits of four qubits, side by side")
    learning_rate: float = real(5e-3, low=1e-8, high=1.0, doc="first step size of Adam")


class JointValues(Chooser):
    """Values of all joint actions."""

    def __init__(self, network: JointNetwork, num_ways: int, requests: int) -> None:
        super().__init__()
        self.network, self.joint, self.requests = network, num_ways, requests

    def forward(self, seen: Observation) -> Tensor:
        """(B, 1, joint actions)."""
        return self.network(seen).unsqueeze(1)

    def best(self, seen: Observation) -> tuple[Tensor, Tensor]:
        way = self(seen).argmax(-1)
        return way, torch.zeros_like(way, dtype=seen.user.dtype)

    def num_ways(self, seen: Observation) -> int:
        return self.joint

    def action(self, seen: Observation, way: Tensor, share: Tensor) -> Action:
        return joint_action(way, seen, self.requests)


class VqcQ(OffPolicy):
    """Trains :class:`JointValues`."""

    config_type = Config
    central = True

    def _built(self) -> nn.ModuleDict:
        setting, config, num = self.setting, self.config, num_joint(self.setting)
        seed = int(torch.randint(2**31, ()))
        size, features = (setting.users, setting.servers), self._world.num_features
        network = JointNetwork(size, features, num, config.network, config.circuits, seed)
        return nn.ModuleDict({"act": JointValues(network, num, num_requests(setting))})

    def _value(self, after: Observation) -> Tensor:
        best = self._networks["act"](after).argmax(-1, keepdim=True)
        value: Tensor = self._targets["act"](after).gather(-1, best).squeeze(-1)
        return value

    def _loss(self, met: Met, aim: Tensor) -> Tensor:
        value = self._networks["act"](met.seen).gather(-1, met.way.unsqueeze(-1)).squeeze(-1)
        loss: Tensor = smooth_l1_loss(value, aim)
        return loss
