"""Bandits on the cost model's uncertainty: where little was measured, a place may be better than it looks.

The cost of a job on a backend is what is known of it, its waiting, and what is estimated, off by a factor that nobody
knows: log-normal, as the errors of the cost model are (ours):

    cost = w_t (waited_s + wait_s) / L0 + own exp(sigma z),    z from N(0, 1)
    sigma = log(own at the bad ends / own at the good ends) / (2 * 1.645) / sqrt(1 + num_observations)

``own`` is the cost of the estimate alone; its ends are those of all its 90 % intervals together. Intervals say where
one run will lie. How far the *expected* cost may be off shrinks with the observations behind it, as a mean's error
does, and only that is worth exploring. Feasible candidates alone take part. One that would break a limit of the job at
the bad ends is never explored: it takes part, at its expected cost, only where that is the least.

Thompson's rule is to draw one cost for each and take the least: W. R. Thompson, Biometrika 25 (1933) 285.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.placement import Backlog, Choice, Request, figures, limited
from policies.quadrature import chances_of_least
from policies.table import Array, Booking, Table

QUANTILE = 1.645
"""Half the width of a 90 % interval, in standard deviations of a normal."""

PRIOR_SIGMA = 1.0
"""Of an estimate without intervals (ours): off by a factor of e. Priors were measured to be off by 1.1 in the logarithm
of the time and by 0.66 in that of the loss of fidelity."""

MOST_SIGMA = 2.0
"""Largest (ours): an interval that begins at nothing says no more."""

OPTIMISM = 1.0
"""Standard deviations by which :class:`LowerConfidence` takes a factor to be better than expected (ours)."""


class Arms(NamedTuple):
    """Where one job may go at its turn. All have the shape (num_arms,).

    Attributes:
        columns: of the table.   known: cost of the waiting.   own: of the estimate.   sigma: of the factor on that.
    """

    columns: NDArray[np.intp]
    known: Array
    own: Array
    sigma: Array


class Thompson:
    """Draws for each candidate what it may really cost, by the job's own seed, and takes the least."""

    trained_on: ClassVar[Mapping[str, tuple[float, float]]] = {}  # any: it learns through the cost model alone

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        """See :class:`policies.guarded.Learned`."""
        choices: list[Choice] = [{}] * len(table.requests)
        for row, _, backend in self._turns(table, backlog):
            choices[row] = {backend: 1.0}
        return choices

    def chances(self, table: Table, backlog: Backlog) -> list[Mapping[str, float]]:
        """See :class:`orchestrator.placement.Chancy`; by quadrature."""
        found: list[Mapping[str, float]] = [{}] * len(table.requests)
        for row, arms, _ in self._turns(table, backlog):
            each = zip(arms.columns.tolist(), self.arm_chances(arms).tolist(), strict=True)
            found[row] = {table.backends[column]: chance for column, chance in each if chance}
        return found

    def factors(self, request: Request, arms: Arms) -> Array:
        """By what the own costs are taken to differ from what is expected, (num_arms,)."""
        generator = np.random.default_rng((request.spec.seed, request.seq))
        return np.exp(arms.sigma * generator.standard_normal(len(arms.sigma)))

    def arm_chances(self, arms: Arms) -> Array:
        """The chance of each arm, (num_arms,)."""
        return chances_of_least(arms.known, arms.own, arms.sigma)

    def _turns(self, table: Table, backlog: Backlog) -> Iterator[tuple[int, Arms, str]]:
        """Row, arms and backend of each job in order of service; it is booked there."""
        booking, own = Booking(table.backends, backlog), table.own
        sigma, safe = _sigmas(table), _safe(table)
        for row in table.order:
            request = table.requests[row]
            waited = request.spec.objective.latency * (request.waited_s + booking.waits_s) / table.scales.latency_s
            eligible = table.feasible[row] & safe[row]
            eligible[(waited + own[row]).argmin()] = True
            columns = np.flatnonzero(eligible)
            arms = Arms(columns, waited[columns], own[row, columns], (sigma[row] * safe[row])[columns])
            column = int(columns[(arms.known + arms.own * self.factors(request, arms)).argmin()])
            booking.add(column, table.service_s.item(row, column))
            yield row, arms, table.backends[column]


class LowerConfidence(Thompson):
    """Takes each candidate's cost as good as it may well be, and of these the least: no chance is left to exploring."""

    def factors(self, request: Request, arms: Arms) -> Array:
        return np.exp(-OPTIMISM * arms.sigma)

    def arm_chances(self, arms: Arms) -> Array:
        taken = (arms.known + arms.own * np.exp(-OPTIMISM * arms.sigma)).argmin()
        return np.where(np.arange(len(arms.own)) == taken, 1.0, 0.0)


def _sigmas(table: Table) -> Array:
    """How far expected costs may be off: standard deviation of the logarithm, (num_jobs, num_backends)."""
    good, bad = table.own_ends
    with np.errstate(divide="ignore", invalid="ignore"):
        sigma = np.clip(np.log(bad / good) / (2.0 * QUANTILE), 0.0, MOST_SIGMA)
    sigma = np.where(bad == good, 0.0, np.where(np.isnan(sigma), PRIOR_SIGMA, sigma))
    return np.asarray(sigma / np.sqrt(1.0 + table.num_observations))


def _safe(table: Table) -> NDArray[np.bool_]:
    """Whether a candidate keeps to its job's limits at the bad ends of its intervals, too, (num_jobs, num_backends)."""
    safe, width = np.ones(table.feasible.shape, dtype=np.bool_), len(table.backends)
    for row, request in enumerate(table.requests):
        limits = request.spec.limits
        if (limits.min_fidelity, limits.deadline_s, limits.max_cost_usd) != (None, None, None):
            safe[row] = [
                not any(limited(limits, figures(one.estimate, 1.0), one.wait_s, request.waited_s))
                for one in table.candidates[row * width : (row + 1) * width]
            ]
    return safe
