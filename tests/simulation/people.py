"""Whom the simulated cluster works for: a client with its wishes, and policies of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from circuits.program import Program
from orchestrator.errors import JobNotFound, StoreUnavailable
from orchestrator.job import FINAL_JOB_STATES, Event, JobSpec, Limits
from orchestrator.placement import Backlog, Choice, Policy, Request, Scales
from orchestrator.store import Switch
from policies import load
from tests.simulation.invariants import FINAL
from tests.simulation.seams import DIVIDED, UNREADABLE, Process, SimRuntime, Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

PROGRAMS = tuple(Program("openqasm2", text=text) for text in ("one", "two", UNREADABLE, DIVIDED))
BACKENDS = ("red", "green", "blue", "far")


class Client:
    """Submits, cancels, switches; waits for every job of its own as a real one does: it looks when it hears."""

    def __init__(self, world: World, process: Process, *, num_jobs: int) -> None:
        self.process = process
        self.waits_for: set[str] = set()
        self._world = world
        self._rng = world.rng
        self._pipeline = world.pipeline(process, SimRuntime(world, process))
        self._left = num_jobs
        self._jobs: list[str] = []
        self._by_key: dict[str, str] = {}
        self._rung = False
        self._off: set[tuple[str, str]] = set()
        process.hub.subscribe(self._hear)

    def wishes(self) -> Iterator[tuple[float, str, Callable[[], object]]]:
        """What it may do next: weight, name, and the doing."""
        if self._left:
            yield 3.0, "submit", self._submit
        if self._jobs:
            yield 0.05, "cancel", lambda: self._pipeline.cancel(self._rng.choice(self._jobs))
        if self._rung:
            yield 2.0, "look", self._look
        yield 0.12, "switch", self._switch

    def settle(self) -> None:
        """No more wishes: it puts everything back into service and waits for its jobs."""
        self._left = 0
        self._rung = True
        for switch in self._world.store.switches():
            self._world.store.switch(Switch(switch.kind, switch.name, "on"))
        self.wishes = self._only_look  # type: ignore[method-assign]

    def _only_look(self) -> Iterator[tuple[float, str, Callable[[], object]]]:
        if self._rung:
            yield 2.0, "look", self._look

    def _hear(self, event: Event | None) -> None:
        if event is None or (event.job_id in self.waits_for and event.kind in FINAL):
            self._rung = True

    def _look(self) -> None:
        self._rung = False
        try:
            states = self._pipeline.store.states(sorted(self.waits_for))
        except StoreUnavailable:
            self._rung = True
            return
        self.waits_for -= {job_id for job_id, state in states.items() if state in FINAL_JOB_STATES}

    def _submit(self) -> None:
        specs = [self._spec() for _ in range(min(self._left, self._rng.choice((1, 1, 2))))]
        self._left -= len(specs)
        for _ in range(3):
            try:
                jobs = self._pipeline.submit(specs)
            except StoreUnavailable:
                if any(spec.idempotency_key is None for spec in specs):
                    return  # whether it was written is not known, and to submit it again might double it
                continue
            except JobNotFound as error:
                raise Violation(f"a job that was there is not: {error}") from error
            for spec, job in zip(specs, jobs, strict=True):
                key = spec.idempotency_key or job.id
                if self._by_key.setdefault(key, job.id) != job.id:
                    raise Violation(f"the key {key} has two jobs")
            self._jobs += [job.id for job in jobs]
            self.waits_for.update(job.id for job in jobs)
            self._rung = True  # subscribed before, it looks once
            return

    def _spec(self) -> JobSpec:
        rng = self._rng
        pins = ({}, {"red": 1.0}, {"red": 0.5, "blue": 0.5}, {"far": 1.0}, {"far": 0.5, "red": 0.5})
        far = 4.0 if self._world.provider_is_there else 0.0
        pin = rng.choices(pins, (7, 2, 2, far, far))[0]
        return JobSpec(
            program=rng.choices(PROGRAMS, (6, 6, 0.5, 4))[0],
            shots=rng.randint(3, 40),
            policy=rng.choices(("eft", "round_robin", "scatter", "restless", "sulky"), (2, 2, 3, 6, 1))[0],
            pin=pin,
            allow=("green", "blue") if rng.random() < 0.15 and not pin else (),
            limits=Limits(deadline_s=rng.uniform(0.5, 6.0) if rng.random() < 0.1 else None),
            priority=rng.randint(0, 9),
            seed=rng.randint(0, 99),
            idempotency_key=f"key{rng.randint(0, 5)}" if rng.random() < 0.5 else None,
            max_parts=len(BACKENDS),
            after=tuple(rng.sample(self._jobs, min(len(self._jobs), rng.choice((0, 0, 1, 2))))),
        )

    def _switch(self) -> None:
        rng = self._rng
        kind, name = rng.choice([("worker", "worker0"), *(("backend", name) for name in BACKENDS)])
        modes = ("on", "on", "drained") if kind == "worker" else ("on", "on", "drained", "disabled")
        self._pipeline.switch(Switch(kind, name, rng.choice(modes)))


class Scatter:
    """Shares every job among all its candidates."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        return [_equal_shares(request) for request in requests]


class Restless:
    """Would have everything that waits elsewhere, each time that it is asked."""

    reconsiders = True

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        return [{self._rng.choice(request.feasible).backend: 1.0} for request in requests]


class Sulky:
    """Fails now and then."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        if self._rng.random() < 0.5:
            raise ZeroDivisionError("no mood")
        return [_equal_shares(request) for request in requests]


def _equal_shares(request: Request) -> Choice:
    names = sorted(candidate.backend for candidate in request.feasible)[: request.amount]
    return {name: 1 / len(names) for name in names}


def policy(name: str, rng: random.Random) -> Policy:
    """A live policy."""
    if name == "scatter":
        return Scatter()
    if name == "restless":
        return Restless(rng)
    return Sulky(rng) if name == "sulky" else _real(name)


@cache
def _real(name: str) -> Policy:
    return load(name)
