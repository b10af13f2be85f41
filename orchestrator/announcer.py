"""Allocators of entangled pairs are kept informed: of what holds pairs, and of jobs that will want some."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from orchestrator.coming import expected_at, wanted
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene
from orchestrator.experiment import Experiment
from orchestrator.fleet import Fleet
from orchestrator.job import Assignment, Job, JobState
from orchestrator.pairs import PairOffice
from orchestrator.preparer import Preparer
from orchestrator.settings import Settings
from orchestrator.store import Store

LOOKED_AHEAD = 100
"""Jobs that come after others of which it is worked out when they are expected, by rank (ours)."""


class Announcer:
    """Tells the office of pairs what the store knows. Without an office it says nothing."""

    def __init__(
        self,
        office: PairOffice | None,
        store: Store,
        preparer: Preparer,
        experiment: Experiment,
        learn: Callable[[], CostModel],
        settings: Settings,
    ) -> None:
        """``learn`` gives the cost model, once the office has heard of everything that is in it."""
        self._office, self._store, self._preparer = office, store, preparer
        self._experiment, self._learn, self._settings = experiment, learn, settings

    def follow(self, fleet: Fleet) -> PairOffice | None:
        """Allocators of entangled pairs as they stand."""

        def held(backends: Sequence[str]) -> list[Assignment]:
            parts = self._store.held(backends)
            self._learn()  # what has ended by then tells of its lease before that goes
            return parts

        def unplaced(job_ids: Sequence[str]) -> list[str]:
            states = self._store.states(job_ids)
            return [job_id for job_id, state in states.items() if state is JobState.SUBMITTED]

        if self._office is not None:
            self._office.follow(fleet.devices, self._experiment.moment(), held, unplaced)
        return self._office

    def look_ahead(self, fleet: Fleet) -> bool:
        """Announce the pairs of jobs that come after others. Whether some are left to look at."""
        office = self._office
        if office is None or not any(one.network and one.network.made_from for one in fleet.devices.values()):
            return False
        coming: list[tuple[Job, float]] = []
        for one in self._store.blocked(LOOKED_AHEAD):
            at = expected_at(one.before, fleet.devices)
            if at is not None and office.news(one.job.id, self._experiment.moment(at)):
                coming.append((one.job, self._experiment.moment(at)))
        if not coming:
            return False
        now, times = self._store.now(), self._settings.times
        scene = Scene(fleet, fleet.backlog((), now), self._learn(), now, times, pairs=self.follow(fleet))
        prepared = self._preparer.prepare([job for job, _ in coming], fleet.devices)
        for (job, moment), known in zip(coming, prepared, strict=False):
            found = wanted(job, known, scene, self._settings.scales)
            office.expect(job.id, moment, found.backend, found.demands)
        return len(prepared) < len(coming)
