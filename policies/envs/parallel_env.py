"""One world behind interfaces that others know: PettingZoo's for its users, Gymnasium's for one who decides all.

Observations are those of the worlds without the batch, cut to their bounds (rounding goes over by a unit in the last
place). What an agent does is a server, a share and, where a world lets it, whether it would have the QPU. An episode of
a world of independent slots is cut off (truncated) after ``max_slots``; one of a world with ``episode_slots`` ends
(terminates) with them: what is seen after its last slot belongs to no episode.

What it does not do: speed. A slot of one world costs over a hundred times that of one among thousands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.parameters import short
from policies.envs import load
from policies.envs.contract import Action, Step

try:
    import gymnasium
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise DependencyNotInstalled("a world for one agent or many", "pettingzoo", "learn") from error

MOST_SLOTS = 100_000

Seen = dict[str, NDArray[np.float32]]


class _Single:
    """A world of its own for each episode, and its observations as arrays in [0, 1]."""

    def __init__(self, name: str, setting: Any | None, max_slots: int) -> None:
        kind = load(name)
        self.setting = kind.setting_type() if setting is None else setting
        if isinstance(max_slots, bool) or not isinstance(max_slots, int) or not 1 <= max_slots <= MOST_SLOTS:
            raise InvalidParameter(f"max_slots: wanted an integer in [1, {MOST_SLOTS}], got {short(max_slots)}")
        self.kind, self.max_slots = kind, max_slots
        self.may_decline: bool = kind.may_decline
        self.ends: bool = hasattr(self.setting, "episode_slots")
        self._seeds = np.random.default_rng()
        self.begin(0)
        seen = self.seen()
        self.user_shape, self.pair_shape = seen["user"].shape, seen["pair"].shape

    def begin(self, seed: int | None) -> None:
        """Another episode; with a seed the same ones again from here on."""
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        self.world = self.kind(self.setting, 1, int(self._seeds.integers(2**31)))
        self.slot = 0

    def seen(self) -> Seen:
        """What all users see: user (U, features), pair (U, E, features)."""
        observation = self.world.observe()
        return {
            name: np.clip(getattr(observation, name)[0].numpy().astype(np.float32), *self.kind.bounds)
            for name in ("user", "pair")
        }

    def space(self, user: tuple[int, ...], pair: tuple[int, ...]) -> dict[str, Any]:
        """What observations of these shapes are within."""
        low, high = self.kind.bounds
        return {name: spaces.Box(low, high, shape, np.float32) for name, shape in (("user", user), ("pair", pair))}

    def step(self, servers: Sequence[int], shares: Sequence[float], asks: Sequence[bool]) -> tuple[Step, bool]:
        """What came of it, and whether the episode is cut off now."""
        action = Action(
            torch.tensor([list(servers)]),
            torch.tensor([list(shares)], dtype=torch.float32).clamp(0.0, 1.0),
            torch.tensor([list(asks)]) if self.may_decline else None,
        )
        done: Step = self.world.step(action)
        self.slot += 1
        return done, not done.terminated and not self.ends and self.slot >= self.max_slots


class ParallelWorld(ParallelEnv):  # type: ignore[misc]
    """A world for PettingZoo: agents ``user_0`` …, rewards as the setting has them.

    Args:
        name: of the world, such as "MEQC-v1".   setting: of it; None for its defaults.
        max_slots: after which an episode is cut off, if the world has no end of its own.

    Raises:
        InvalidParameter: no such world, or a setting of another one.
    """

    def __init__(self, name: str = "MEQC-v1", setting: Any | None = None, max_slots: int = 100) -> None:
        self.metadata = {"name": name, "render_modes": [], "is_parallelizable": True}
        self.render_mode = None
        self._single = single = _Single(name, setting, max_slots)
        self.possible_agents = [f"user_{number}" for number in range(single.setting.users)]
        self.agents: list[str] = []
        seen = single.space(single.user_shape[1:], single.pair_shape[1:])
        self.observation_spaces = {agent: spaces.Dict(seen) for agent in self.possible_agents}
        self.action_spaces = {agent: self._choices() for agent in self.possible_agents}

    def _choices(self) -> Any:
        known = {"server": spaces.Discrete(self._single.setting.servers), "share": _unit(())}
        return spaces.Dict({**known, "ask": spaces.Discrete(2)} if self._single.may_decline else known)

    def observation_space(self, agent: str) -> Any:
        """What one agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """What one agent can do."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[Any, Any]:
        """A new episode: observations and infos by agent."""
        self._single.begin(seed)
        self.agents = list(self.possible_agents)
        return self._seen(), {agent: {} for agent in self.agents}

    def step(self, actions: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any, Any, Any, Any]:
        """One slot: observations, rewards, terminations, truncations, infos by agent."""
        each = [actions[agent] for agent in self.agents]
        done, cut = self._single.step(
            [int(one["server"]) for one in each],
            [float(one["share"]) for one in each],
            [bool(one.get("ask", True)) for one in each],
        )
        acted, outcome = self.agents, done.outcome
        columns = {name: each[0].tolist() for name, each in vars(outcome).items() if each.shape == done.reward.shape}
        infos = {agent: {key: column[at] for key, column in columns.items()} for at, agent in enumerate(acted)}
        rewards = dict(zip(acted, done.reward[0].tolist(), strict=True))
        seen = self._seen()
        if done.terminated or cut:
            self.agents = []
        return seen, rewards, dict.fromkeys(acted, done.terminated), dict.fromkeys(acted, cut), infos

    def _seen(self) -> dict[str, Seen]:
        seen = self._single.seen()
        return {agent: {key: rows[at] for key, rows in seen.items()} for at, agent in enumerate(self.agents)}

    def render(self) -> None:
        """There is nothing to look at."""

    def close(self) -> None:
        """There is nothing to close."""


class CentralWorld(gymnasium.Env):  # type: ignore[misc]
    """A world for Gymnasium: one decides for all and is paid minus all costs. Arguments of :class:`ParallelWorld`."""

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, name: str = "MEQC-v1", setting: Any | None = None, max_slots: int = 100) -> None:
        self._single = single = _Single(name, setting, max_slots)
        users, servers = single.setting.users, single.setting.servers
        self.observation_space = spaces.Dict(single.space(single.user_shape, single.pair_shape))
        known = {"servers": spaces.MultiDiscrete([servers] * users), "shares": _unit((users,))}
        self.action_space = spaces.Dict({**known, "asks": spaces.MultiBinary(users)} if single.may_decline else known)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new episode: the observation, and no info."""
        super().reset(seed=seed)
        self._single.begin(seed)
        return self._single.seen(), {}

    def step(self, action: Mapping[str, Any]) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One slot: observation, reward, terminated, truncated, info."""
        servers, shares = action["servers"].tolist(), action["shares"].tolist()
        done, cut = self._single.step(servers, shares, action.get("asks", np.ones(len(servers))).astype(bool))
        cost = float(done.outcome.cost.sum())
        return self._single.seen(), -cost, done.terminated, cut, {"cost": cost}


def _unit(shape: tuple[int, ...]) -> Any:
    return spaces.Box(0.0, 1.0, shape, np.float32)
