"""NSGA-II over a batch: the peer to compare :mod:`policies.joint` with, never the default.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan, IEEE Trans. Evol. Comput. 6 (2002) 182, as pymoo has it, over the two
objectives of Qonductor's scheduler (E. Giortamis et al., SC'25): mean completion time and mean error of the batch. Of
the front that it ends with, the placement of least total cost by the jobs' own objectives is taken (ours; Qonductor
takes one by a weight). Population, generations and operators are ours: the paper's are for batches of 100. A batch with
no more placements than the search would look at is enumerated: its front is what the search tends to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.errors import DependencyNotInstalled
from orchestrator.placement import Backlog, Choice, Request, Scales
from policies.joint import Places, Plan
from policies.table import Array, Table

POPULATION, GENERATIONS = 80, 80


class NSGA2:
    """The peer's search: mean completion time against mean error, and of the front what costs the jobs least."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`.

        Raises:
            DependencyNotInstalled: pymoo is missing; the message is the command that installs it.
        """
        try:
            import pymoo  # noqa: F401  # also where a batch is so small that it is enumerated
        except ImportError as error:
            raise DependencyNotInstalled("policy 'nsga2'", "pymoo", "peers") from error
        if not requests:
            return []
        table = Table.of(requests, scales)
        backlog.queue = ()  # of what waits it knows the load, as the paper's does
        plan, last = Plan(table, backlog), requests[table.order[-1]]
        seed = (last.spec.seed * 1_000_003 + last.seq) % 2**32
        return plan.booked(_searched(plan, _infidelity(table, plan), seed), backlog)


def waits_s(plan: Plan, at: Places) -> Array:
    """Waiting behind others of the batch, (num_plans, num_jobs), of plans with a place for each job."""
    jobs = np.arange(at.shape[1])
    booked = np.zeros((*at.shape, plan.num_lanes))
    own = np.arange(len(at))[:, None], jobs, plan.lane[at]
    booked[own] = delay_s = plan.delay_s[jobs, at]
    return np.asarray(booked.cumsum(axis=1)[own] - delay_s)


def _infidelity(table: Table, plan: Plan) -> Array:
    fidelity = table.read(attrgetter("fidelity"))
    return np.asarray(1.0 - fidelity[np.ix_(np.array(plan.order), plan.columns)])


def _searched(plan: Plan, infidelity: Array, seed: int) -> Places:
    """A place for each job, (num_jobs,)."""
    feasible = np.isfinite(plan.own)
    num, jobs = feasible.sum(axis=1), np.arange(len(plan.own))
    places = np.argsort(~feasible, axis=1, kind="stable")  # of each job, the feasible ones first

    def objectives(at: Places) -> Array:
        ends_s = waits_s(plan, at) + plan.alone_s[jobs, at]
        return np.stack([ends_s.mean(axis=1), infidelity[jobs, at].mean(axis=1)], axis=1)

    if math.prod(num.tolist()) <= POPULATION * GENERATIONS:
        every = places[jobs, np.indices(num).reshape(len(num), -1).T]
        at = every[_front(objectives(every))]
    else:
        at = places[jobs, _evolved(num, lambda x: objectives(places[jobs, x]), seed)]
    totals = (plan.own[jobs, at] + plan.weight * waits_s(plan, at)).sum(axis=1)
    return np.asarray(at[totals.argmin()])


def _front(values: Array) -> NDArray[np.int64]:
    """Rows of (num_rows, 2) values that no other row beats in one column without losing in the other."""
    order = np.lexsort((values[:, 1], values[:, 0]))
    least = np.minimum.accumulate(values[order, 1])
    return np.asarray(order[np.concatenate([[True], values[order[1:], 1] < least[:-1]])])


def _evolved(num: NDArray[np.int64], objectives: Callable[[NDArray[np.int64]], Array], seed: int) -> NDArray[np.int64]:
    """The front that the search ends with, (num_plans, num_jobs): the number of each job's place, below ``num``."""
    from pymoo.algorithms.moo import nsga2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Batch(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=len(num), n_obj=2, xl=0, xu=num - 1, vtype=int)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = objectives(x)

    algorithm = nsga2.NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=UniformCrossover(),
        mutation=PM(vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
    )
    found = minimize(Batch(), algorithm, ("n_gen", GENERATIONS), seed=seed)
    return np.atleast_2d(found.X).astype(np.int64)
