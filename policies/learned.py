"""A trained checkpoint as a policy of the live orchestrator, behind :mod:`policies.guarded`.

Jobs are decided one after the other, in the order in which they will be served, and each is booked before the next is
looked at: so it was in training (``Measured-v1`` with one user), and no two jobs of a batch herd. What the actor sees
is made by :func:`policies.envs.measured.observation.observed`, there as here. It acts by its best choice, on one thread
and without chance, so that a decision can be taken again, and no core spins beside the workers for it.

One that was trained in a world of ``order="planned"`` sees what stands in the queues, and is asked again about what
waits: how long a job would wait behind those who are served before it, and what it would cost those behind it.

An actor whose networks have an input for each backend knows the backends of its twin by their names and no others: it
is shown them in the twin's order, those that are not there as places where the job may not go.

A job that allows several parts goes to the place that was learned and to the one that its estimates say is best beside
it. How much goes to each was learned, too, where the actor was trained in ``Measured-v2``; ``Measured-v1`` knows no
shares, and :mod:`policies.split` works them out there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from circuits.errors import InvalidParameter
from circuits.torch_threads import one_thread
from orchestrator.placement import Backlog, Choice
from policies.envs import of
from policies.envs.contract import Observation
from policies.envs.measured.divided import DividedSetting
from policies.envs.measured.division import divided, fixed_in
from policies.envs.measured.observation import LEFT, WAIT, Sight, coded, observed
from policies.envs.measured.twin import load
from policies.envs.measured.world import World
from policies.joint import Plan
from policies.learners.kit.checkpoint import Checkpoint
from policies.learners.learner import Actor
from policies.split import part_s, parted
from policies.table import Array, Booking, Table

NOWHERE = -1
"""Column of a backend that an actor knows and the batch does not."""

Beside = tuple[Array, Array]
"""Of each job on each backend: how long it would wait, and what it would cost those behind it."""

TRIED_WORLDS = 16
"""Worlds in which an actor that does not say what it was trained on is watched for an episode (ours)."""


class Placed:
    """Learned placement.

    Attributes:
        trained_on, reconsiders: see :class:`policies.guarded.Learned`; what stands in the queues is seen if it was in
            training.
        places: the backends that the actor has a place for, in order; none: it takes any.

    Raises:
        InvalidParameter: it was trained in another world, or for several users at once.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        run = checkpoint.run
        if not isinstance(run.setting, World.setting_type):
            raise InvalidParameter(f"checkpoint {checkpoint.name}: wanted one of Measured-v1, got one of {run.env}")
        self._actor, self._divides = checkpoint.actor(), isinstance(run.setting, DividedSetting)
        self.reconsiders = run.setting.order == "planned"
        self.places: tuple[str, ...] = ()
        features = of(run.setting).num_features
        if _refused(self._actor, run.setting.servers + 1, features) is not None:
            if error := _refused(self._actor, run.setting.servers, features):
                raise InvalidParameter(
                    f"checkpoint {checkpoint.name}: wanted an actor that decides job by job (--users 1), "
                    f"got one of {run.learner} for {run.setting.users}: {error}"
                ) from error
            self.places = load(run.setting.source).taking(run.setting.servers).backends
        self.trained_on: Mapping[str, tuple[float, float]] = ranges_of(self._actor, run.setting)

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        """See :class:`policies.guarded.Learned`. A job that allows it is shared, see :func:`policies.split.parted`."""
        if not self.reconsiders:
            backlog.queue = ()
        if self._divides:
            with one_thread():
                seen = divided(as_tensors(observed(sight_of(table, backlog))), fixed_in(table))
                return self._one_by_one(table, backlog, seen)
        before = backlog.copy()
        choices = self._whole(table, backlog)
        if any(request.spec.max_parts > 1 for request in table.requests):
            choices = parted(table.requests, choices, before, table.scales)
            backlog.load_s, backlog.warm_up_s = before.load_s, before.warm_up_s
        return choices

    def _whole(self, table: Table, backlog: Backlog) -> list[Choice]:
        """A place for each job."""
        there = beside(table, backlog)
        seen = observed(sight_of(table, backlog, there))
        costs = getattr(self._actor, "costs", None)
        if costs is not None:
            return _together(table, backlog, costs(seen)[0], there)
        with one_thread():
            return self._one_by_one(table, backlog, as_tensors(seen))

    def _one_by_one(self, table: Table, backlog: Backlog, seen: Observation) -> list[Choice]:
        """In order of service, each booked before the next is looked at."""
        booking, service_s = Booking(table.backends, backlog), table.service_s
        names = self.places or table.backends
        columns = [table.backends.index(name) if name in table.backends else NOWHERE for name in names]
        there = torch.tensor(columns).unsqueeze(-1) != NOWHERE
        choices: list[Choice] = [{}] * len(table.requests)
        for left, row in zip(reversed(range(len(table.order))), table.order, strict=True):
            user, pair = seen.user[:, row : row + 1].clone(), seen.pair[:, row : row + 1].clone()
            user[..., LEFT] = math.log1p(left)
            waits_s = torch.from_numpy(booking.waits_s).float()
            pair[..., WAIT] = torch.where(torch.from_numpy(table.feasible[row]), coded(waits_s), 0.0)
            shown = Observation(user, torch.where(there, pair[..., columns, :], 0.0))
            action = self._actor.act(shown)
            column = columns[int(action.servers)]
            if column == NOWHERE or not table.feasible[row, column]:
                column = int(table.costs(row, booking.waits_s).argmin())
            shares = {column: 1.0}
            if self._divides:
                shares = _shares(table, row, column, float(action.shares), booking.waits_s)
            for place, share in shares.items():
                candidate = table.candidates[row * len(table.backends) + place]
                whole = share == 1.0
                work_s = service_s.item(row, place) if whole else part_s(candidate, table.requests[row].amount, share)
                booking.add(place, work_s)
            choices[row] = {table.backends[place]: share for place, share in shares.items()}
        return choices


