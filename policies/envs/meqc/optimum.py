"""The least cost of a slot, with a certificate: what every policy is measured against.

Source: ours. Given the servers, eq. (12) of the MEQC paper is linear in every share and the indicator of eq. (11) does
not depend on it, so that shares are 0 or 1 at an optimum and the problem (13) is an assignment: which user gets which
server's QPU, everybody else its own processor or a server's. That relaxed problem is exact where a server declines what
does not pay. Where tasks are forced onto QPUs, a server's processor is open only to those whom its QPU cannot take or
whom somebody else precedes; a mixed-integer program says so (HiGHS), and the assignment is its lower bound.

Shares strictly between 0 and 1 can do one thing more there: with a vanishing rest somebody could hold a QPU at no cost.
Such a minimum is approached and never attained; the lower bound holds for it, too.

With shared channels or device and server at work at once (``physical``) the problem is not linear; a descent gives an
action, and the assignment with everybody alone on the channel a bound: a bracket, not an optimum.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csr_array

from circuits.errors import InvalidParameter
from policies.envs.contract import Action
from policies.envs.meqc.baselines import priced
from policies.envs.meqc.batch import Slots, remote, settle
from policies.envs.meqc.cost import evaluate
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import Model
from policies.envs.meqc.moves import balanced, best_move

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TOLERANCE = 1e-9
MOST_STARTS = 512
"""Assignments from which a descent begins; in small slots these are all there are."""


@dataclass(frozen=True)
class Optimum:
    """An action and what is known about the best one.

    Attributes:
        total: cost of the action.   servers, shares: of each user.
        lower_bound: no action costs less.
        exact: whether none with shares of 0 or 1 costs less than ``total``.
    """

    total: float
    servers: tuple[int, ...]
    shares: tuple[float, ...]
    lower_bound: float
    exact: bool


@dataclass(frozen=True)
class Prices:
    """What each way of doing a task costs its user, everything else aside.

    Attributes:
        local: on its own processor.        float64 (U,)
        cpu, qpu: on a server's, all of it.        float64 (U, E)
        takes: whether the QPU would take it if nobody came before.        bool (U, E)
        rank: place in the queue for the server's QPU, 0 first.        int64 (U, E)
    """

    local: Floats
    cpu: Floats
    qpu: Floats
    takes: Bools
    rank: Ints


def prices(model: Model, instance: Instance) -> Prices:
    """Prices of a slot, each user alone; in a linear model they are exact and the best action follows from them."""
    slots = Slots.stacked([instance])
    known = priced(model, slots)
    cpu, qpu, fits = known.cpu, known.qpu, known.takes
    if model.overlap == "max":
        there = remote(model, slots)
        cpu = balanced(model, slots, there.upload_s + there.cpu_s, there.upload_j + there.cpu_j)[1]
        qpu = balanced(model, slots, there.upload_s + there.qpu_s, there.upload_j + there.qpu_j)[1]
        fits = there.fits & (qpu < cpu) if model.qpu_use == "economic" else there.fits
    alone, processor, quantum = (np.asarray(each[0].numpy()) for each in (known.local, cpu, qpu))
    order = quantum - processor if model.qpu_admission == "max_saving" else np.zeros_like(processor)
    rank = np.argsort(np.argsort(order, axis=0, kind="stable"), axis=0)
    return Prices(alone, processor, quantum, np.asarray(fits[0].numpy()), rank)


def optimum(model: Model, instance: Instance, time_limit_s: float = 60.0) -> Optimum:
    """The best action that is known, and how far from the best it can be at most.

    Args:
        time_limit_s: of the mixed-integer program; a bracket is returned where it does not suffice.
    """
    known = prices(model, instance)
    matched, bound = assignment(known)
    if not model.is_linear:
        return _descent(model, instance, known, matched, bound)
    found = _realised(model, instance, known, matched, bound)
    if found.exact:
        return found
    return _program(model, instance, known, bound, time_limit_s)


def assignment(known: Prices) -> tuple[Ints, float]:
    """The relaxed problem: QPUs to users, and every server's processor open to everybody.

    Returns:
        For each user the server whose QPU it gets, or -1; and the total, a lower bound.
    """
    otherwise = np.minimum(known.local, known.cpu.min(axis=1))
    gain = np.where(known.takes, np.maximum(otherwise[:, None] - known.qpu, 0.0), 0.0)
    matched = matching(gain)
    got = matched >= 0
    return matched, float(otherwise.sum() - gain[got, matched[got]].sum())


def matching(gain: Floats) -> Ints:
    """For each user the server whose QPU it gets, or -1, so that the gains add up to most.

    Args:
        gain: at least 0, (U, E).
    """
    users, servers = linear_sum_assignment(gain, maximize=True)
    paid = gain[users, servers] > 0.0
    matched = np.full(len(gain), -1, dtype=np.int64)
    matched[users[paid]] = servers[paid]
    return matched


def open_processors(known: Prices, matched: Ints) -> Bools:
    """Which servers' processors each user can have: its QPU does not take it, or somebody precedes it; (U, E)."""
    holder_rank = np.full(known.cpu.shape[1], np.iinfo(np.int64).max)
    for user, server in enumerate(matched):
        if server >= 0:
            holder_rank[server] = known.rank[user, server]
    return ~known.takes | (known.rank > holder_rank)


