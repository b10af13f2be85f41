"""One agent for all users of a small world: what all see in, a number for each joint action out.

Sources: circuits as layers between a linear map of what is seen, which is the embedding's input scaling, and a linear
map of <Z>, which is the observables' weights: Skolik, Jerbi and Dunjko, "Quantum agents in the Gym", Quantum 6, 2022;
Jerbi et al., "Parametrized quantum policies for reinforcement learning", NeurIPS 2021. Deviations: the circuit is that
of four qubits of :mod:`policies.learners.kit.vqc`, several side by side, without the papers' re-uploading and with an
input map that mixes all features (ours), since worlds have more features than such circuits have qubits.

The twins have as many weights, with the same maps around: ``waves`` has the circuit's eight weights on sine and cosine
of each of the four angles, ``tanh`` on four tanh units, a scale and a shift each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from circuits.errors import InvalidParameter
from policies.envs.contract import Action, Observation
from policies.learners.kit.networks import Circuit, Waves
from policies.learners.kit.vqc import NUM_QUBITS
from policies.learners.kit.ways import action_of, num_requests

MOST_WAYS = 4096
"""Joint actions that can be told apart by a number each."""


class Units(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """a tanh(x) + b: (N, B, 4) to (N, B, 4)."""

    def __init__(self, num_networks: int, chance: torch.Generator) -> None:
        super().__init__()
        scale = torch.rand(num_networks, 1, NUM_QUBITS, generator=chance) + 0.5
        self.weights = nn.Parameter(torch.cat([scale, torch.zeros_like(scale)], dim=1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Scaled and shifted."""
        return self.weights[:, :1] * torch.tanh(inputs) + self.weights[:, 1:]


MIDDLES: dict[str, Callable[[int, torch.Generator], nn.Module]] = {"vqc": Circuit, "waves": Waves, "tanh": Units}
"""By name; each takes the number of circuits, and chance, and has eight weights a circuit."""


def num_joint(setting: Any) -> int:
    """Joint actions: each user stays, or sends everything to a place.

    Raises:
        InvalidParameter: there are too many.
    """
    each = 1 + setting.servers * num_requests(setting)
    if (num := each**setting.users) > MOST_WAYS:
        size = f"{setting.users} users with {each} ways each"
        raise InvalidParameter(f"users, servers: wanted at most {MOST_WAYS} joint actions, got {num} of {size}")
    return int(num)


def apart(joint: Tensor, num_users: int, num_each: int) -> Tensor:
    """Ways of all users, (B, U), from the number of their joint action, (B, 1) or (B,); the last user counts first."""
    powers = num_each ** torch.arange(num_users - 1, -1, -1)
    return joint.reshape(-1, 1) // powers % num_each


def joint_action(joint: Tensor, seen: Observation, requests: int) -> Action:
    """What numbered joint actions come to; who goes keeps nothing."""
    _, num_users, num_places, _ = seen.pair.shape
    ways = apart(joint, num_users, 1 + num_places * requests)
    return action_of(ways, torch.zeros(ways.shape, dtype=seen.user.dtype), requests)


def everything(seen: Observation, size: tuple[int, int]) -> Tensor:
    """What all users see, in one row, (B, U (F + G E)).

    Raises:
        InvalidParameter: it is of another number of users or places than ``size``.
    """
    if tuple(seen.pair.shape[1:3]) != size:
        wanted, got = (f"{users} users and {places} places" for users, places in (size, seen.pair.shape[1:3]))
        raise InvalidParameter(f"observation: wanted {wanted}, as in training, got {got}")
    return seen.flat().flatten(1)


def num_seen(size: tuple[int, int], num_features: tuple[int, int]) -> int:
    """Columns of :func:`everything`."""
    return size[0] * (num_features[0] + size[1] * num_features[1])


class JointNetwork(nn.Module):  # type: ignore[misc]
    """Numbers of all joint actions from what all users see.

    Args:
        size: U and E.   num_features: F and G.   num_outputs: of joint actions.
        network: of :data:`MIDDLES`.   circuits: side by side.   seed: of the first weights.
    """

    def __init__(
        self,
        size: tuple[int, int],
        num_features: tuple[int, int],
        num_outputs: int,
        network: str,
        circuits: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.size, self.circuits = size, circuits
        self.angles = nn.Linear(num_seen(size, num_features), circuits * NUM_QUBITS)
        self.middle = MIDDLES[network](circuits, torch.Generator().manual_seed(seed))
        self.observed = nn.Linear(circuits * NUM_QUBITS, num_outputs)

    def forward(self, seen: Observation) -> Tensor:
        """(B, num_outputs).

        Raises:
            InvalidParameter: it was made for another number of users or places.
        """
        angles = self.angles(everything(seen, self.size) - 0.5)
        several = angles.unflatten(-1, (self.circuits, NUM_QUBITS)).transpose(0, 1)
        return self.observed(self.middle(several).transpose(0, 1).flatten(1))
