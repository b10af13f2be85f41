"""HMADRL: every agent learns for itself, with a discrete and a continuous actor-critic, by clipped PPO.

Source: MEQC, Section IV and V.A. Defaults are what the paper states: agents with networks of their own, two layers of
256 units, 500 steps an epoch, two passes over them in batches of 128, discount 0.95, learning rate 1e-3, a normal
share. What it leaves open is ours: smoothing, clip, coefficients of the loss, activations; critics that see returns
less their mean and over their deviation, since costs of thousands would take a critic more than the whole training to
reach; advantages normalised; gradients clipped. An "actor-critic network" with one vector of parameters and one loss,
eqs (27) to (30), is read as one network with two heads, and "updated twice" after an epoch as two passes over it.

In MEQC slots are independent and policies stand still within an epoch: its slots are drawn and played all at once, and
the order in which they are drawn is the time of eq. (26). Nothing else about the trajectory changes. In a world with
episodes (ours) an epoch is an episode of each of as many worlds as it takes, and eq. (26) ends with the episode.

The agents' networks are slices of common tensors (:mod:`policies.learners.kit.networks`), so that ten small products
become one; a test shows that nobody's loss reaches anybody else's slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Module, ModuleDict

from circuits.errors import InvalidParameter
from circuits.parameters import choice, integer, real, validate
from policies.envs import of
from policies.envs.contract import Action, Observation
from policies.envs.meqc.batch import settle
from policies.envs.meqc.world import Setting, rewards
from policies.learners.kit.gae import advantages
from policies.learners.kit.heads import HEADS, Head, draw_server, judge_servers
from policies.learners.kit.joint import num_seen
from policies.learners.kit.networks import NETWORKS
from policies.learners.kit.ppo import clip_gradients, clipped_surrogate, divergence, normalised
from policies.learners.kit.snapshot import resume, snapshot
from policies.learners.kit.ways import horizon
from policies.learners.learner import Progress

REMEMBERED = 0.9
"""Weight of earlier epochs in the mean and deviation of returns (ours)."""


@dataclass(frozen=True)
class Config:
    """What is stated is the paper's, V.A; the rest ours."""

    agents: str = choice("independent", "independent", "shared", doc="a network for each agent, or one for all")
    network: str = choice("mlp", *NETWORKS, doc="what actors and critics are")
    width: int = integer(256, low=8, high=4096, doc="units of a layer (stated)")
    head: str = choice("normal", *HEADS, doc="distribution of the share (normal: stated)")
    critic: str = choice(
        "joined", "joined", "own", "central", doc="a head of the actor's network, one of its own, or one that sees all"
    )
    steps: int = integer(500, low=2, high=1_000_000, doc="slots of an epoch, at least an episode (stated)")
    passes: int = integer(2, low=1, high=100, doc="passes over an epoch's slots (stated)")
    batch: int = integer(128, low=2, high=1_000_000, doc="slots of a step of gradient (stated)")
    discount: float = real(0.95, low=0.0, high=1.0, doc="gamma (stated)")
    smoothing: float = real(0.95, low=0.0, high=1.0, doc="lambda of eq. (26)")
    learning_rate: float = real(1e-3, low=0.0, high=1.0, doc="of Adam (stated)")
    clip: float = real(0.2, low=1e-6, high=1.0, doc="epsilon of eq. (33)")
    value_weight: float = real(0.5, low=0.0, high=100.0, doc="c_1, of the critics' loss")
    entropy_weight: float = real(0.01, low=0.0, high=100.0, doc="c_2, of the entropy")
    most_gradient: float = real(0.5, low=1e-6, high=1e6, doc="largest norm of an agent's gradient")

    def __post_init__(self) -> None:
        validate(self)


