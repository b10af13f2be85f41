"""Recorded queues in front of emulated devices: what is announced of them, and how long a job then really waits.

Announced is what a provider tells: the number of pending jobs, recorded, times a stated time for each of them. Met is
something else: the queue of the later moment at which the job arrives, at a pace that nobody publishes, which is off by
a constant, drifts from day to day and varies from job to job (all ours). So the announcement is a stale and biased
feature, and only measured waits tell more. Nothing sleeps: a wait is accounted for.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from backends.backend import Availability
from backends.recorded import DAY_S, pending_jobs
from circuits.seeds import derive

JOB_S = 7.3
"""Seconds that a pending job is expected to take: the median of 5 134 execution times on IBM machines that Qonductor
(SC'25) published. Their mean is 63 s, drawn up by jobs of many circuits; how much of a queue is such jobs is not known
(ours: the median)."""

_BIAS, _DRIFT, _SPREAD = 0.4, 0.3, 0.35
"""Standard deviations of the logarithm of the pace: of a machine for good, of one of its days, of one job (ours)."""


@dataclass(frozen=True)
class RecordedQueue:
    """The queue of a real machine, in front of an emulated one.

    Attributes:
        machine: whose queue it is, such as "ibm_perth"; ``backends.recorded`` has twelve.
        job_s: seconds that a pending job is announced to take.
    """

    machine: str
    job_s: float = JOB_S

    def availability(self, moment: float) -> Availability:
        """What is announced at a moment, seconds since the epoch."""
        number, recorded_at = pending_jobs(self.machine, moment)
        return Availability(pending_jobs=number, queue_s=number * self.job_s, heard_at=recorded_at)

    def wait_s(self, moment: float, seed: int) -> float:
        """Seconds that a job waits which arrives at that moment. The same seed waits equally long."""
        number, _ = pending_jobs(self.machine, moment)
        own = _normal(seed, self.machine, round(moment * 1000))
        return number * self.job_s * math.exp(self._pace(moment) + _SPREAD * own)

    def _pace(self, moment: float) -> float:
        """Logarithm of what the announcement is off by: a machine's own constant, and its days one into the other."""
        day, part = divmod(moment / DAY_S, 1.0)
        today, tomorrow = (_normal(0, self.machine, "day", int(day) + ahead) for ahead in (0, 1))
        return _BIAS * _normal(0, self.machine, "bias") + _DRIFT * ((1.0 - part) * today + part * tomorrow)


def _normal(seed: int, *path: int | str) -> float:
    """The normal random number that ``path`` names."""
    return random.Random(derive(seed, *path)).gauss()
