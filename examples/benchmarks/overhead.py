"""What the orchestrator costs beside bare Celery on the same machine, in the same minutes.

    python examples/benchmarks/overhead.py

Bare Celery (its three pools, results in Redis) and qorch (Redis with SQLite, Redis with PostgreSQL, embedded) are all
up at the same time and take turns, in one order and then in the other. The machine is shared, so what counts are the
ratios within a round: their median over the rounds, with a bootstrap interval. Both kinds do the same work, a no-op and
a 2-qubit OpenQASM program of 100 shots on Aer; where bare Celery does nothing at all for a no-op, qorch runs a circuit
of one measurement. "batch" is one ``submit_many``, or Celery's chunks of 50.

Then the stores are filled through the system itself, and throughput there is compared with a fresh one, in turns as
well. Memory is the resident set after the first tenth of that, against the end. Last, placement alone on all backends.

``--quick`` shows in a minute that it runs; its numbers mean nothing, and go to ``runs/``.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import numpy as np
import psutil
import typer
from evidence import RESULTS
from overhead_bare import BELL, MIXED, NOOP, POOLS, Bare, Work, bare_celery, distinct
from overhead_placement import bench
from overhead_qorch import Qorch, cluster, embedded, postgres
from overhead_report import Figures, show, write
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from workers.redis_server import private_server

System: TypeAlias = Bare | Qorch
Measured: TypeAlias = Iterator[tuple[str, str, float]]
"""Figure, program, value."""

console = Console(width=None if sys.stdout.isatty() else 160)

PARTS = ("bare", "sqlite", "postgresql", "embedded", "growth", "placement")
MEBIBYTE = 2**20
CHUNKS = 10
"""Parts in which a store is filled."""

SHORT_CHUNKS = 2
"""The same where only the memory is of interest."""

FIRST_SEED = 10**9
"""Of the programs of the rounds; those that fill the stores have smaller ones."""


@dataclass(frozen=True)
class Load:
    """How much of everything.

    Attributes:
        jobs: sent at once.   singles: sent one after the other.   fill: jobs in a full store.   placed: in one batch.
    """

    rounds: int = 5
    jobs: int = 1_000
    singles: int = 200
    fill: int = 100_000
    placed: int = 1_000
    slots: int = 1


QUICK = Load(rounds=1, jobs=20, singles=4, fill=100, placed=40)


# ── one round ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def one_by_one(system: System, load: Load, _: int, *, work: Work) -> Measured:
    """Jobs per second, submitted one by one."""
    yield "one by one", work.name, load.jobs / _took_s(lambda: system.one_by_one([work] * load.jobs))


def batch(system: System, load: Load, _: int, *, work: Work) -> Measured:
    """Jobs per second, one program, submitted together."""
    yield "batch", work.name, load.jobs / _took_s(lambda: system.batch([work] * load.jobs))


def distinct_batch(system: System, load: Load, number: int) -> Measured:
    """The same with programs that nobody has seen before."""
    works = distinct(load.jobs, seed=FIRST_SEED + number)
    yield "batch", works[0].name, load.jobs / _took_s(lambda: system.batch(works))


def latency(system: System, load: Load, _: int, *, work: Work) -> Measured:
    """Milliseconds from submission to result, nothing else to do."""
    times_ms = [1e3 * _took_s(lambda: system.single(work)) for _ in range(load.singles)]
    for percentile in (50, 95):
        yield f"latency p{percentile}", work.name, float(np.percentile(times_ms, percentile))


def notification(system: System, load: Load, _: int) -> Measured:
    """Milliseconds from the end of a job until its waiting client knows."""
    if isinstance(system, Qorch):
        times_ms = [1e3 * system.notified_s(BELL) for _ in range(load.singles)]
        for percentile in (50, 95):
            yield f"notification p{percentile}", BELL.name, float(np.percentile(times_ms, percentile))


STEPS: tuple[Callable[[System, Load, int], Measured], ...] = (
    partial(one_by_one, work=NOOP),
    partial(one_by_one, work=BELL),
    partial(batch, work=NOOP),
    partial(batch, work=BELL),
    distinct_batch,
    partial(latency, work=NOOP),
    partial(latency, work=BELL),
    notification,
)
"""What a round is. Every system takes its turn at a step before the next step, so that they are compared in seconds."""


def _took_s(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def take_turns(
    systems: Sequence[System],
    steps: Sequence[Callable[[System, Load, int], Measured]],
    load: Load,
    progress: Progress,
    title: str,
) -> Figures:
    """All rounds: A B C … in the first, … C B A in the second."""
    figures = Figures()
    bar = progress.add_task(title, total=load.rounds * len(steps) * len(systems), note="")
    for number in range(load.rounds):
        for step in steps:
            for system in systems[:: -1 if number % 2 else 1]:
                progress.update(bar, note=f"round {number + 1}, {system.name}")
                for figure, program, value in step(system, load, number):
                    figures.add(figure, program, system.name, value)
                progress.advance(bar)
    return figures


# ── growth ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def grow(system: System, load: Load, progress: Progress, *, whole: bool) -> Figures:
    """Fill a store, or two tenths of one, and see what that takes of memory and disk."""
    figures = Figures()
    size = load.fill // CHUNKS
    num_chunks = CHUNKS if whole else SHORT_CHUNKS
    bar = progress.add_task("fill", total=num_chunks, note=f"{num_chunks * size} jobs, {system.name}")
    after: list[tuple[float, float, float]] = []
    for number in range(num_chunks):
        system.fill(size, seed=number * load.fill)
        gc.collect()
        disk_byte = system.size_byte() if isinstance(system, Qorch) else 0
        after.append((_resident_byte([psutil.Process()]), _resident_byte(_family(system.workers)), disk_byte))
        progress.advance(bar)
    num_jobs = (num_chunks - 1) * size  # the first chunk fills caches that stay as large as they are then
    client, workers, disk = ((end - begin) / num_jobs for begin, end in zip(after[0], after[-1], strict=True))
    figures.add("memory of the client", MIXED, system.name, client * 10_000 / MEBIBYTE)
    figures.add("memory of the workers", MIXED, system.name, workers * 10_000 / MEBIBYTE)
    if isinstance(system, Qorch):
        figures.add("store", MIXED, system.name, disk * 1_000 / 1e3)
    return figures


def _family(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    return [member for process in processes for member in (process, *process.children(recursive=True))]


def _resident_byte(processes: Sequence[psutil.Process]) -> float:
    return float(sum(process.memory_info().rss for process in processes))


def compare_with_fresh(full: Qorch, fresh: Qorch, load: Load, progress: Progress) -> Figures:
    """Throughput in the full store over that in the fresh one, round by round."""
    steps = (partial(one_by_one, work=BELL), partial(batch, work=BELL))
    found = take_turns([full, fresh], steps, load, progress, "full and fresh")
    figures = Figures()
    for figure in ("one by one", "batch"):
        by_system = {key.system: values for key, values in found.of(figure).items()}
        for ours, theirs in zip(by_system[full.name], by_system[fresh.name], strict=True):
            figures.add(f"{figure}, full over fresh", BELL.name, full.name, ours / theirs)
    return figures


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def measure(parts: Sequence[str], load: Load, folder: Path, progress: Progress) -> Figures:
    """Start what is wanted, measure it, end it."""
    figures = Figures()
    with ExitStack() as stack:
        starting = progress.add_task("start", total=None, note="")
        systems: list[System] = []
        stores: dict[str, Callable[[str], AbstractContextManager[Qorch]]] = {}
        if "sqlite" in parts:
            stores["sqlite"] = lambda name: cluster(name, folder / name, load.slots)
        if "postgresql" in parts:
            database = stack.enter_context(postgres(folder / "postgresql-server"))
            stores["postgresql"] = lambda name: cluster(name, folder / name, load.slots, database())
        if "bare" in parts:
            url = stack.enter_context(private_server())
            for pool in POOLS:
                progress.update(starting, note=f"bare Celery, {pool}")
                systems.append(stack.enter_context(bare_celery(url, pool, folder / "logs")))
        for name, start in stores.items():
            progress.update(starting, note=name)
            systems.append(stack.enter_context(start(name)))
        if "embedded" in parts:
            systems.append(stack.enter_context(embedded("embedded", folder / "embedded", load.slots)))
        progress.update(starting, total=1, completed=1, note="")
        if systems:
            figures.values |= take_turns(systems, STEPS, load, progress, "side by side").values
        for system in systems if "growth" in parts else ():
            figures.values |= grow(system, load, progress, whole=system.name in stores).values
            if isinstance(system, Qorch) and system.name in stores:
                with stores[system.name](f"{system.name}-fresh") as fresh:
                    figures.values |= compare_with_fresh(system, fresh, load, progress).values
    if "placement" in parts:
        figures.values |= measure_placement(load, folder / "placement", progress).values
    figures.derive()
    return figures


def measure_placement(load: Load, folder: Path, progress: Progress) -> Figures:
    """Estimates and decisions per second."""
    figures = Figures()
    bar = progress.add_task("placement", total=load.rounds, note="preparing programs for all backends")
    with bench(folder, load.placed) as given:
        progress.update(bar, note=f"{len(given.devices)} backends")
        system = "in process"
        for _ in range(load.rounds):
            for figure, value in given.placed(load.placed).items():
                figures.add(figure, MIXED, system, value)
            figures.add("estimates of the cost model", MIXED, system, given.estimated())
            progress.advance(bar)
    return figures


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Only show that it runs.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Turns that every system takes; the default is 5.")] = None,
    jobs: Annotated[int | None, typer.Option(min=2, help="Jobs sent at once; the default is 1000.")] = None,
    fill: Annotated[
        int | None, typer.Option(min=CHUNKS, help="Jobs in a store that counts as full; the default is 100000.")
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Of each worker of ours; the default is 1.")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Some of {', '.join(PARTS)}; the default is all.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for overhead.csv.")] = None,
) -> None:
    """Measure what the orchestrator costs beside bare Celery."""
    strangers = sorted(set(only or ()) - set(PARTS))
    if strangers:
        raise typer.BadParameter(f"--only takes {', '.join(PARTS)}; got {', '.join(strangers)}")
    chosen = {"rounds": rounds, "jobs": jobs, "fill": fill, "slots": slots}
    load = replace(QUICK if quick else Load(), **{name: value for name, value in chosen.items() if value is not None})
    for name in [name for name in os.environ if name.startswith("QORCH_")]:
        del os.environ[name]  # what this user has set is no part of the comparison
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that every process is ended
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with (
        tempfile.TemporaryDirectory(prefix="overhead-", ignore_cleanup_errors=True) as folder,
        Progress(SpinnerColumn(), TextColumn("{task.description:<14}"), *columns, console=console) as progress,
    ):
        figures = measure(only or PARTS, load, Path(folder), progress)
    folder_out = out or (Path("runs") if quick else RESULTS)
    write(figures, "overhead", folder_out, seeds="programs by round and system; simulators as each chooses")
    show(figures, console)
    console.print(f"rows in [bold]{folder_out / 'overhead.csv'}[/]")


if __name__ == "__main__":
    typer.run(main)