class HybridActor(Module):  # type: ignore[misc]
    """Draws server and share independently of each other        [MEQC, eq. 18]."""

    def __init__(self, config: Config, setting: Any, chance: torch.Generator) -> None:
        super().__init__()
        self.head: Head = HEADS[config.head]
        self.num_networks = setting.users if config.agents == "independent" else 1
        self.num_servers = setting.servers
        num_inputs = num_seen((1, setting.servers), of(setting).num_features)
        num_values = int(config.critic == "joined")
        self.discrete, self.continuous = (
            NETWORKS[config.network]((self.num_networks, num_inputs, config.width, num + num_values), chance, 0.01)
            for num in (setting.servers, self.head.num_outputs)
        )

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of servers (U, B, E), outputs for the share (U, B, H), and values (2, U, B) if critics are joined.

        Args:
            seen: (U, B, in).
        """
        discrete, continuous = (applied(each, seen, self.num_networks) for each in (self.discrete, self.continuous))
        values = torch.stack([discrete[..., -1], continuous[..., -1]])
        return discrete[..., : self.num_servers], continuous[..., : self.head.num_outputs], values

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """What everybody does.

        Raises:
            InvalidParameter: it was trained for another number of users or servers.
        """
        _, num_users, num_servers, _ = observation.pair.shape
        if num_servers != self.num_servers or self.num_networks not in (1, num_users):
            users = "any number of" if self.num_networks == 1 else self.num_networks
            wanted = f"{users} users and {self.num_servers} servers, as in training"
            raise InvalidParameter(f"observation: wanted {wanted}, got {num_users} and {num_servers}")
        logits, outputs, _ = self(observation.flat().transpose(0, 1))
        servers, shares = draw_server(logits, chance), self.head.draw(outputs, chance)
        return Action(servers.T.contiguous(), shares.T.clamp(0.0, 1.0).contiguous())


def applied(network: Module, seen: Tensor, num_networks: int) -> Tensor:
    """Of each agent by its network: (U, B, in) to (U, B, out); agents who share one are rows of one batch."""
    num_users, num_slots, _ = seen.shape
    return network(seen.reshape(num_networks, -1, seen.shape[-1])).reshape(num_users, num_slots, -1)


class Rollout(NamedTuple):
    """What was seen and done in an epoch of T slots; users first, (U, T, …).

    Attributes:
        seen: observations.   judged: what critics see.   servers, shares: drawn, shares not yet clipped.
        log_prob: of both, when they were drawn, (2, U, T).
        advantage, target: of both critics, (2, U, T); targets in the critics' own scale.
    """

    seen: Tensor
    judged: Tensor
    servers: Tensor
    shares: Tensor
    log_prob: Tensor
    advantage: Tensor
    target: Tensor

    def at(self, slots: Tensor) -> Rollout:
        """Some of its slots."""
        both = {"log_prob", "advantage", "target"}
        return Rollout(*(getattr(self, name).index_select(2 if name in both else 1, slots) for name in self._fields))


class Acted(NamedTuple):
    """What was seen and drawn in B slots, as in :class:`Rollout`, and ``values`` of both critics, (2, U, B)."""

    seen: Tensor
    judged: Tensor
    servers: Tensor
    shares: Tensor
    log_prob: Tensor
    values: Tensor

    def action(self) -> Action:
        """As worlds take it."""
        return Action(self.servers.T, self.shares.T.clamp(0.0, 1.0))


class HMADRL:
    """The paper's learner."""

    config_type = Config
    envs = ("MEQC-v1", "Measured-v1")

    def __init__(self, config: Config, setting: Any, seed: int) -> None:
        self.config, self.setting = config, setting
        self._chance = torch.Generator().manual_seed(seed)
        self._actor = HybridActor(config, setting, self._chance)
        num_inputs = num_seen((1, setting.servers), of(setting).num_features)
        num_inputs *= 1 + setting.users * (config.critic == "central")
        sizes = (self._actor.num_networks, num_inputs, config.width, 1)
        kinds = () if config.critic == "joined" else ("discrete", "continuous")
        self._critics = ModuleDict({kind: NETWORKS[config.network](sizes, self._chance, 1.0) for kind in kinds})
        self._modules = ModuleDict({"actor": self._actor, "critics": self._critics})
        self._parameters = list(self._modules.parameters())
        self._optimiser = torch.optim.Adam(self._parameters, lr=config.learning_rate, fused=True)
        self._epoch = 0
        self._return_mean = torch.zeros(setting.users, 1)
        self._return_square = torch.zeros(setting.users, 1)

    def actor(self) -> HybridActor:
        return deepcopy(self._actor)

    def epoch(self) -> Progress:
        config = self.config
        rollout, cost = self._play() if isinstance(self.setting, Setting) else self._episodes()
        num_slots = rollout.servers.shape[1]
        figures: list[Mapping[str, float]] = []
        for _ in range(config.passes):
            order = torch.randperm(num_slots, generator=self._chance)
            figures += [self._update(rollout.at(slots)) for slots in order.split(config.batch)]
        self._epoch += 1
        means = {name: sum(each[name] for each in figures) / len(figures) for name in figures[0]}
        return Progress(self._epoch, self._epoch * num_slots, cost, means)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _play(self) -> tuple[Rollout, float]:
        """An epoch of independent slots and the one after, in which nobody acts."""
        setting = self.setting
        slots = setting.drawn(self._chance, self.config.steps + 1)
        drawn = self._drawn(setting.seen(slots).flat())
        acted = Acted._make([*(each[:, :-1] for each in drawn[:4]), drawn.log_prob[..., :-1], drawn.values])
        played, action = slots.at(slice(-1)), acted.action()
        outcome = settle(setting.model, played, action)
        reward = rewards(setting, played, action, outcome).T.to(acted.seen.dtype)
        mean, deviation = self._scale()
        advantage, target = self._judge(acted.values * deviation + mean, reward)
        return Rollout(*acted[:5], normalised(advantage), target), float(outcome.cost.sum(-1).mean())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _episodes(self) -> tuple[Rollout, float]:
        """An episode of so many worlds that they have an epoch's slots; nothing comes after an episode."""
        length = horizon(self.setting)
        num_worlds = -(-self.config.steps // length)
        seed = int(torch.randint(2**62, (1,), generator=self._chance))
        world = of(self.setting)(self.setting, num_worlds, seed)
        acted: list[Acted] = []
        rewarded, costs = [], []
        for _ in range(length):
            acted.append(self._drawn(world.observe().flat()))
            step = world.step(acted[-1].action())
            rewarded.append(step.reward.T)
            costs.append(step.outcome.cost.sum(-1).mean())
        mean, deviation = self._scale()
        values = torch.stack([each.values for each in acted], dim=-1) * deviation.unsqueeze(-1) + mean.unsqueeze(-1)
        values = torch.cat([values, torch.zeros_like(values[..., :1])], dim=-1)  # (2, U, worlds, T + 1)
        judged = self._judge(values, torch.stack(rewarded, dim=-1))
        advantage, target = (each.transpose(-1, -2).flatten(2) for each in judged)  # by time, as what is joined below
        *seen_and_done, log_prob = zip(*(each[:5] for each in acted), strict=True)
        joined = (torch.cat(each, dim=1) for each in seen_and_done)
        rollout = Rollout._make([*joined, torch.cat(log_prob, dim=2), normalised(advantage), target])
        return rollout, float(torch.stack(costs).mean())

    def _drawn(self, flat: Tensor) -> Acted:
        """What everybody does, by chance, where this is seen, (B, U, in)."""
        head = self._actor.head
        seen, judged = flat.transpose(0, 1).contiguous(), self._judged(flat)
        logits, outputs, values = self._outputs(seen, judged)
        servers, shares = draw_server(logits, self._chance), head.draw(outputs, self._chance)
        log_prob = torch.stack([judge_servers(logits, servers)[0], head.log_prob(outputs, shares)])
        return Acted(seen, judged, servers, shares, log_prob, values)

    def _judged(self, flat: Tensor) -> Tensor:
        """What critics with networks of their own see, (U, T, …); nothing for joined ones."""
        num_slots, num_users, _ = flat.shape
        if self.config.critic == "joined":
            return flat.new_empty(num_users, num_slots, 0)
        if self.config.critic == "central":
            flat = torch.cat([flat, flat.flatten(1).unsqueeze(1).expand(-1, num_users, -1)], dim=-1)
        return flat.transpose(0, 1).contiguous()

    def _outputs(self, seen: Tensor, judged: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (U, B, E), outputs for the share (U, B, H), and values of both critics (2, U, B)."""
        logits, outputs, values = self._actor(seen)
        if self._critics:
            critics = self._critics.values()
            values = torch.stack([applied(each, judged, self._actor.num_networks).squeeze(-1) for each in critics])
        return logits, outputs, values

    def _judge(self, values: Tensor, reward: Tensor) -> tuple[Tensor, Tensor]:
        """Advantages and targets of both critics, (2, U, …, T); remembers what returns are like.

        Args:
            values: in the scale of rewards, (2, U, …, T + 1).   reward: (U, …, T).
        """
        advantage = advantages(reward, values, self.config.discount, self.config.smoothing)
        returns = advantage + values[..., :-1]
        new, others = 1.0 - REMEMBERED if self._epoch else 1.0, (0, *range(2, returns.dim()))
        self._return_mean.lerp_(returns.mean(others)[:, None], new)
        self._return_square.lerp_(returns.square().mean(others)[:, None], new)
        mean, deviation = (each.reshape(-1, *[1] * (reward.dim() - 1)) for each in self._scale())
        return advantage, (returns - mean) / deviation

    def _scale(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each agent's returns, (U, 1)."""
        variance = self._return_square - self._return_mean.square()
        known = self._return_square > 0
        return self._return_mean, torch.where(known, variance.clamp(min=1e-6).sqrt(), 1.0)

    def _update(self, batch: Rollout) -> dict[str, float]:
        """One step up the objectives        [MEQC, eqs 27 to 30]."""
        config, head = self.config, self._actor.head
        logits, outputs, values = self._outputs(batch.seen, batch.judged)
        server_log_prob, server_entropy = judge_servers(logits, batch.servers)
        log_prob = torch.stack([server_log_prob, head.log_prob(outputs, batch.shares)])
        entropy = torch.stack([server_entropy, head.entropy(outputs)])
        log_ratio = log_prob - batch.log_prob
        error = (values - batch.target).square()
        gain = clipped_surrogate(log_ratio, batch.advantage, config.clip)
        objective = gain - config.value_weight * error + config.entropy_weight * entropy
        # The mean over an agent's samples and the sum over networks: each has the gradient that it would have alone.
        loss = -objective.sum(0).mean() * self._actor.num_networks
        self._optimiser.zero_grad()
        loss.backward()
        clip_gradients(self._parameters, config.most_gradient)
        self._optimiser.step()
        with torch.no_grad():
            choice_of, share_of = entropy.mean((1, 2)).tolist()
            return {
                "value_error": float(error.mean()),
                "entropy_server": choice_of,
                "entropy_share": share_of,
                "divergence": divergence(log_ratio),
            }

    def state(self) -> dict[str, Tensor]:
        kept = snapshot(self._modules, self._optimiser, self._chance, self._epoch)
        return kept | {"return_mean": self._return_mean.clone(), "return_square": self._return_square.clone()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._epoch = resume(state, self._modules, self._optimiser, self._chance)
        self._return_mean, self._return_square = state["return_mean"].clone(), state["return_square"].clone()
