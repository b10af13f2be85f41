"""What was met lately, as tensors that are saved with the weights: so resuming stays exact to the bit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from policies.envs.contract import Observation


class Met(NamedTuple):
    """Slots and what came of them.

    Attributes:
        seen: (N, U, …).   way: int64 (N, A) of A agents.   share: (N, A).   reward: (N, A).
        after: what was seen next.   goes_on: whether the episode did, (N,), as 0 or 1.
    """

    seen: Observation
    way: Tensor
    share: Tensor
    reward: Tensor
    after: Observation
    goes_on: Tensor


class Replay(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """The newest ``capacity`` slots; a module, so that it is saved and restored with the weights.

    Args:
        shape: U users and E places.   num_features: F and G.   num_agents: A.
        alone: whether slots are independent: then nothing is kept of what came next.
    """

    def __init__(
        self, capacity: int, shape: tuple[int, int], num_features: tuple[int, int], num_agents: int, *, alone: bool
    ) -> None:
        super().__init__()
        users, places = shape
        later = 0 if alone else capacity
        for name, size in {"user": capacity, "after_user": later}.items():
            self.register_buffer(name, torch.zeros(size, users, num_features[0]))
        for name, size in {"pair": capacity, "after_pair": later}.items():
            self.register_buffer(name, torch.zeros(size, users, places, num_features[1]))
        self.register_buffer("way", torch.zeros(capacity, num_agents, dtype=torch.long))
        for name in ("share", "reward"):
            self.register_buffer(name, torch.zeros(capacity, num_agents))
        self.register_buffer("goes_on", torch.zeros(capacity))
        self.register_buffer("num_met", torch.zeros((), dtype=torch.long))
        self.capacity, self.alone = capacity, alone

    def __len__(self) -> int:
        return min(int(self.num_met), self.capacity)

    def add(self, met: Met) -> None:
        """Keep slots in the place of the oldest ones."""
        num = met.way.shape[0]
        at = (int(self.num_met) + torch.arange(num)) % self.capacity
        kept = {"user": met.seen.user, "pair": met.seen.pair, "way": met.way, "share": met.share}
        kept |= {"reward": met.reward, "goes_on": met.goes_on}
        kept |= {} if self.alone else {"after_user": met.after.user, "after_pair": met.after.pair}
        for name, value in kept.items():
            getattr(self, name)[at] = value
        self.num_met += num

    def draw(self, num: int, chance: torch.Generator) -> Met:
        """Some of them, each as likely as any other, with replacement."""
        return self._at(torch.randint(len(self), (num,), generator=chance))

    def kept(self) -> Met:
        """All of them."""
        return self._at(torch.arange(len(self)))

    def _at(self, at: Tensor) -> Met:
        seen = Observation(self.user[at], self.pair[at])
        after = seen if self.alone else Observation(self.after_user[at], self.after_pair[at])
        return Met(seen, self.way[at], self.share[at], self.reward[at], after, self.goes_on[at])
