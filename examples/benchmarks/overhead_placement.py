"""What placement costs without the rest of the trip: estimates and decisions, in this process, on every backend.

The programs are prepared beforehand. The time of the estimates is what passes from the call of ``Pipeline.place`` until
the policy is asked: reading what waits, the roll and the backlog, folding what was measured, and one candidate for each
backend of each job.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from overhead_bare import mixed

from backends.backend import Device
from orchestrator.client import job_spec
from orchestrator.pipeline import Pipeline
from orchestrator.placement import Backlog, Choice, Policy, Request, Scales
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from policies import load
from workers.local_bus import LocalBus
from workers.node import devices_here
from workers.sandbox import Sandbox

NUM_MEASURED = 5
"""Runs that the cost model has learned from."""

NUM_CALLS = 20_000
WORKER = "overhead"
MEASURED = "aer_statevector"


@dataclass
class Stopwatch:
    """A policy that notes when it is asked, and for what, and decides as another one does."""

    policy: Policy
    begun: float = 0.0
    estimated_s: float = 0.0
    num_pairs: int = 0
    asked: list[tuple[list[Request], Backlog]] = field(default_factory=list)

    def begin(self) -> None:
        """Start the clock of one batch."""
        self.begun = time.perf_counter()

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        self.estimated_s += time.perf_counter() - self.begun
        self.num_pairs += sum(len(request.candidates) for request in requests)
        self.asked.append((list(requests), backlog.copy()))
        return list(self.policy.place(requests, backlog, scales))


@dataclass(frozen=True)
class Bench:
    """A pipeline with every backend on its roll and nobody who runs anything."""

    pipeline: Pipeline
    watch: Stopwatch
    devices: dict[str, Device]
    scales: Scales

    def placed(self, num: int) -> dict[str, float]:
        """Place so many jobs; estimates, decisions and placements per second.

        Raises:
            RuntimeError: some of them did not get a place.
        """
        watch = self.watch
        watch.asked.clear()
        watch.estimated_s, watch.num_pairs = 0.0, 0
        self.pipeline.submit([job_spec(work.text, shots=work.shots) for work in mixed(num, seed=0)])
        begun = time.perf_counter()
        watch.begin()
        while self.pipeline.place():
            watch.begin()
        placing_s = time.perf_counter() - begun
        num_placed = sum(len(requests) for requests, _ in watch.asked)
        if num_placed != num:
            raise RuntimeError(f"{num} jobs waited for a place, {num_placed} were decided")
        return {
            "estimates in placement": watch.num_pairs / watch.estimated_s,
            "placed": num / placing_s,
            "decisions of eft": num / self._decided_s(),
        }

    def _decided_s(self) -> float:
        """Seconds that the policy alone needs, with the estimates given."""
        given = [(requests, backlog.copy()) for requests, backlog in self.watch.asked]
        begun = time.perf_counter()
        for requests, backlog in given:
            self.watch.policy.place(requests, backlog, self.scales)
        return time.perf_counter() - begun

    def estimated(self) -> float:
        """Calls per second of the cost model for a program that it has measurements of."""
        model = self.pipeline.learn()
        request = self.watch.asked[0][0][0]
        before = next(candidate.prior for candidate in request.candidates if candidate.backend == MEASURED)
        device, program_hash = self.devices[MEASURED], request.spec.program.content_hash()
        begun = time.perf_counter()
        for _ in range(NUM_CALLS):
            model.estimate(before, device, "program", program_hash)
        return NUM_CALLS / (time.perf_counter() - begun)


@contextmanager
def bench(folder: Path, largest_batch: int) -> Iterator[Bench]:
    """The pipeline, with the programs prepared and the cost model taught by a few runs."""
    settings = Settings(data_dir=folder, heartbeat_s=3600.0, placement_batch=largest_batch, placement_window_s=60.0)
    folder.mkdir(parents=True)
    devices = devices_here(())
    watch = Stopwatch(load("eft"))
    with ExitStack() as stack:
        store = SqlStore(settings.resolved_store_url, settings.rules)
        stack.callback(store.close)
        bus = LocalBus(folder)
        stack.callback(bus.close)
        sandbox = Sandbox()
        stack.callback(sandbox.close)
        pipeline = Pipeline(
            store=store,
            broker=bus,
            notifier=bus,
            runtime=sandbox,
            policies=lambda _: watch,
            settings=settings,
            owner=f"{WORKER}/0",
        )
        stack.callback(pipeline.close)
        store.announce(WORKER, [Announcement(name, WORKER, 1, device) for name, device in devices.items()])
        jobs = [job_spec(work.text, shots=work.shots) for work in mixed(largest_batch, seed=0)]
        pipeline.submit([*jobs, *[replace(jobs[0], pin={MEASURED: 1.0})] * NUM_MEASURED])
        while pipeline.place():
            pass
        while pipeline.execute({MEASURED: devices[MEASURED]}):  # whatever else was placed there, too
            pass
        yield Bench(pipeline, watch, devices, settings.scales)
