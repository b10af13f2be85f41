"""Quantum-inspired reinforcement learning: amplitudes of actions, amplified when they turn out well.

Source: Dong, Chen, Li and Tarn, "Quantum reinforcement learning", IEEE Trans. SMC-B 38(5), 2008 (arXiv 0810.3828): we
have read abstract and captions, and others' implementations (second-hand). Each state has a superposition of actions,
which collapses to one when it is measured; V(s) += alpha (r + gamma V(s') - V(s)). After action a, L = int(k (r +
V(s'))) Grover iterations turn the state by 2 theta each: a's probability sin^2(theta) becomes sin^2((2 L + 1) theta).
Simulated exactly, without a quantum computer: the amplitudes are the table.

Ours: theta is that of a's amplitude now: iterations reflect about the state's own superposition (Brassard et al. 2002,
amplitude amplification) and not about the even one, which would turn an uneven superposition out of the plane, and stop
where a is most likely. L is int(k (r + gamma V(s') - V(s))), since what is good about the state itself should not make
its actions sure. The reward is minus the mean cost of all users, less its running mean and
over its deviation, compressed by asinh. One agent acts for all users of a small world; states are the signs of random
projections of what all see (Charikar 2002). Nothing is ever made less likely but by another's amplification, as in the
paper: where chance decides what an action costs, a lucky one can win.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from circuits.parameters import integer, real, validate
from policies.envs import ENVS, of
from policies.envs.contract import Action, Observation
from policies.learners.kit.heads import draw_server
from policies.learners.kit.joint import everything, joint_action, num_joint, num_seen
from policies.learners.kit.running import Running
from policies.learners.kit.ways import horizon, num_requests
from policies.learners.learner import Progress


@dataclass(frozen=True)
class Config:
    """How to train.

    Attributes:
        bits: of a state.   worlds: played at once.   steps: of an epoch, rounded up to whole episodes.
        gain: k, iterations for a reward that is a deviation better than expected.
    """

    bits: int = integer(5, low=0, high=16, doc="bits of a state")
    worlds: int = integer(32, low=1, high=1_000_000, doc="worlds played at once")
    steps: int = integer(32, low=1, high=1_000_000, doc="steps of an epoch, at least an episode")
    gain: float = real(3.0, low=0.0, high=1e6, doc="k, Grover iterations for a unit of reward")
    learning_rate: float = real(0.05, low=1e-8, high=1.0, doc="alpha, of the values of states")
    discount: float = real(0.9, low=0.0, high=1.0, doc="gamma, within an episode")

    def __post_init__(self) -> None:
        validate(self)


BEND = 5.0
"""Rewards r are learned as asinh(5 r) / 5: a few that are a hundred times worse would hide all others (ours)."""

MOST_ANGLE = math.asin(math.sqrt(0.99))


def amplified(amplitudes: Tensor, action: int, num_iterations: int) -> Tensor:
    """Real amplitudes (A,) after Grover iterations G = (2|s><s| - 1)(1 - 2|a><a|) on |s>.

    G^L |s> = sin((2L + 1) theta) |a> + cos((2L + 1) theta) |rest>,  sin(theta) = <a|s>

    The iteration that would pass the most likely state turns so far as to reach it, with phases other than -1 (Long,
    Physical Review A 64, 022307, 2001), and a hundredth is left for the rest (ours).
    """
    theta = math.asin(min(1.0, float(amplitudes[action])))
    angle = min((2 * num_iterations + 1) * theta, MOST_ANGLE)
    if theta <= 0.0 or angle <= theta:
        return amplitudes
    turned = amplitudes * (math.cos(angle) / math.cos(theta))
    turned[action] = math.sin(angle)
    return turned


class Superpositions(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """A superposition of joint actions for every state.

    Args:
        size: U and E.   num_features: F and G.   num_joint: A.   bits: of a state.   seed: of the projections.
    """

    def __init__(
        self, size: tuple[int, int], num_features: tuple[int, int], num_joint: int, requests: int, bits: int, seed: int
    ) -> None:
        super().__init__()
        self.size, self.requests = size, requests
        num_inputs = num_seen(size, num_features)
        chance = torch.Generator().manual_seed(seed)
        self.register_buffer("planes", torch.randn(num_inputs, bits, generator=chance))
        self.register_buffer("middle", torch.full((num_inputs,), 0.5))
        self.register_buffer("amplitudes", torch.full((2**bits, num_joint), num_joint**-0.5))

    def states(self, seen: Observation) -> Tensor:
        """Number of each slot's state, int64 (B,).

        Raises:
            InvalidParameter: it was made for another number of users or places.
        """
        signs = (everything(seen, self.size) - self.middle) @ self.planes > 0
        return (signs * 2 ** torch.arange(self.planes.shape[1])).sum(-1)

    def measured(self, seen: Observation, chance: torch.Generator | None) -> Tensor:
        """Joint actions that superpositions collapse to, or the most likely ones without ``chance``; (B,)."""
        return draw_server(self.amplitudes[self.states(seen)].square().log(), chance)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does."""
        return joint_action(self.measured(observation, chance), observation, self.requests)


