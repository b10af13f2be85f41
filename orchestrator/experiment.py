"""The time of an experiment: when it is for the emulated devices, the same for every process of a store.

    moment = experiment_start + experiment_speed * (the store's time now - the store's time when it was first asked for)

Recorded calibrations and queues are of past days (:mod:`backends.clock`). An experiment goes on where it is when its
processes start anew on the same store; one with another start or speed begins by itself. Without one it is the store's
time.
"""

from __future__ import annotations

from circuits.seeds import derive
from orchestrator.settings import Settings
from orchestrator.store import Store


class Experiment:
    """The clock that a process reads. Safe to read from several threads: whoever asks first settles it for all."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._start = settings.experiment_start
        self._speed = settings.experiment_speed
        self._begun_at: float | None = None

    def moment(self, at: float | None = None) -> float:
        """Seconds since the epoch, for the emulated devices: now, or at another time of the store's."""
        if self._start is None:
            return self._store.now() if at is None else at
        start = self._start.timestamp()
        if self._begun_at is None:
            self._begun_at = self._store.first_asked(f"experiment-{derive(0, repr(start), repr(self._speed))}")
        return start + self._speed * max(0.0, (self._store.now() if at is None else at) - self._begun_at)
