"""The demo: one mixed batch under every baseline policy, on real workers; what it cost and what was learned.

``python examples/demo.py`` starts a private Redis and Celery workers, submits the same jobs at the same times under
each policy, and afterwards runs a sample of them on every backend, without queues, to see what the best placement
would have been. Raw data, configuration and plots go to ``runs/<id>/``. Each policy starts with an empty store, so
that none learns from another, and with one shot on each backend and one job of its own, so that none waits for imports.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_futures
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from report import draw, learning_table, outcome_table, write_summary
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from orchestrator import Client, JobHandle
from orchestrator.errors import JobError
from orchestrator.job import JobState
from orchestrator.placement import cost
from orchestrator.records import to_plain
from orchestrator.settings import Settings
from policies.shelf import entries, shelves
from workers.compare.live import warm_up
from workers.compare.workload import Arrival, mixed
from workers.launch import running

console = Console()

JOB_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Declaration:
    """What the experiment is. A policy may use these backends, and what their calibration and the telemetry say."""

    policies: tuple[str, ...]
    num_jobs: int
    seed: int
    horizon_s: float
    num_sampled: int
    workers: dict[str, tuple[str, ...]]


FLEET = {
    "simulators": ("aer_statevector", "aer_mps", "aer_stabilizer", "aer_density_matrix"),
    "devices": ("fake_guadalupe", "fake_hanoi", "cirq_simulator", "braket_local"),
}
"""Worker -> backends. A worker runs one assignment at a time, so its backends queue behind each other."""

BASELINES = ("random", "round_robin", "shortest_queue", "greedy", "eft")


def playing() -> tuple[str, ...]:
    """The baselines, and the learned policy that comes with qorch where torch is there to ask it."""
    learned = [one.name for one in entries() if one.folder.parent == shelves()[1]] if find_spec("torch") else []
    return (*BASELINES, *learned[:1])


def main(
    jobs: Annotated[int, typer.Option(min=1, help="Jobs in the batch.")] = 72,
    seed: Annotated[int, typer.Option(min=0, help="Of programs, shots, objectives, arrivals and runs.")] = 7,
    horizon_s: Annotated[float, typer.Option(min=0.0, help="Seconds over which the jobs arrive.")] = 20.0,
    policy: Annotated[
        list[str] | None, typer.Option(help="Policies to compare; default: baselines and the learned one.")
    ] = None,
    sampled: Annotated[int, typer.Option(min=1, help="Jobs that are run on every backend afterwards.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("runs"),
) -> None:
    """Compare the baseline policies on the same jobs."""
    declaration = Declaration(tuple(policy or playing()), jobs, seed, horizon_s, sampled, FLEET)
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-seed{seed}"
    folder.mkdir(parents=True)
    about = asdict(declaration) | _machine()
    (folder / "declaration.json").write_text(json.dumps(about, indent=2))
    batch = mixed(jobs, seed, horizon_s=horizon_s)
    console.print(
        f"[bold]{jobs} jobs[/] × {len(declaration.policies)} policies · seed {seed} · {folder}\n"
        f"[dim]{', '.join(f'{name}: {len(backends)} backends' for name, backends in FLEET.items())}[/]"
    )
    rows: list[dict[str, Any]] = []
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    ) as progress:
        for name in declaration.policies:
            rows += _under(name, batch, folder, progress)
        _write(rows, folder)  # what follows may be interrupted
        best = _best_afterwards(batch, declaration, folder, progress)
    for row in rows:
        row["regret"] = row["cost"] - best[row["index"]] if row["index"] in best and row["cost"] is not None else None
    _write(rows, folder)
    draw(rows, folder / "overview.png")
    write_summary(rows, folder / "summary.csv", about)
    console.print(outcome_table(rows))
    console.print(learning_table(rows))
    failed = sum(row["state"] != JobState.DONE for row in rows)
    console.print(f"{len(rows) - failed} of {len(rows)} jobs done · raw data and plots in [bold]{folder}[/]")
    raise typer.Exit(1 if failed else 0)


def _write(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    with (folder / "jobs.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _under(policy: str, batch: Sequence[Arrival], folder: Path, progress: Progress) -> list[dict[str, Any]]:
    """Run the batch under one policy on a cluster of its own; one row a job."""
    bar = progress.add_task(policy, total=len(batch), note="starting Redis and workers")
    settings = Settings(data_dir=folder / policy.replace(":", "-"))
    with running(settings, FLEET, logs=settings.data_dir / "logs") as url, Client(url, settings=settings) as client:
        warm_up(client, [name for names in FLEET.values() for name in names], policy)
        progress.reset(bar)
        progress.update(bar, note="")
        handles: list[JobHandle] = []

        def submit() -> None:
            begun = time.monotonic()
            wait = threading.Event()
            for arrival in batch:
                wait.wait(max(0.0, begun + arrival.at_s - time.monotonic()))
                handles.extend(client.submit_many([replace(arrival.spec, policy=policy)]))

        with ThreadPoolExecutor(1) as clerks:
            clerk = clerks.submit(submit)
            finished: set[str] = set()
            while len(finished) < len(batch):
                waiting = [handle for handle in list(handles) if handle.id not in finished]
                for handle in client.as_completed(waiting, timeout=JOB_TIMEOUT_S):
                    finished.add(handle.id)
                    progress.update(bar, completed=len(finished))
                if clerk.done():
                    clerk.result()  # raises what kept it from submitting
                else:
                    wait_futures([clerk], timeout=0.1)
        rows = [_row(client, policy, index, arrival, handles[index], settings) for index, arrival in enumerate(batch)]
        done = [row for row in rows if row["cost"] is not None]
        mean = sum(row["cost"] for row in done) / max(1, len(done))
        progress.update(bar, note=f"mean cost {mean:.2f}")
        return rows


def _row(
    client: Client, policy: str, index: int, arrival: Arrival, handle: JobHandle, settings: Settings
) -> dict[str, Any]:
    """Everything about one job that the report needs, plain JSON."""
    job = handle.status()
    row: dict[str, Any] = {
        "policy": policy,
        "index": index,
        "kind": arrival.kind,
        "job_id": job.id,
        "state": job.state.value,
        "submitted_at": job.submitted_at,
        "finished_at": job.finished_at,
        "failure": to_plain(job.failure),
        "objective": to_plain(arrival.spec.objective),
        "shots": arrival.spec.shots,
        "cost": None,
    }
    decision = client.why(job.id)
    if job.state is not JobState.DONE or decision is None:
        return row
    result = handle.result()
    backend = result.placement.shares[0].backend
    chosen = next(candidate for candidate in decision.request.candidates if candidate.backend == backend)
    return row | {
        "backend": backend,
        "feasible": [candidate.backend for candidate in decision.request.feasible],
        "cursor": decision.cursor,
        "prior": to_plain(chosen.prior),
        "estimate": to_plain(chosen.estimate),
        "expected_wait_s": result.placement.shares[0].wait_s,
        "measurement": to_plain(result.measurement),
        "cost": _cost(arrival, result.measurement, result.estimate.fidelity, settings),
    }


def _cost(arrival: Arrival, measured: Any, expected_fidelity: float, settings: Settings) -> float:
    return cost(
        arrival.spec.objective,
        settings.scales,
        latency_s=measured.latency_s,
        energy_j=measured.energy_j,
        fidelity=expected_fidelity if measured.fidelity is None else measured.fidelity,
        cost_usd=measured.cost_usd,
    )


def _best_afterwards(
    batch: Sequence[Arrival], declaration: Declaration, folder: Path, progress: Progress
) -> dict[int, float]:
    """The lowest cost of each sampled job over all backends, each measured without a queue."""
    step = max(1, len(batch) // declaration.num_sampled)
    sample = list(enumerate(batch))[::step][: declaration.num_sampled]
    bar = progress.add_task("best afterwards", total=len(sample), note="starting Redis and workers")
    settings = Settings(data_dir=folder / "afterwards")
    best: dict[int, float] = {}
    with running(settings, FLEET, logs=settings.data_dir / "logs") as url, Client(url, settings=settings) as client:
        progress.update(bar, note="each sampled job on every backend")
        for index, arrival in sample:
            first = client.submit_many([arrival.spec])  # prepares the program, so that no backend pays for it
            next(client.as_completed(first, timeout=JOB_TIMEOUT_S))
            costs = []
            for backend in (name for names in FLEET.values() for name in names):
                if arrival.spec.allow and backend not in arrival.spec.allow:
                    continue
                try:
                    handle = client.submit_many([replace(arrival.spec, pin={backend: 1.0})])[0]
                    result = handle.result(JOB_TIMEOUT_S)
                except JobError:  # not feasible there; the reason stands in the store
                    continue
                costs.append(_cost(arrival, result.measurement, result.estimate.fidelity, settings))
            if costs:
                best[index] = min(costs)
            progress.advance(bar)
    return best


def _machine() -> dict[str, Any]:
    """Where and with what it ran."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ("qorch", "qiskit", "qiskit-aer", "celery", "redis", "cirq-core", "amazon-braket-sdk")
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": found.stdout.strip() or None,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "packages": {name: version(name) for name in packages},
    }


if __name__ == "__main__":
    typer.run(main)