class QuantumRL:
    """Trains :class:`Superpositions`."""

    config_type = Config
    envs = tuple(ENVS)

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        self.config, self.setting, self._world = config, setting, of(setting)
        self._chance = torch.Generator().manual_seed(seed)
        size, requests = (setting.users, setting.servers), num_requests(setting)
        self._actor = Superpositions(size, self._world.num_features, num_joint(setting), requests, config.bits, seed)
        world = self._world(setting, 4096, int(torch.randint(2**62, (1,), generator=self._chance)))
        self._actor.middle.copy_(world.observe().flat().flatten(1).mean(0))  # so that signs are about even
        self._values = torch.zeros(2**config.bits)
        self._rewards = Running()
        self._length = horizon(setting)
        self._epoch = 0

    def actor(self) -> Superpositions:
        """What has been learned so far."""
        return deepcopy(self._actor)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def epoch(self) -> Progress:
        """Play and amplify."""
        config = self.config
        world = self._world(self.setting, config.worlds, int(torch.randint(2**62, (1,), generator=self._chance)))
        steps = -(-config.steps // self._length) * self._length
        cost, iterations = 0.0, 0
        for _ in range(steps):
            seen = world.observe()
            joint = self._actor.measured(seen, self._chance)
            step = world.step(joint_action(joint, seen, self._actor.requests))
            goes_on = self._length > 1 and not step.terminated
            after = self._actor.states(world.observe()) if goes_on else None
            iterations += self._learn(self._actor.states(seen), joint, -step.outcome.cost.mean(-1), after)
            cost += float(step.outcome.cost.sum(-1).mean()) / steps
        self._epoch += 1
        likely = float(self._actor.amplitudes.square().amax(-1).mean())
        figures = {"iterations": iterations / (steps * config.worlds), "sureness": likely}
        return Progress(self._epoch, self._epoch * steps * config.worlds, cost, figures)

    def _learn(self, states: Tensor, joint: Tensor, reward: Tensor, after: Tensor | None) -> int:
        """One slot after the other; how many iterations there were."""
        self._rewards.add(reward)
        scaled = torch.asinh(BEND * (reward - self._rewards.mean) / self._rewards.deviation) / BEND
        aims = scaled if after is None else scaled + self.config.discount * self._values[after]
        amplitudes, total = self._actor.amplitudes, 0
        for state, action, aim in zip(states.tolist(), joint.tolist(), aims.tolist(), strict=True):
            surprise = aim - float(self._values[state])
            self._values[state] += self.config.learning_rate * surprise
            if (num := int(self.config.gain * surprise)) > 0:
                amplitudes[state] = amplified(amplitudes[state], action, num)
                total += num
        return total

    def state(self) -> dict[str, Tensor]:
        """Superpositions, values, scale, chance and epochs."""
        modules = nn.ModuleDict({"actor": self._actor, "rewards": self._rewards})
        kept = {name: value.clone() for name, value in modules.state_dict().items()}
        mine = {"values": self._values.clone(), "chance": self._chance.get_state(), "epoch": torch.tensor(self._epoch)}
        return kept | mine

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        modules = nn.ModuleDict({"actor": self._actor, "rewards": self._rewards})
        modules.load_state_dict({name: state[name] for name in modules.state_dict()})
        self._values.copy_(state["values"])
        self._chance.set_state(state["chance"])
        self._epoch = int(state["epoch"])
