"""``Entanglement-v1`` for PettingZoo: every node an agent, over the compiled loop.

A step is ``decide_s``: each node splits its generation over its links and chooses a path, or to wait, for its requests
with the earliest deadlines. For many slots a second, play rules within the loop instead: a dictionary of agents costs
milliseconds a step, whatever is behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement import state as st
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.hand import Asked, Decider
from policies.envs.entanglement.play import Run, advance, begin
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise DependencyNotInstalled("a world for many agents", "pettingzoo", "learn") from error

NUM_REQUESTS = 8
"""Of a node, that it sees and decides about in a step."""
BOUND = 10.0
"""Observations are cut to it."""
PENALTY = 0.1
"""Default weight of contention in a reward, beta (ours)."""

Seen = dict[str, NDArray[Any]]


class EntanglementWorld(ParallelEnv):  # type: ignore[misc]
    """Nodes ``node_0`` … that make, keep and swap entangled pairs; who asks of them is the demand.

    A node is paid for its requests: +1 for one that is served, -1 for one whose time is over, -beta for a probe that
    others blocked, and -beta/2 for each of theirs that its requests blocked.

    Args:
        setting: of the world; its demand and physics seeds begin a chain of episodes, the topology stays.
        penalty: beta.

    Raises:
        InvalidParameter: an action names a path that there is not, or shares that are not finite.
    """

    setting_type: ClassVar[type[EntanglementSetting]] = EntanglementSetting

    def __init__(self, setting: EntanglementSetting | None = None, penalty: float = PENALTY) -> None:
        self.metadata = {"name": "Entanglement-v1", "render_modes": [], "is_parallelizable": True}
        self.render_mode = None
        self.setting, self.penalty = setting or EntanglementSetting(), float(penalty)
        self._seeds = np.random.default_rng((self.setting.demand_seed, self.setting.physics_seed))
        one = self.setting
        self.topology = Topology.generate(one.kind, one.num_nodes, one.topology_seed)
        self.degree = int(np.diff(self.topology.first).max())
        self.num_actions = one.num_paths * (one.most_rounds + 1)
        self.possible_agents = [f"node_{number}" for number in range(one.num_nodes)]
        self.agents: list[str] = []
        shapes = {
            "links": (self.degree, st.NUM_SHARE_FEATURES),
            "paths": (NUM_REQUESTS, self.num_actions, st.NUM_PATH_FEATURES),
        }
        seen = {name: spaces.Box(-BOUND, BOUND, shape, np.float32) for name, shape in shapes.items()}
        masks = {"link_mask": (self.degree,), "path_mask": (NUM_REQUESTS, self.num_actions)}
        masks_of = {name: spaces.Box(0, 1, shape, np.int8) for name, shape in masks.items()}
        self._sees = spaces.Dict({**seen, **masks_of})
        self._does = spaces.Dict(
            {
                "share_logits": spaces.Box(-BOUND, BOUND, (self.degree,), np.float32),
                "paths": spaces.MultiDiscrete([self.num_actions + 1] * NUM_REQUESTS),
            }
        )

    def observation_space(self, agent: str) -> Any:
        """What an agent sees: features of its links, of the actions of its requests, and which of these there are."""
        return self._sees

    def action_space(self, agent: str) -> Any:
        """What it does: logits of shares, and for each request an action, the last of which is to wait."""
        return self._does

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """A new episode: observations and infos by agent."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        demand_seed, physics_seed = self._seeds.integers(2**31 - 1, size=2).tolist()
        setting = self.setting.but(demand_seed=demand_seed, physics_seed=physics_seed)
        self.run = begin(build(setting, topology=self.topology))
        self.agents = list(self.possible_agents)
        self._paid = self._balance()
        return self._seen(), {agent: {} for agent in self.agents}

    @property
    def episode(self) -> Episode:
        """Of now."""
        return self.run.episode

    def step(self, actions: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any, Any, Any, Any]:
        """Time until the next decision: observations, rewards, terminations, truncations, infos by agent."""
        choice, shares = self.run.state.wanted.copy(), self.run.state.shares.copy()
        first = self.topology.first
        for node, agent in enumerate(self.agents):
            logits = np.asarray(actions[agent]["share_logits"], dtype=np.float64)[: first[node + 1] - first[node]]
            if not np.isfinite(logits).all():
                raise InvalidParameter(f"share_logits: wanted finite numbers, got {short(logits.tolist())}")
            odds = np.exp(logits - logits.max())
            shares[first[node] : first[node + 1]] = odds / odds.sum()
            for request, action in zip(self._mine[node], actions[agent]["paths"], strict=False):
                if not 0 <= action <= self.num_actions:
                    raise InvalidParameter(f"paths: wanted integers in [0, {self.num_actions}], got {action}")
                choice[request] = st.WAIT if action == self.num_actions else action
        advance(self.run, self.run.slot + self.run.plan.decide, choice=choice, shares=shares)
        before, self._paid = self._paid, self._balance()
        acted, over = self.agents, self.run.slot >= self.run.num_slots
        seen = self._seen()
        if over:
            self.agents = []
        rewards = dict(zip(acted, (self._paid - before).tolist(), strict=True))
        return seen, rewards, dict.fromkeys(acted, over), dict.fromkeys(acted, False), {agent: {} for agent in acted}

    def _balance(self) -> NDArray[np.float64]:
        """What each node has been paid until now, (N,)."""
        state, source = self.run.state, self.episode.demand.source[self.run.plan.pair]
        worth = 1.0 * (state.status == st.DELIVERED) - (state.status == st.EXPIRED)
        worth = worth - self.penalty * (state.blocked + 0.5 * state.harmed)
        return np.bincount(source, weights=worth, minlength=self.topology.num_nodes).astype(np.float64)

    def _seen(self) -> dict[str, Seen]:
        state, source = self.run.state, self.episode.demand.source[self.run.plan.pair]
        pending = state.pending[: state.count[st.NUM_PENDING]]
        self._mine = [pending[source[pending] == node][:NUM_REQUESTS] for node in range(self.topology.num_nodes)]
        decider = decider_of(self.run)
        return {agent: self._of_node(decider, node) for node, agent in enumerate(self.agents)}

    def _of_node(self, decider: Decider, node: int) -> Seen:
        found = {name: np.zeros(space.shape, space.dtype) for name, space in self._sees.items()}
        for place, link in enumerate(self.topology.incident[slice(*self.topology.first[node : node + 2])].tolist()):
            found["links"][place] = np.clip(decider.link_features(node, link), -BOUND, BOUND)
            found["link_mask"][place] = 1
        for place, request in enumerate(self._mine[node].tolist()):
            one = asked(self.run, request)
            for action in range(self.num_actions):
                if decider.usable(one, action):
                    found["paths"][place, action] = np.clip(decider.survey(one, action)[0], -BOUND, BOUND)
                    found["path_mask"][place, action] = 1
        return found

    def render(self) -> None:
        """There is nothing to look at."""

    def close(self) -> None:
        """There is nothing to close."""


