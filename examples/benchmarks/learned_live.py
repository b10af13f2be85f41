"""Learned placement for real: the three circuit families on workers of this machine, beside rules and search.

``python examples/benchmarks/learned_live.py`` records a few runs of every program on every backend, which say how fast
jobs have to come for a load and what the best schedule in hindsight would have cost. Then each policy gets a private
Redis, Celery workers and a store of its own in which programs are prepared and nothing is measured. It goes through
the same five phases of the same jobs at the same times, and keeps what it learns from one to the next:

    first     medium load; nothing was measured before
    light, medium, overload        0.3, 0.7, 1.5 of what the fleet could do
    outage    medium load; at half of the jobs, before the burst that they come in, the backend that everybody likes
              best is taken out of service

The learned policy is the shipped checkpoint, which was trained in the twin of recorded runs alone and has seen nothing
of this fleet. "fine-tuned" goes through the same day with its weights trained on in a twin of what the learned policy
met in phase "first", as `qorch twin` and `python -m policies.train --from` do it. Every fourth job demands a fidelity.
``same_over_eft`` says how long jobs took over the same jobs on the same backends under `eft`: where it is far from 1,
the machine was slower for one of the two, and their costs cannot be compared.

``foretold_over_measured`` is the sum of the costs that were expected when jobs were placed, wait included, over the sum
of those that were measured; the error of a twin is that of the first three quarters of a log on the last, of the
learned policy's store after all phases. Loads come from recorded service times, which know nothing of what messages,
the store and a second worker on the same cores take. The best schedule in hindsight is searched with the mean of what
a program really took on a backend, under any policy (means, since a job's cost is linear in time, and those times have
long tails: with medians, which earlier tables had, no schedule could come near the best); where nobody ever went it
believes the recording. A worker is taken by each job for as long as it was live, beside the service: to claim it, to
write its end, and until it claims the next one. Every job pays the mean of what was neither service nor waiting in its
phase. What a policy does in a world of just those times is a schedule, too, and told in a table of its own
(``…_simulated.csv``, with the milliseconds that a worker is taken), once as live and once with the times known that
it met on a day before: what that one ends above the best schedule is what it costs not to know who comes next.

``--workload larger`` is the same day with programs that keep a simulator busy for 0.05 to 2 s instead of 1 to 150 ms,
so that placement decides what they wait for, and not the trip. Its sizes were chosen before any policy played it.

What was run is kept in runs/learned_live/jobs.jsonl: an interrupted benchmark goes on. Seeds 76 to 80, by which nothing
was chosen and that nobody had played before. Reported earlier: 11 to 15, before policies ordered jobs and families
foretold their circuits, 41 to 45, before second thoughts, and 66 to 70, when a worker took what was most urgent on one
of its backends alone. On seeds 1 and 2 it was found that torch's threads took a core from the workers, on 21 to 25, 31
and 32 of the larger jobs what to ship, on 33, 51 to 55 and 61 that what runs together ends together, and what it costs
to think again, on 66 to 75 in which order workers take what waits. The order of policies turns from seed to seed, so
that no one always meets a warm machine.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Annotated, TypeVar

import placement
import typer
from evidence import RESULTS, results
from learned_live_report import LEARNED, PHASES, TUNED, Row, Twinned, report, turn_s
from rich.console import Console
from rich.progress import track

from backends.backend import Device
from circuits.seeds import derive
from orchestrator import Client, JobHandle
from orchestrator.cost_model.model import CostModel
from orchestrator.job import Times
from orchestrator.placement import Lane, Scales
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from policies import load
from policies.arena import Ended, Task, World, play
from policies.envs.measured import twin as twins
from policies.envs.measured.logged import Logged, held_out, read
from policies.envs.measured.twin import Twin
from policies.learners.kit import checkpoint
from policies.oracle import hindsight
from policies.shelf import Entry, entries, put, shelves
from policies.train import train
from workers.compare.contest import fleet_of, world_of
from workers.compare.live import through, warm_up
from workers.compare.recording import Recorded, work_key
from workers.compare.standings import mean
from workers.compare.workload import Arrival, larger, mixed
from workers.decision_log import of_store
from workers.equipment import equipped
from workers.launch import running
from workers.node import devices_here

FLEET = {
    "simulators": ("aer_statevector", "aer_mps", "aer_stabilizer", "aer_density_matrix"),
    "devices": ("fake_guadalupe", "fake_hanoi", "cirq_simulator", "braket_local"),
}
"""That of ``examples/demo.py``: workers of one slot."""

LIKED = "aer_statevector"
"""What fails in phase "outage": the fastest backend of most programs."""

LOAD_OF = {"first": "medium", "outage": "medium"}
"""Of phases that are not called by their load."""

PEERS = ("random", "round_robin", "eft", "smith", "bandit", "joint")
WARM_UP = sum(map(len, FLEET.values())) + 1
"""Jobs of :func:`workers.compare.live.warm_up`."""

EPOCHS = 4
"""Of fine-tuning: a sixth of what the shipped checkpoint had (ours)."""

TIMEOUT_S = {"mixed": 60.0, "larger": 20.0}
"""Of a job, by workload; where a program takes longer it is taken not to run."""

Worlds = Mapping[str, World]
"""By phase."""

T = TypeVar("T")

console = Console()


def main(
    jobs: Annotated[int, typer.Option(min=40, help="Jobs of a phase.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with other jobs and arrivals.")] = 5,
    first_seed: Annotated[int, typer.Option(min=1, help="Of the first repetition.")] = 76,
    policy: Annotated[list[str] | None, typer.Option(help="Peers; default: all.")] = None,
    workload: Annotated[str, typer.Option(help=", ".join(TIMEOUT_S))] = "mixed",
    work: Annotated[Path | None, typer.Option(help="Folder of stores and of what was measured.")] = None,
    results_folder: Annotated[Path, typer.Option("--results", help="Where tables and picture go.")] = RESULTS,
) -> None:
    """Run what was not yet run, and report."""
    if workload not in TIMEOUT_S:
        raise typer.BadParameter(f"wanted {' or '.join(TIMEOUT_S)}, got {workload}", param_hint="--workload")
    name = "learned_live" if workload == "mixed" else f"learned_live_{workload}"
    work = Path("runs") / name if work is None else work
    work.mkdir(parents=True, exist_ok=True)
    os.environ["QORCH_CHECKPOINTS"] = str((work / "shelf").resolve())  # workers look there, too
    (shipped, *_) = [one for one in entries() if one.folder.parent == shelves()[1]]
    names = (*(policy or PEERS), LEARNED)
    devices = equipped(devices_here(sorted(name for mine in FLEET.values() for name in mine)), Settings())
    arrivals = {seed: _arrivals(workload, jobs, seed) for seed in range(first_seed, first_seed + seeds)}
    known = placement._recorded([one for mine in arrivals.values() for one in mine.values()], devices, work)
    worlds = {seed: _worlds(mine, known, devices, seed) for seed, mine in arrivals.items()}
    template = _prepared(worlds, work)
    cells = [(seed, name) for seed in worlds for name in _turned(names, seed)]
    have = {(row.seed, row.policy) for row in _read(Row, work / "jobs.jsonl")}
    for seed, by in track([cell for cell in cells if cell not in have], description="runs", console=console):
        if by == LEARNED:
            found, off = _learned(shipped, worlds[seed], seed, template, work)
        else:
            found, off = _run(by, by, worlds[seed], seed, _copied(template, work / "stores" / f"{by}-{seed}")), []
        for file, lines in (("twins.jsonl", off), ("jobs.jsonl", found)):
            with (work / file).open("a") as out:
                out.writelines(to_json(line) + "\n" for line in lines)
    rows = _read(Row, work / "jobs.jsonl")
    turns_s = {phase: turn_s([row for row in rows if row.phase == phase]) for phase in PHASES}
    lived = _same_times(worlds, rows, turns_s)
    played = _simulated(lived, [*(policy or PEERS), shipped.name])
    best, trips = _best(lived, rows, played), _trips(lived, rows, turns_s)
    whole = {where: cost + trips[where] for where, cost in best.items()}
    told = f"{first_seed} to {first_seed + seeds - 1}; {jobs} jobs a phase; {shipped.name}"
    report(rows, _read(Twinned, work / "twins.jsonl"), names, whole, told, results_folder, name)
    columns = ["phase", "worker_taken_ms", "policy", "times", "num_seeds", "cost_over_best"]
    columns += ["cost_over_best_low_95", "cost_over_best_high_95"]
    with results(f"{name}_simulated", columns, seeds=told, folder=results_folder) as table:
        for phase, (by, times) in product(PHASES[:-1], dict.fromkeys((by, times) for *_, by, times in played)):
            over = mean([played[seed, phase, by, times] / best[seed, phase] for seed in worlds])
            figures = [f"{one:.4g}" for one in (over.value, over.low, over.high) if one]
            table.writerow([phase, f"{1e3 * turns_s[phase]:.3g}", by, times, len(worlds), *figures])


def _turned(names: Sequence[str], by: int) -> list[str]:
    at = by % len(names)
    return [*names[at:], *names[:at]]


def _read(kind: type[T], path: Path) -> list[T]:
    return [from_json(kind, line) for line in path.read_text().splitlines()] if path.exists() else []


# ── worlds ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _arrivals(workload: str, num_jobs: int, seed: int) -> dict[str, list[Arrival]]:
    """Jobs of the three families alone, of all phases."""
    make, num_drawn = {"mixed": mixed, "larger": larger}[workload], 2 * len(PHASES) * num_jobs
    drawn = [one for one in make(num_drawn, seed, horizon_s=1.0) if one.kind != "openqasm"]  # which 5 of 12 are
    limited = [_limited(one, TIMEOUT_S[workload]) for one in drawn]
    return {phase: limited[number * num_jobs :][:num_jobs] for number, phase in enumerate(PHASES)}


def _limited(one: Arrival, timeout_s: float) -> Arrival:
    return replace(one, spec=replace(one.spec, limits=replace(one.spec.limits, timeout_s=timeout_s)))


def _worlds(
    arrivals: Mapping[str, Sequence[Arrival]],
    known: Mapping[tuple[str, int], Recorded],
    devices: Mapping[str, Device],
    seed: int,
) -> Worlds:
    fleet = fleet_of(devices, [Lane(name, 1, mine) for name, mine in FLEET.items()], times=Times.WALL)

    def world(phase: str) -> World:
        own, load = derive(seed, phase), LOAD_OF.get(phase, phase)
        return placement.demanding(world_of(arrivals[phase], known, fleet, seed=own, load=load, scales=Scales()))

    return {phase: world(phase) for phase in PHASES}


def _same_times(
    worlds: Mapping[int, Worlds], rows: Sequence[Row], turns_s: Mapping[str, float]
) -> dict[tuple[int, str], World]:
    """Worlds in which each program always takes a worker for the mean of what it took live, by seed and phase."""
    met = defaultdict[tuple[str, int, str], list[float]](list)
    for row in rows:
        if row.backend:
            met[*work_key(worlds[row.seed][row.phase].tasks[row.index].spec), row.backend].append(row.service_s)
    took_s = {key: fmean(mine) for key, mine in met.items()}
    return {
        (seed, phase): replace(world, tasks=tuple(_lived(task, took_s, turns_s[phase]) for task in world.tasks))
        for seed, mine in worlds.items()
        for phase, world in mine.items()
        if phase != "outage"
    }


def _simulated(lived: Mapping[tuple[int, str], World], names: Sequence[str]) -> dict[tuple[int, str, str, str], float]:
    """Mean cost of what policies do in such worlds, by seed, phase, policy and what they know of its times.

    Where times are "learned", nothing was measured before phase "first"; where they are "known", a whole such day was.
    """
    found = {}
    for name, seed in product(names, dict.fromkeys(seed for seed, _ in lived)):
        model = CostModel()
        for times in ("learned", "known"):
            for phase in PHASES[:-1]:
                ends, model = play(lived[seed, phase], load(name), model)
                found[seed, phase, name, times] = fmean(end.cost for end in ends)
    return found


def _best(
    lived: Mapping[tuple[int, str], World], rows: Sequence[Row], simulated: Mapping[tuple[int, str, str, str], float]
) -> dict[tuple[int, str], float]:
    """Mean cost of the best schedule that is known, by seed and phase; not where a backend fails."""
    found = {}
    for (seed, phase), world in lived.items():
        played = [cost for (*where, _, _), cost in simulated.items() if where == [seed, phase]]
        found[seed, phase] = min(*played, hindsight(world, _whole(world, seed, phase, rows)).mean_cost)
    return found


def _trips(
    lived: Mapping[tuple[int, str], World], rows: Sequence[Row], turns_s: Mapping[str, float]
) -> dict[tuple[int, str], float]:
    """Mean cost of what is neither service nor waiting, by seed and phase, apart from what took a worker."""
    found = {}
    for (seed, phase), world in lived.items():
        beside_s = fmean(row.latency_s - row.wait_s - row.service_s for row in rows if row.phase == phase)
        beside_s -= turns_s[phase]
        found[seed, phase] = beside_s * fmean(task.spec.objective.latency for task in world.tasks)
        found[seed, phase] /= world.scales.latency_s
    return found


def _lived(task: Task, took_s: Mapping[tuple[str, int, str], float], beside_s: float) -> Task:
    """With what its program took where it was run; where it never was, as long as it was recorded."""
    key, runs = work_key(task.spec), task.runs.items()
    taken = {name: replace(run, service_s=took_s.get((*key, name), run.service_s) + beside_s) for name, run in runs}
    return replace(task, runs=taken)


def _whole(world: World, seed: int, phase: str, rows: Sequence[Row]) -> list[list[str]]:
    """Where each policy placed the jobs of a world, of those that placed all where they were recorded."""
    mine = [row for row in rows if (row.seed, row.phase) == (seed, phase)]
    placed = [[row.backend for row in mine if row.policy == policy] for policy in {row.policy for row in mine}]
    return [one for one in placed if all(name in task.runs for name, task in zip(one, world.tasks, strict=True))]


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _prepared(worlds: Mapping[int, Worlds], work: Path) -> Path:
    """A store in which all programs are prepared, and nothing is measured."""
    folder = work / "prepared"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        tasks = [task for mine in worlds.values() for one in mine.values() for task in one.tasks]
        specs = {task.spec.program.content_hash(): task.spec for task in tasks}
        with _cluster(folder) as client:
            for spec in track(specs.values(), description="preparing", console=console):
                client.quote(spec.program, shots=spec.shots)
        (folder / "done").touch()
    return folder


@contextmanager
def _cluster(folder: Path) -> Iterator[Client]:
    settings = Settings(data_dir=folder)
    with running(settings, FLEET, logs=folder / "logs") as url, Client(url, settings=settings) as client:
        yield client


def _copied(source: Path, folder: Path) -> Path:
    """A copy of a store: what was interrupted there is run anew."""
    shutil.rmtree(folder, ignore_errors=True)
    return Path(shutil.copytree(source, folder))


def _learned(shipped: Entry, worlds: Worlds, seed: int, template: Path, work: Path) -> tuple[list[Row], list[Twinned]]:
    """A day with the shipped weights, and one with weights that went on learning from the first phase of that."""
    stores = work / "stores"
    folder = _copied(template, stores / f"{LEARNED}-{seed}")
    rows = _run(shipped.name, LEARNED, worlds, seed, folder)
    logged = _logged(folder)
    first = WARM_UP + len(worlds[PHASES[0]].tasks)  # decisions are numbered from 1
    tuned = _tuned(shipped, logged.twin(first + 1), seed, work)
    rows += _run(tuned.name, TUNED, worlds, seed, _copied(template, stores / f"{TUNED}-{seed}"))
    off = held_out(logged)
    return rows, [Twinned(seed, off.ratio, off.off, off.coverage, off.estimates_off, off.unslowed_off)]


def _logged(folder: Path) -> Logged:
    settings = Settings(data_dir=folder)
    store = SqlStore(settings.resolved_store_url)
    try:
        log = of_store(store, Wanted(), (), settings)
        return read(log.decisions(), log.measured())
    finally:
        store.close()


def _tuned(shipped: Entry, twin: Twin, seed: int, work: Path) -> Entry:
    """Go on from the shipped weights in a twin of what was measured."""
    source, run_folder = work / "twins" / f"{seed}.safetensors", work / "tuned" / str(seed)
    shutil.rmtree(run_folder, ignore_errors=True)
    twins.save(twin, source)
    start = checkpoint.load(shipped.folder)
    setting = replace(start.run.setting, servers=len(twin.backends), source=str(source))
    run = replace(start.run, seed=seed, setting=setting, start=start.name)
    ended = train(run, EPOCHS, run_folder, start=start)
    return put(ended.folder, shelves()[0])


def _run(policy: str, label: str, worlds: Worlds, seed: int, folder: Path) -> list[Row]:
    """All phases, one after the other, on a cluster of their own."""
    rows = []
    with _cluster(folder) as client:
        warm_up(client, [name for names in FLEET.values() for name in names], policy)
        for phase, world in worlds.items():
            fails = partial(_fail, client, _later(world)) if phase == "outage" else _calm
            for handle, end in through(client, world, policy, before=fails):
                rows.append(_row(client, world, handle, end, (seed, label, phase)))
    return rows


def _later(world: World) -> int:
    """The first job of the burst in which the second half of a world's jobs begins."""
    middle = world.tasks[len(world.tasks) // 2]
    return next(index for index, task in enumerate(world.tasks) if task.at_s == middle.at_s)


def _calm(_: int) -> None:
    """All goes well."""


def _fail(client: Client, at: int, index: int) -> None:
    """Before a certain job is submitted, a backend is out of service, with all that waits for it."""
    if index == at:
        client.switch(LIKED, "disabled")


def _row(client: Client, world: World, handle: JobHandle, end: Ended, where: tuple[int, str, str]) -> Row:
    task, decision = world.tasks[end.index], client.why(handle.id)
    assert decision is not None
    assert decision.situation is not None
    backend, foretold = "", end.cost
    if not end.failure:
        share = handle.result().placement.shares[0]
        chosen = next(one for one in decision.request.candidates if one.backend == share.backend)
        backend, foretold = share.backend, decision.request.cost(chosen, world.scales, share.wait_s)
    return Row(
        *where,
        end.index,
        task.spec.tags[0],
        backend,
        end.cost,
        foretold,
        end.latency_s,
        decision.request.waited_s + end.wait_s,  # where it was placed before, too
        end.service_s,
        end.fidelity,
        end.energy_j,
        below_floor=end.fidelity < (task.spec.limits.min_fidelity or 0.0),
        instead=decision.situation.instead,
        failed=bool(end.failure),
        worker=next((name for name, mine in FLEET.items() if backend in mine), ""),
        **_taken(handle),
    )


def _taken(handle: JobHandle) -> dict[str, float]:
    """From when until when a worker was taken by a job, by the store's clock."""
    kinds = {"running": "started_at", "assignment_done": "ended_at"}
    return {kinds[event.kind]: event.at for event in handle.events() if event.kind in kinds}


if __name__ == "__main__":
    typer.run(main)
