"""A learner of one layer: which share to keep, from one's own observation. It has all that a learner has."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from circuits.parameters import choice, integer, real, validate
from policies.envs.contract import Action, Observation
from policies.envs.meqc.batch import settle
from policies.envs.meqc.draw import draw_slots
from policies.envs.meqc.observation import NUM_USER_FEATURES, observe
from policies.envs.meqc.world import Setting
from policies.learners.learner import Progress


@dataclass(frozen=True)
class Config:
    """Of the toy."""

    steps: int = integer(8, low=1, high=1000, doc="slots of an epoch")
    learning_rate: float = real(0.1, low=0.0, high=1.0)
    trouble: str = choice("none", "none", "nan", "stop", "stop at once")

    def __post_init__(self) -> None:
        validate(self)


class Keeper(torch.nn.Module):
    """Keeps a share and sends the rest to the first server."""

    def __init__(self, num_servers: int) -> None:
        super().__init__()
        self.num_servers = num_servers
        self.layer = torch.nn.Linear(NUM_USER_FEATURES, 1)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)

    def shares(self, observation: Observation) -> Tensor:
        return torch.sigmoid(self.layer(observation.user)).squeeze(-1)

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        if observation.pair.shape[2] != self.num_servers:
            raise RuntimeError("another number of servers")
        shares = self.shares(observation)
        return Action(torch.zeros_like(shares, dtype=torch.long), shares)


class Toy:
    config_type = Config

    def __init__(self, config: Config, setting: Setting, seed: int) -> None:
        self.config, self.setting = config, setting
        self._chance = torch.Generator().manual_seed(seed)
        self._keeper = Keeper(setting.servers)
        self._optimiser = torch.optim.Adam(self._keeper.parameters(), lr=config.learning_rate)
        self._epoch = 0

    def epoch(self) -> Progress:
        self._epoch += 1
        setting = self.setting
        slots = draw_slots(self._chance, (self.config.steps, setting.users, setting.servers), setting.fixed_weights)
        action = self._keeper.act(observe(slots))
        cost = settle(setting.model, slots, action).cost.sum(-1).mean()
        self._optimiser.zero_grad()
        cost.log().backward()
        self._optimiser.step()
        if self.config.trouble == "nan" and self._epoch == 3:
            torch.nn.init.constant_(self._keeper.layer.bias, torch.nan)
        if self.config.trouble.startswith("stop") and self._epoch == 2:
            for _ in range(2 if self.config.trouble == "stop at once" else 1):
                signal.raise_signal(signal.SIGINT)
        share = float(action.shares.detach().mean())
        return Progress(self._epoch, self._epoch * self.config.steps, float(cost.detach()), {"share": share})

    def actor(self) -> Keeper:
        return self._keeper

    def state(self) -> dict[str, Tensor]:
        adam = self._optimiser.state_dict()["state"]
        moments = {f"adam.{number}.{name}": value for number, each in adam.items() for name, value in each.items()}
        counts = {"epoch": torch.tensor(self._epoch), "chance": self._chance.get_state()}
        return {**self._keeper.state_dict(), **moments, **counts}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self._epoch = int(state["epoch"])
        self._chance.set_state(state["chance"])
        self._keeper.load_state_dict({name: state[name] for name in self._keeper.state_dict()})
        adam: dict[str, Any] = self._optimiser.state_dict()
        moments = [name.split(".") for name in state if name.startswith("adam.")]
        adam["state"] = {int(number): {} for _, number, _ in moments}
        for _, number, name in moments:
            adam["state"][int(number)][name] = state[f"adam.{number}.{name}"]
        self._optimiser.load_state_dict(adam)