def _shares(table: Table, row: int, column: int, share: float, waits_s: Array) -> dict[int, float]:
    """A job's shares by column: so much of it, in whole items, at the place that costs it least beside the chosen one.

    As ``Measured-v2`` has it (:mod:`policies.envs.measured.divided`).
    """
    request, costs = table.requests[row], table.costs(row, waits_s)
    costs[column] = np.inf
    second, items = int(costs.argmin()), round(share * request.amount)
    if request.spec.max_parts == 1 or not table.feasible[row, second] or second == column or items == 0:
        return {column: 1.0}
    if items == request.amount:
        return {second: 1.0}
    return {column: 1.0 - items / request.amount, second: items / request.amount}


def _refused(actor: Actor, num_places: int, num_features: tuple[int, int]) -> Exception | None:
    """What an actor says if it may choose among so many places for one job; None where it chooses."""
    try:
        num_user, num_pair = num_features
        actor.act(Observation(torch.zeros(1, 1, num_user), torch.zeros(1, 1, num_places, num_pair)))
    except (RuntimeError, ValueError, IndexError, InvalidParameter) as error:
        return error
    return None


def _together(table: Table, backlog: Backlog, costs: Array, there: Beside) -> list[Choice]:
    """The plan of least total, as :mod:`policies.joint` finds it, where a job on a place costs what was learned.

    What the jobs of the batch do to each other, and to what waits, is worked out; what was learned stands for
    everything that comes after.
    """
    plan = Plan(table, backlog)
    at, (waits_s, delayed) = np.ix_(np.array(plan.order, dtype=np.intp), plan.columns), there
    expected = table.rest + delayed + table.timed(waits_s + table.elapsed_s)
    with np.errstate(invalid="ignore"):
        learned = plan.own[plan.turns] + (costs - expected)[at]
    plan.own[plan.turns] = np.where(table.feasible[at], learned, np.inf)
    return plan.booked(plan.best(), backlog)


def beside(table: Table, backlog: Backlog) -> Beside:
    """How long each job would wait on each backend, and what it would cost those behind it, (num_jobs, num_backends).

    As a policy knows it: without a queue it waits for all the work that there is, and nobody is known to be behind it.
    """
    if backlog.queue:
        return Plan(table, backlog).beside()
    waits_s = np.array([backlog.wait_s(name) for name in table.backends])
    return np.broadcast_to(waits_s, table.feasible.shape), np.zeros(table.feasible.shape)


def sight_of(table: Table, backlog: Backlog, there: Beside | None = None) -> Sight:
    """A batch as one world of as many users, each as if it were the last of its batch; arrays of float64.

    Args:
        there: of :func:`beside`, where it is known.
    """
    num_jobs = len(table.requests)
    waits_s, delayed = there or beside(table, backlog)
    requests = [one.spec for one in table.requests]
    slack_s = [np.inf if (limit := one.limits.deadline_s) is None else limit for one in requests]
    waited_s = np.array([one.waited_s for one in table.requests])
    energy = table.weights("energy") * table.figure("energy_j") / table.scales.energy_j
    price = table.weights("price") * table.figure("cost_usd") / table.scales.price_usd
    return Sight(
        per_s=_one(table.weights("latency")[:, 0] / table.scales.latency_s),
        priority=_one([one.priority for one in requests]),
        waited_s=_one(waited_s),
        slack_s=_one(np.array(slack_s) - waited_s),
        left=_one(np.zeros(num_jobs)),
        feasible=table.feasible[None],
        rest=_one(np.where(table.feasible, table.rest + delayed, 0.0)),
        elapsed_s=_one(table.elapsed_s),
        service_s=_one(table.service_s),
        wait_s=_one(np.where(table.feasible, waits_s, 0.0)),
        loss=_one(1.0 - table.figure("fidelity")),
        num_observations=_one(table.num_observations),
        width=_one(table.widths),
        mates=_one(_mates(table.backends, backlog))[0],
        energy=_one(energy),
        price=_one(price),
    )


def as_tensors(seen: Observation) -> Observation:
    """What networks take."""
    return Observation(*(torch.from_numpy(one).float() for one in (seen.user, seen.pair)))


def _one(figures: Array | list[int]) -> Array:
    return np.asarray(figures, dtype=np.float64)[None]


def _mates(backends: tuple[str, ...], backlog: Backlog) -> Array:
    """How many of these backends the first worker of each serves."""
    lanes = [next((lane.backends for lane in backlog.lanes if name in lane.backends), (name,)) for name in backends]
    return np.array([sum(name in lane for name in backends) for lane in lanes], dtype=np.float64)


def ranges_of(actor: Actor, setting: object) -> Mapping[str, tuple[float, float]]:
    """What an actor was trained on, as it says; else what it meets in an episode of its world."""
    told = getattr(actor, "ranges", None)
    if told is None:
        from policies.envs.measured.ranges import watched

        return watched(actor, setting, TRIED_WORLDS)
    found: Mapping[str, tuple[float, float]] = told()
    return found
