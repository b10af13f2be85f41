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

from circuits.parameters import choice, integer, real
from policies.envs.contract import Action, Observation
from policies.learners.dqn import DoubleQ, Valuer
from policies.learners.kit.joint import MIDDLES, JointNetwork, joint_action, num_joint
from policies.learners.kit.off_policy import OffPolicyConfig
from policies.learners.kit.ways import num_requests


@dataclass(frozen=True)
class Config(OffPolicyConfig):
    """How to train, and on what; ``width`` and ``actor_rate`` are not used."""

    network: str = choice("vqc", *MIDDLES, doc="circuits, or a twin with as many weights")
    circuits: int = integer(8, low=1, high=1024, doc="circuits of four qubits, side by side")
    learning_rate: float = real(5e-3, low=1e-8, high=1.0, doc="first step size of Adam")


class JointValues(Valuer):
    """Values of all joint actions."""

    def __init__(self, network: JointNetwork, num_ways: int, requests: int) -> None:
        super().__init__(requests)
        self.network, self.joint = network, num_ways

    def forward(self, seen: Observation) -> Tensor:
        """(B, 1, joint actions)."""
        return self.network(seen).unsqueeze(1)

    def num_ways(self, seen: Observation) -> int:
        return self.joint

    def action(self, seen: Observation, way: Tensor, share: Tensor) -> Action:
        return joint_action(way, seen, self.requests)


class VqcQ(DoubleQ):
    """Trains :class:`JointValues`."""

    config_type = Config
    central = True

    def _built(self) -> nn.ModuleDict:
        setting, config, num = self.setting, self.config, num_joint(self.setting)
        seed = int(torch.randint(2**31, ()))
        size, features = (setting.users, setting.servers), self._world.num_features
        network = JointNetwork(size, features, num, config.network, config.circuits, seed)
        return nn.ModuleDict({"act": JointValues(network, num, num_requests(setting))})