def _realised(model: Model, instance: Instance, known: Prices, matched: Ints, bound: float) -> Optimum:
    """The assignment as an action: whoever has no QPU takes the cheapest processor that is open to it."""
    closed = np.where(open_processors(known, matched), known.cpu, np.inf)
    servers = np.where(matched >= 0, matched, closed.argmin(axis=1))
    stays = (matched < 0) & (known.local <= closed.min(axis=1))
    return _measured(model, instance, np.where(stays, 0, servers), stays.astype(np.float64), bound)


def _measured(
    model: Model, instance: Instance, servers: Ints, shares: Floats, bound: float, *, proven: bool = False
) -> Optimum:
    """What an action costs by the reference, beside the bound."""
    chosen, kept = tuple(servers.tolist()), tuple(shares.tolist())
    total = evaluate(model, instance, chosen, kept).total
    exact = proven or total <= bound * (1.0 + TOLERANCE)
    return Optimum(total, chosen, kept, min(bound, total), exact)


def _program(model: Model, instance: Instance, known: Prices, bound: float, time_limit_s: float) -> Optimum:
    """The exact problem as a mixed-integer program over (local), (user, server, processor), (user, server, QPU)."""
    num_users, num_servers = known.cpu.shape
    pairs = num_users * num_servers
    cost = np.concatenate([known.local, known.cpu.ravel(), known.qpu.ravel()])
    upper = np.concatenate([np.ones(num_users + pairs), known.takes.ravel().astype(np.float64)])
    pair = np.arange(pairs).reshape(num_users, num_servers)
    cpu_at, qpu_at = num_users + pair, num_users + pairs + pair

    rows: list[tuple[list[int], list[float], float, float]] = []
    for user in range(num_users):  # everybody does its task in one way
        ways = [user, *cpu_at[user].tolist(), *qpu_at[user].tolist()]
        rows.append((ways, [1.0] * len(ways), 1.0, 1.0))
    rows += [(column.tolist(), [1.0] * num_users, 0.0, 1.0) for column in qpu_at.T]  # eq. (13b)
    for user, server in zip(*np.nonzero(known.takes), strict=True):  # a processor only behind somebody on the QPU
        before = qpu_at[known.rank[:, server] < known.rank[user, server], server].tolist()
        rows.append(([int(cpu_at[user, server]), *before], [1.0] + [-1.0] * len(before), -np.inf, 0.0))
    index = np.concatenate([np.full(len(columns), number) for number, (columns, *_) in enumerate(rows)])
    columns = np.concatenate([np.array(one[0]) for one in rows])
    values = np.concatenate([np.array(one[1]) for one in rows])
    matrix = csr_array((values, (index, columns)), shape=(len(rows), len(cost)))
    constraint = LinearConstraint(matrix, [one[2] for one in rows], [one[3] for one in rows])
    scale = float(np.abs(known.local).max())  # the costs of forced tasks reach 1e12
    found = milp(
        np.minimum(cost / scale, 1e6),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0.0, upper),
        constraints=constraint,
        options={"time_limit": time_limit_s, "mip_rel_gap": TOLERANCE},
    )
    if found.x is None:
        raise InvalidParameter(f"optimum: no solution within {time_limit_s:g} s ({found.message}); allow more time")
    taken = found.x > 0.5
    remote_at = taken[num_users : num_users + pairs] | taken[num_users + pairs :]
    stays = taken[:num_users]
    servers = np.where(stays, 0, remote_at.reshape(num_users, num_servers).argmax(axis=1))
    return _measured(model, instance, servers, stays.astype(np.float64), bound, proven=found.status == 0)


def _descent(model: Model, instance: Instance, known: Prices, matched: Ints, bound: float) -> Optimum:
    """One user after the other takes what is best for all, until nobody moves; from several starts at once."""
    num_users = len(known.local)
    servers = torch.tensor(np.stack(list(islice(_starts(known, matched), MOST_STARTS))))
    action = Action(servers.clamp(min=0), torch.where(servers < 0, 1.0, 0.0).to(torch.float64))
    slots = Slots.stacked([instance]).repeated(len(servers))
    total = torch.full((len(servers),), float("inf"), dtype=torch.float64)
    for _ in range(50 * num_users):
        for user in range(num_users):
            action = best_move(model, slots, action, user)
        now = settle(model, slots, action).cost.sum(-1)
        if not (now < total * (1.0 - TOLERANCE)).any():
            break
        total = now
    best = int(total.argmin())
    return _measured(model, instance, action.servers[best].numpy(), action.shares[best].numpy(), bound)


def _starts(known: Prices, matched: Ints) -> Iterator[Ints]:
    """The relaxed assignment, everybody at home, and then all assignments; -1 is at home."""
    yield matched
    yield np.where(matched >= 0, matched, np.where(known.local < known.cpu.min(axis=1), -1, known.cpu.argmin(axis=1)))
    num_users, num_servers = known.cpu.shape
    if (num_servers + 1) ** num_users <= MOST_STARTS:
        for each in product(range(-1, num_servers), repeat=num_users):
            yield np.array(each, dtype=np.int64)
