"""The least cost of a slot, with a certificate: what every policy is measured against.

Source: ours. Given how many users each place serves, users no longer depend on each other, each has a best share, and
who goes where is a matching. So the problem is a search over the numbers of users at each place, C(U + E, E) of them:
8 008 at 10 users and 6 places. The sum of everybody's cheapest way at those numbers is a bound, with prices for seats
a better one; only where it is below the best action known so far a matching has to be solved. Costs grow with every
user more at a place, so that places with fewer users than they are priced for are no dearer: a matching need not fill
them.

Where there are too many numbers, a mixed-integer program (HiGHS) has a time limit, and a bound of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import coo_array

from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.instance import Instance
from policies.envs.qcn.model import Model
from policies.envs.qcn.moves import Table, counted, descended, table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOLERANCE = 1e-9
MOST_COUNTS = 20_000
"""Numbers of users at places that are looked through; where there are more, a program is solved."""

ROUNDS = 60
"""Of prices for seats, before matchings are solved."""


@dataclass(frozen=True)
class Optimum:
    """An action and what is known about the best one.

    Attributes:
        total: cost of the action.   servers, shares: of each user.
        lower_bound: no action costs less.   exact: whether none costs less than ``total``.
    """

    total: float
    servers: tuple[int, ...]
    shares: tuple[float, ...]
    lower_bound: float
    exact: bool


def optimum(model: Model, instance: Instance, time_limit_s: float = 20.0) -> Optimum:
    """The best action of one slot."""
    return optima(model, Slots.stacked([instance]), time_limit_s)[0]


def optima(model: Model, slots: Slots, time_limit_s: float = 20.0) -> Sequence[Optimum]:
    """The best action of each slot that is known, and how far from the best it can be at most.

    Args:
        slots: float64.   time_limit_s: of a slot's program, where there is one.
    """
    known = table(model, slots)
    cost, alone = known.cost[..., 0].min(-1)
    starts = (torch.full_like(alone, -1), torch.where(cost < known.home, alone, -1))
    places = [descended(known, each) for each in starts]
    totals = torch.stack([known.priced(each, counted(each, slots.shape[2])).sum(-1) for each in places])
    best = torch.where((totals[0] <= totals[1]).unsqueeze(-1), *places)
    bounds = []
    for row in range(slots.shape[0]):
        place, bound = _searched(_of(known, row), best[row].numpy(), float(totals[:, row].min()), time_limit_s)
        best[row] = torch.from_numpy(place)
        bounds.append(bound)
    action = known.action(best)
    costs = settle(model, slots, action).cost.sum(-1).tolist()
    return [
        Optimum(cost, tuple(servers), tuple(shares), min(bound, cost), cost <= bound * (1.0 + TOLERANCE))
        for cost, servers, shares, bound in zip(
            costs, action.servers.tolist(), action.shares.tolist(), bounds, strict=True
        )
    ]


def is_searched(num_users: int, num_servers: int) -> bool:
    """Whether all numbers of users at places are looked through, so that optima are proven."""
    return comb(num_users + num_servers, num_servers) <= MOST_COUNTS


@dataclass(frozen=True)
class _Slot:
    """One slot's :class:`Table`: ``home`` (U,), ``cost`` (U, E, M)."""

    home: Floats
    cost: Floats


def _of(known: Table, row: int) -> _Slot:
    return _Slot(known.home[row].numpy(), known.cost[row].numpy())


def _searched(slot: _Slot, place: Ints, total: float, time_limit_s: float) -> tuple[Ints, float]:
    """A better assignment if there is one, and what none goes below."""
    num_users, num_servers, _ = slot.cost.shape
    if not is_searched(num_users, num_servers):
        return _program(slot, place, total, time_limit_s)
    slot = _worthwhile(slot)
    counts = _counts(num_users, num_servers)
    enough = np.isfinite(slot.cost).sum(axis=0) >= np.arange(1, num_users + 1)  # (E, M)
    counts = counts[np.pad(enough, ((0, 0), (1, 0)), constant_values=True)[np.arange(num_servers), counts].all(axis=1)]
    now = np.bincount(place + 1, minlength=num_servers + 1)[None, 1:]
    price = _tightened(slot, now, np.zeros(now.shape), np.inf).price
    keep = _bounds(slot, counts, price[0]) < total * (1.0 - TOLERANCE)
    left = _tightened(slot, counts[keep], np.repeat(price, keep.sum(), 0), total)
    for row in np.argsort(left.bound):
        if left.bound[row] >= total * (1.0 - TOLERANCE):
            break
        found, cost = _matched(slot, left.counts[row])
        if cost < total:
            place, total = found, cost
    return place, total


def _worthwhile(slot: _Slot) -> _Slot:
    """Without what no best action has: users whose going home would save more than it costs.

    Who leaves a crowd of m saves each of the m - 1 others something, at least what the m - 1 who gain least would save.
    """
    with np.errstate(invalid="ignore"):
        saved = np.diff(slot.cost, axis=2, prepend=slot.cost[..., :1])
    saved = np.sort(np.where(np.isnan(saved), np.inf, saved), axis=0).cumsum(axis=0)  # of the n who gain least
    others = np.arange(slot.cost.shape[2]) - 1
    least = np.where(others < 0, 0.0, saved[np.maximum(others, 0), :, np.arange(len(others))].T)  # (E, M)
    return _Slot(
        slot.home, np.where(slot.cost + least < slot.home[:, None, None] * (1.0 - TOLERANCE), slot.cost, np.inf)
    )


@dataclass(frozen=True)
class _Left:
    """Numbers that may hold the best action: ``counts`` and ``price`` of a seat (C, E), ``bound`` (C,)."""

    counts: Ints
    price: Floats
    bound: Floats


