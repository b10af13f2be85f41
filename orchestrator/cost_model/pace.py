"""How fast a place is at the moment, as the logarithm of a factor on all its times: drift, and sudden changes.

A machine's load changes all the time and touches everything on it: its pace follows the model's errors, all backends
together, slowly. One backend changes all at once, by a new version or by a worker that has become slow: a two-sided
CUSUM test (Page 1954, paper) over the errors of programs whose kind is known there finds out, and its pace then jumps
by their mean since the change began (ours). What lines and means know stays as it is, relative to the pace.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orchestrator.cost_model.mean import Mean

MACHINE_GAIN = 0.08
"""What one error moves the machine's pace by, and at first one of the number so far plus ``FIRST`` (ours)."""

FIRST = 1.0
MOST_ERROR = 1.0
"""What one error counts as, at most (ours): a kind that is a thousand times faster than expected is no sign."""

SLACK = 0.75
"""Of each error, in standard deviations: what is smaller is no sign of a change (ours)."""

ALARM = 4.5
"""Sum of errors beyond the slack that means a change (ours)."""

MOST_DEVIATIONS = 3.0
PRIOR_ERROR = Mean(5.0, 0.5)
"""Mean absolute error to begin with (ours)."""

DEVIATION = 1.25
"""Standard deviation of a normal distribution over its mean absolute error."""


@dataclass(frozen=True)
class Drift:
    """The pace of a machine: of everything that runs on this one."""

    pace: float = 0.0
    weight: float = 0.0

    def add(self, error: float) -> Drift:
        """With one more error of the model."""
        gain = max(MACHINE_GAIN, 1.0 / (self.weight + 1.0 + FIRST))
        return Drift(self.pace + gain * max(-MOST_ERROR, min(MOST_ERROR, error)), min(self.weight + 1.0, 1e6))


@dataclass(frozen=True)
class Run:
    """Errors in one direction since a change may have begun: what is beyond the slack, how many, and their sum."""

    beyond: float = 0.0
    number: float = 0.0
    total: float = 0.0

    def add(self, deviations: float, error: float) -> Run:
        """With one more; a fresh one where nothing speaks for a change any more."""
        beyond = self.beyond + deviations - SLACK
        return Run(beyond, self.number + 1.0, self.total + error) if beyond > 0.0 else Run()


@dataclass(frozen=True)
class Steps:
    """The pace of one backend, which stays as it is until a change is noticed."""

    pace: float = 0.0
    error: Mean = PRIOR_ERROR
    slower: Run = field(default_factory=Run)
    faster: Run = field(default_factory=Run)

    def add(self, error: float) -> Steps:
        """With one more error of the model, of a program whose kind is known."""
        deviations = error / (DEVIATION * self.error.value)
        deviations = max(-MOST_DEVIATIONS, min(MOST_DEVIATIONS, deviations))
        slower, faster = self.slower.add(deviations, error), self.faster.add(-deviations, error)
        for run in (slower, faster):
            if run.beyond > ALARM:
                return replace(self, pace=self.pace + run.total / run.number, slower=Run(), faster=Run())
        typical = self.error.add(min(abs(error), MOST_DEVIATIONS * self.error.value))
        return replace(self, error=typical, slower=slower, faster=faster)
