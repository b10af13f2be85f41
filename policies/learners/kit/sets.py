"""Networks of users and places for worlds of any size: every user by the same weights, places without an order.

Source: ours, of deep sets (Zaheer et al., NeurIPS 2017). Places in another order get the same outputs in that order,
and so do users. Nothing is known of a world but how many features it has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policies.envs.contract import Observation


class PlaceNetwork(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Outputs of every user at home and at every place, each from the user's own observation.

    Args:
        num_features: F of a user, G of a pair.   width: of the hidden layers.
        num_home, num_place: outputs of each; the last layer begins a hundred times smaller than usual.
        num_told: numbers that a place's outputs depend on, and no other's.
    """

    def __init__(
        self, num_features: tuple[int, int], width: int, num_home: int, num_place: int, num_told: int = 0
    ) -> None:
        super().__init__()
        num_user, num_pair = num_features
        self.of_pair = nn.Linear(num_pair, width)
        self.of_user = nn.Linear(num_user, width, bias=False)
        self.pooled = nn.Linear(2 * width + num_user, width)
        self.of_pool = nn.Linear(width, width, bias=False)
        self.second = nn.Linear(width + num_told, width)
        self.home, self.place = nn.Linear(width, num_home), nn.Linear(width, num_place)
        for last in (self.home, self.place):
            nn.init.normal_(last.weight, std=0.01 / width**0.5)
            nn.init.zeros_(last.bias)

    def forward(self, seen: Observation, told: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs at home (B, U, num_home) and at places (B, U, E, num_place).

        Args:
            told: (B, U, E, num_told).
        """
        each = torch.relu(self.of_pair(seen.pair) + self.of_user(seen.user).unsqueeze(-2))
        own = torch.relu(self.pooled(torch.cat([each.mean(-2), each.amax(-2), seen.user], dim=-1)))
        each = each if told is None else torch.cat([each, told], dim=-1)
        again = torch.relu(self.second(each) + self.of_pool(own).unsqueeze(-2))
        return self.home(own), self.place(again)


class ValueNetwork(nn.Module):  # type: ignore[misc]
    """One number for every user, from its own observation or, with ``central``, from those of all users."""

    def __init__(self, num_features: tuple[int, int], width: int, *, central: bool) -> None:
        super().__init__()
        num_user, num_pair = num_features
        self.central = central
        self.of_pair = nn.Linear(num_pair, width)
        self.of_user = nn.Linear(num_user, width, bias=False)
        self.pooled = nn.Linear(2 * width + num_user, width)
        self.value = nn.Sequential(nn.Linear((3 if central else 1) * width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, seen: Observation) -> Tensor:
        """(B, U)."""
        each = torch.relu(self.of_pair(seen.pair) + self.of_user(seen.user).unsqueeze(-2))
        own = torch.relu(self.pooled(torch.cat([each.mean(-2), each.amax(-2), seen.user], dim=-1)))
        if self.central:
            others = torch.cat([own.mean(-2), own.amax(-2)], dim=-1).unsqueeze(-2)
            own = torch.cat([own, others.expand(*own.shape[:-1], -1)], dim=-1)
        return self.value(own).squeeze(-1)