def _tightened(slot: _Slot, counts: Ints, price: Floats, total: float) -> _Left:
    """Numbers whose bound stays below a total when seats have prices.

    Lagrange's: users choose at prices on top, and exactly so many have to come. Steps are Polyak's, towards what a
    matching costs where no total is given.
    """
    servers = np.arange(counts.shape[1])
    closed = np.pad(slot.cost, ((0, 0), (0, 0), (1, 0)), constant_values=np.inf)
    known, most = np.full(len(counts), -np.inf), total * (1.0 - TOLERANCE)
    best, aim = price, total if np.isfinite(total) else _matched(slot, counts[0])[1]
    for _ in range(ROUNDS):
        cost = closed[:, servers, counts].transpose(1, 0, 2) + price[:, None]  # (C, U, E)
        choice, away = cost.argmin(2), cost.min(2)
        bound = np.minimum(away, slot.home).sum(1) - (price * counts).sum(1)
        better = bound > known
        known, best = np.where(better, bound, known), np.where(better[:, None], price, best)
        goes = (away < slot.home)[..., None]
        came = ((choice[..., None] == servers) & goes).sum(1) - counts
        step = (aim - bound) / np.maximum((came**2).sum(1), 1)
        keep = known < most
        counts, price, best, known = counts[keep], (price + step[:, None] * came)[keep], best[keep], known[keep]
        if not len(counts):
            break
    return _Left(counts, best, known)


@lru_cache(maxsize=8)
def _counts(num_users: int, num_servers: int) -> Ints:
    """All numbers of users at places that leave nobody out; int64 (C, E)."""
    bars = np.array(list(combinations(range(num_users + num_servers), num_servers)), dtype=np.int64)
    return np.diff(bars, axis=1, prepend=-1) - 1


def _bounds(slot: _Slot, counts: Ints, price: Floats) -> Floats:
    """Lagrange's bound of each of many numbers at the same prices (E,); float64 (C,)."""
    cheapest = np.broadcast_to(slot.home[:, None], (len(slot.home), len(counts))).copy()
    for server, column in enumerate(counts.T):
        closed = np.pad(slot.cost[:, server] + price[server], ((0, 0), (1, 0)), constant_values=np.inf)
        np.minimum(cheapest, closed[:, column], out=cheapest)
    total: Floats = cheapest.sum(axis=0) - counts @ price
    return total


def _matched(slot: _Slot, counts: Ints) -> tuple[Ints, float]:
    """The best assignment with at most so many users at each place, and what it costs at those prices."""
    num_users = len(slot.home)
    seats = np.repeat(np.arange(len(counts)), counts)
    ways = np.concatenate([slot.cost[:, seats, counts[seats] - 1], np.tile(slot.home[:, None], num_users)], axis=1)
    ways = np.minimum(ways, 1e6 * (1.0 + slot.home.sum()))  # of what cannot be
    users, columns = linear_sum_assignment(ways)
    return np.concatenate([seats, np.full(num_users, -1)])[columns], float(ways[users, columns].sum())


def _program(slot: _Slot, place: Ints, total: float, time_limit_s: float) -> tuple[Ints, float]:
    """The problem as a mixed-integer program over (user at home), (user, place, crowd), (place, crowd)."""
    num_users, num_servers, num_crowds = slot.cost.shape
    pairs, kinds = slot.cost.size, num_servers * num_crowds
    at = num_users + np.arange(pairs).reshape(slot.cost.shape)
    opened = num_users + pairs + np.arange(kinds).reshape(num_servers, num_crowds)
    crowds = np.arange(1, num_crowds + 1)
    rows = [np.concatenate([[user], at[user].ravel()]) for user in range(num_users)]
    values = [np.ones(len(row)) for row in rows]
    limits = [(1.0, 1.0)] * num_users  # everybody is somewhere
    rows += list(opened)
    values += [np.ones(num_crowds)] * num_servers
    limits += [(0.0, 1.0)] * num_servers  # a place has one crowd
    for server in range(num_servers):
        for crowd in range(num_crowds):  # no larger than it is priced for
            rows.append(np.concatenate([at[:, server, crowd], opened[server, crowd : crowd + 1]]))
            values.append(np.concatenate([np.ones(num_users), [-float(crowds[crowd])]]))
            limits.append((-np.inf, 0.0))
    index = np.concatenate([np.full(len(row), number) for number, row in enumerate(rows)])
    size = num_users + pairs + kinds
    matrix = coo_array((np.concatenate(values), (index, np.concatenate(rows))), shape=(len(rows), size)).tocsr()
    possible = np.isfinite(slot.cost).ravel()
    cost = np.concatenate([slot.home, np.where(possible, slot.cost.ravel(), 0.0), np.zeros(kinds)])
    most = np.concatenate([np.ones(num_users), possible.astype(np.float64), np.ones(kinds)])
    found = milp(
        cost,
        integrality=np.ones(size),
        bounds=Bounds(0.0, most),
        constraints=LinearConstraint(matrix, [low for low, _ in limits], [high for _, high in limits]),
        options={"time_limit": time_limit_s, "mip_rel_gap": TOLERANCE},
    )
    bound = float(slot.cost.min(axis=(1, 2)).clip(max=slot.home).sum())
    if found.mip_dual_bound is not None:
        bound = max(bound, min(float(found.mip_dual_bound), total))
    if found.x is not None and found.fun < total:
        taken = found.x[num_users : num_users + pairs].reshape(slot.cost.shape).sum(axis=2)
        place = np.where(found.x[:num_users] > 0.5, -1, taken.argmax(axis=1))
    return place, bound
