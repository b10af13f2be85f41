"""A world's tasks for real: submitted to an embedded orchestrator of their own at the times at which they arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from circuits.program import Program
from orchestrator import Client, JobHandle
from orchestrator.errors import JobError
from orchestrator.job import JobSpec
from orchestrator.settings import Settings
from policies.arena import Ended, Task, World

PATIENCE_S = 600.0
"""Longest wait for a result after the last job was submitted."""


FLIP = Program(
    "openqasm2", text='OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q[0] -> c[0];\n'
)


def run(
    world: World, policy: str, folder: Path, settings: Settings, advance: Callable[[int], object] = lambda _: None
) -> tuple[Ended, ...]:
    """Submit all tasks under a policy and wait for their ends.

    Args:
        folder: of an empty store, so that no policy learns from another; each backend is warmed up first.
        settings: of this machine; the fleet's backends are served, and nothing else.
        advance: called with the number of results that are there.
    """
    own: dict[str, Any] = {"data_dir": folder, "store_url": None, "url": None, "embedded_engine": True}
    own["backends"] = tuple(world.fleet.devices)
    with Client(settings=settings.model_copy(update=own)) as client:
        warm_up(client, tuple(world.fleet.devices), policy)
        return tuple(end for _, end in through(client, world, policy, advance))


def through(
    client: Client,
    world: World,
    policy: str,
    advance: Callable[[int], object] = lambda _: None,
    before: Callable[[int], object] = lambda _: None,
) -> list[tuple[JobHandle, Ended]]:
    """Submit all tasks to an orchestrator that is there, and wait for their ends.

    What arrives at one moment is a user's burst, and submitted as one batch.

    Args:
        advance: called with the number of results that are there.
        before: with the number of the first job of each burst, before that is submitted.
    """
    begun, pause, handles = time.monotonic(), threading.Event(), list[JobHandle]()
    for at_s, burst in groupby(world.tasks, key=attrgetter("at_s")):
        specs = [replace(task.spec, policy=policy) for task in burst]
        pause.wait(max(0.0, begun + at_s - time.monotonic()))
        before(len(handles))
        handles += client.submit_many(specs)
    ends = []
    for index, (task, handle) in enumerate(zip(world.tasks, handles, strict=True)):
        ends.append((handle, _end(world, index, task, handle)))
        advance(index + 1)
    return ends


def warm_up(client: Client, backends: Sequence[str], policy: str) -> None:
    """One shot on each backend and one where the policy likes, so that no job of a comparison waits for imports."""
    pinned = [JobSpec(FLIP, shots=1, pin={name: 1.0}) for name in backends]
    for handle in client.submit_many([*pinned, JobSpec(FLIP, shots=1, policy=policy)]):
        with suppress(JobError):  # what it cannot run it need not be warm for
            handle.result(PATIENCE_S)


def _end(world: World, index: int, task: Task, handle: JobHandle) -> Ended:
    try:
        result = handle.result(PATIENCE_S)
    except JobError as error:
        job = handle.status()
        latency_s = (job.finished_at or time.time()) - job.submitted_at
        return world.ended(index, latency_s=latency_s, failure=str(error))
    measured, shares = result.measurement, result.placement.shares
    return world.ended(
        index,
        latency_s=measured.latency_s,
        fidelity=result.estimate.fidelity if measured.fidelity is None else measured.fidelity,
        energy_j=measured.energy_j,
        cost_usd=measured.cost_usd,
        wait_s=measured.wait_s,
        service_s=measured.service_s,
        choice={share.backend: share.shots / task.spec.shots for share in shares},
        estimates={share.backend: share.estimate for share in shares},
    )
