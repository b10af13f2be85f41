"""What a policy sees of a job and its places: written once, for the world it is trained in and for the live trip.

Source: ours. Times, costs and prices are logarithms, so that a millisecond and an hour look alike; everything can be
read back (:func:`quantities`), so that an actor can work out what each place is expected to cost. The same lines do for
tensors and for arrays of numpy, which are told from each other (:func:`namespace`): thousands of worlds are tensors; a
batch of the live trip is small, and numpy is through with it before torch has dispatched its operations.

User features, by index: 0 cost of a second of this job's waiting · 1 priority · 2 how long it has waited · 3 urgency of
its deadline, 1 / (1 + slack) · 4 log(1 + jobs of its batch behind it).
Pair features: 0 whether the job may go there · 1 cost of everything but time · 2 elapsed · 3 service · 4 wait ·
5 expected loss of fidelity · 6 log(1 + measurements behind it) · 7 width of its interval, logarithm of bad / good ·
8 log of the places that share its workers · 9 cost of energy · 10 price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from policies.envs.contract import Observation

NUM_USER, NUM_PAIR = 5, 11

LEFT, WAIT = 4, 4
"""Indices of the user feature and of the pair feature that change while a batch is booked."""

LEAST, UNIT = 1e-6, 5.0
"""What nothing is coded as, and how many e-foldings make one of a feature (ours)."""

PRIORITY = 4.5
"""Middle of the priorities 0 to 9."""

WIDEST = 6.0
"""Widths of intervals are cut off here: e^6."""


@dataclass(frozen=True)
class Sight:
    """What is known of jobs, (B, U), and of their places, (B, U, E). Costs are in the units of the objective.

    Attributes:
        per_s: cost of a second of waiting.   slack_s: until its deadline; infinite without one.
        left: jobs of its batch that are decided after it.
        rest: cost of everything but time; ``energy`` and ``price`` are parts of it.   mates: places on its workers.
        loss: of fidelity, expected.   width: of the interval of the elapsed time, ln(bad / good).
    """

    per_s: Tensor
    priority: Tensor
    waited_s: Tensor
    slack_s: Tensor
    left: Tensor
    feasible: Tensor
    rest: Tensor
    elapsed_s: Tensor
    service_s: Tensor
    wait_s: Tensor
    loss: Tensor
    num_observations: Tensor
    width: Tensor
    mates: Tensor
    energy: Tensor
    price: Tensor


def namespace(array: Any) -> Any:
    """The module whose functions take it: torch or numpy."""
    return torch if isinstance(array, Tensor) else np


def coded(amount: Tensor) -> Tensor:
    """As a feature: a logarithm that knows 0."""
    return namespace(amount).log(amount.clip(0.0, 1e12) + LEAST) / UNIT


def _read(code: Tensor) -> Tensor:
    return (namespace(code).exp(code * UNIT) - LEAST).clip(0.0, None)


def observed(seen: Sight) -> Observation:
    """As features; what does not count is 0. Of the same kind as what is seen, be it tensors or arrays."""
    of = namespace(seen.rest)
    user = [
        coded(seen.per_s),
        (seen.priority - PRIORITY) / PRIORITY,
        coded(seen.waited_s),
        1.0 / (1.0 + seen.slack_s.clip(0.0, None)),
        of.log1p(seen.left),
    ]
    pair = [
        seen.feasible * of.ones_like(seen.rest),
        coded(seen.rest),
        coded(seen.elapsed_s),
        coded(seen.service_s),
        coded(seen.wait_s),
        seen.loss,
        of.log1p(seen.num_observations) / UNIT,
        seen.width.clip(0.0, WIDEST) / UNIT,
        of.log(seen.mates),
        coded(seen.energy),
        coded(seen.price),
    ]
    pairs = of.stack([of.broadcast_to(one, seen.rest.shape) for one in pair], -1)
    return Observation(of.stack(user, -1), of.where(seen.feasible[..., None], pairs, 0.0))


@dataclass(frozen=True)
class Quantities:
    """What an actor reads of an observation: as in :class:`Sight`."""

    per_s: Tensor
    feasible: Tensor
    rest: Tensor
    elapsed_s: Tensor
    service_s: Tensor
    wait_s: Tensor


def quantities(seen: Observation) -> Quantities:
    """The inverse of :func:`observed`, of what a price is made of."""
    pair = seen.pair
    return Quantities(
        per_s=_read(seen.user[..., None, 0]),
        feasible=pair[..., 0] > 0.5,
        rest=_read(pair[..., 1]),
        elapsed_s=_read(pair[..., 2]),
        service_s=_read(pair[..., 3]),
        wait_s=_read(pair[..., WAIT]),
    )


# ── what it was trained on ────────────────────────────────────────────────────────────────────────────────────────────
GUARDED = ("num_feasible", "shortest_elapsed_s", "lowest_rest", "shortest_wait_s", "longest_wait_s")
"""What is noted of jobs: keys in ``policies.guarded.FEATURES``."""


def noted(seen: Observation) -> Tensor:
    """The features of :data:`GUARDED`, (B, U, 5)."""
    known = quantities(seen)

    def least(of: Tensor) -> Tensor:
        return torch.where(known.feasible, of, torch.inf).amin(-1)

    longest_s = torch.where(known.feasible, known.wait_s, -torch.inf).amax(-1)
    num = known.feasible.sum(-1).to(known.rest.dtype)
    return torch.stack([num, least(known.elapsed_s), least(known.rest), least(known.wait_s), longest_s], dim=-1)


def ranges(low: Tensor, high: Tensor) -> dict[str, tuple[float, float]]:
    """By name; what lies at the least of what is coded reaches down to 0."""
    pairs = zip(GUARDED, low.tolist(), high.tolist(), strict=True)
    return {name: (0.0 if least <= LEAST else least, most) for name, least, most in pairs}