def asked(run: Run, request: int) -> Asked:
    """A request as a decider knows it."""
    state = run.state
    return Asked(request, int(run.plan.deadline[request]), int(state.left[request]), int(state.choice[request]))


class Live:
    """A run of the loop, as a :class:`policies.envs.entanglement.hand.Decider` looks at it."""

    def __init__(self, run: Run) -> None:
        state = run.state
        self.plan, self.rule, self.slot, self.shares = run.plan, run.rule, run.slot, state.shares
        self.pairs = [born[:num].tolist() for born, num in zip(state.births, state.stock.tolist(), strict=True)]
        self.pending = [asked(run, each) for each in state.pending[: state.count[st.NUM_PENDING]].tolist()]
        self.tokens, self.rates, self.down = state.tokens.tolist(), state.rate.tolist(), state.down.tolist()


class Ring:
    """What the loop remembers of past slots, by slot."""

    def __init__(self, state: st.State) -> None:
        logs = (state.stocks, state.queues, state.rates, state.token_log, state.newest)
        self.rows = [each.astype(float) for each in logs]

    def __getitem__(self, slot: int) -> list[Any]:
        return [each[slot % each.shape[0]].tolist() for each in self.rows]


def decider_of(run: Run) -> Decider:
    """What nodes know in a run of the loop, as the slot begins."""
    found = Decider(Live(run))
    found.queue, found.ewma, found.past = run.state.queue.tolist(), run.state.ewma.tolist(), Ring(run.state)
    return found
