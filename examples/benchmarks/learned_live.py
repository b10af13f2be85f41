"""Learned placement for real: the three circuit families on workers of this machine, beside rules and search.

``python examples/benchmarks/learned_live.py`` starts a private Redis and Celery workers, submits the same jobs at the
same times under each policy, each with an empty store and warm backends (phase "first"), and then as many others with
what that store has learned by then (phase "then"). The learned policy is the shipped checkpoint, which was trained in
the twin of recorded runs alone and has seen nothing of this fleet. In phase "then" it plays twice: with its weights,
so that estimates alone have learned, and "fine-tuned": its weights were trained on in a twin of its own log of phase
"first", as `qorch twin` and `python -m policies.train --from` do it.

Two gaps between what was foretold and what was measured are told: ``foretold_over_measured`` is the sum of the costs
that were expected when jobs were placed, wait included, over the sum of those that were measured; and the error of a
twin of the first three quarters of a log on the last (of the learned policy's store, after both phases).

A seed takes 13 runs of a cluster; on two quiet cores about a minute each with 60 jobs (ours, not yet measured there).
What was run is kept in runs/learned_live/jobs.jsonl: an interrupted benchmark goes on. Seeds 1 to 5; nothing was chosen
by them. The order of policies turns from seed to seed, so that no one always meets a warm machine.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer
from evidence import RESULTS, results
from rich.console import Console
from rich.progress import track

from orchestrator import Client, JobHandle
from orchestrator.errors import JobError
from orchestrator.placement import cost
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from policies.envs.measured import twin as twins
from policies.envs.measured.logged import Logged, held_out, read
from policies.envs.measured.world import MeasuredSetting
from policies.learners.kit import checkpoint
from policies.shelf import Entry, entries, put, shelves
from policies.train import train
from workers.compare.live import warm_up
from workers.compare.standings import Mean, mean
from workers.compare.workload import Arrival, mixed
from workers.decision_log import of_store
from workers.launch import running

FLEET = {
    "simulators": ("aer_statevector", "aer_mps", "aer_stabilizer", "aer_density_matrix"),
    "devices": ("fake_guadalupe", "fake_hanoi", "cirq_simulator", "braket_local"),
}
"""That of ``examples/demo.py``: workers of one slot."""

PEERS = ("random", "round_robin", "eft", "bandit", "joint")
LEARNED, TUNED = "learned", "fine-tuned"
PHASES = ("first", "then")
FIGURES = ("cost", "latency_s", "fidelity", "energy_j")
PATIENCE_S = 300.0
EPOCHS = 8
"""Of fine-tuning: a third of what the shipped checkpoint had (ours)."""

console = Console()


@dataclass(frozen=True)
class Row:
    """One job under one policy; one that failed counts as a result of fidelity 0. ``foretold``: its expected cost."""

    seed: int
    policy: str
    phase: str
    kind: str
    backend: str
    cost: float
    foretold: float
    latency_s: float
    fidelity: float
    energy_j: float
    instead: str
    failed: bool


@dataclass(frozen=True)
class Twinned:
    """How far a twin of a seed's log was off."""

    seed: int
    ratio: float
    off: float
    coverage: float
    estimates_off: float


def main(
    jobs: Annotated[int, typer.Option(min=60, help="Jobs of a phase.")] = 60,
    rate: Annotated[float, typer.Option(min=0.01, help="Jobs that arrive in a second.")] = 3.0,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with other jobs and arrivals.")] = 5,
    policy: Annotated[list[str] | None, typer.Option(help="Peers; default: all.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of stores and of what was measured.")] = Path("runs/learned_live"),
    results_folder: Annotated[Path, typer.Option("--results", help="Where tables go.")] = RESULTS,
) -> None:
    """Run what was not yet run, and report."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ["QORCH_CHECKPOINTS"] = str((work / "shelf").resolve())  # workers look there, too
    (shipped, *_) = [one for one in entries() if one.folder.parent == shelves()[1]]
    names = (*(policy or PEERS), LEARNED)
    cells = [(seed, name) for seed in range(1, seeds + 1) for name in _turned(names, seed)]
    have = {(row.seed, row.policy) for row in _rows(work)}
    for seed, name in track([cell for cell in cells if cell not in have], description="runs", console=console):
        phases = _arrivals(jobs, seed, rate)
        found, off = _learned(shipped, phases, seed, work) if name == LEARNED else (_peer(name, phases, seed, work), [])
        for file, lines in (("twins.jsonl", off), ("jobs.jsonl", found)):
            with (work / file).open("a") as out:
                out.writelines(to_json(line) + "\n" for line in lines)
    _report(
        _rows(work),
        names,
        f"1 to {seeds}; {jobs} jobs a phase, {rate:g} a second; {shipped.name}",
        work,
        results_folder,
    )


def _turned(names: Sequence[str], by: int) -> list[str]:
    at = by % len(names)
    return [*names[at:], *names[:at]]


def _rows(work: Path) -> list[Row]:
    path = work / "jobs.jsonl"
    return [from_json(Row, line) for line in path.read_text().splitlines()] if path.exists() else []


def _arrivals(num_jobs: int, seed: int, rate: float) -> dict[str, list[Arrival]]:
    """Jobs of the three families alone, of both phases."""
    total = 4 * num_jobs  # seven of twelve are of the families
    drawn = [one for one in mixed(total, seed, horizon_s=1.0) if one.kind != "openqasm"]
    parts = {phase: drawn[number * num_jobs :][:num_jobs] for number, phase in enumerate(PHASES)}
    span_s = num_jobs / rate
    return {
        phase: [
            replace(one, at_s=span_s * (one.at_s - mine[0].at_s) / max(mine[-1].at_s - mine[0].at_s, 1e-9))
            for one in mine
        ]
        for phase, mine in parts.items()
    }


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _peer(name: str, phases: dict[str, list[Arrival]], seed: int, work: Path) -> list[Row]:
    folder = _empty(work / "stores" / f"{name}-{seed}")
    return [row for phase, mine in phases.items() for row in _run(name, name, mine, seed, phase, folder)]


def _learned(
    shipped: Entry, phases: dict[str, list[Arrival]], seed: int, work: Path
) -> tuple[list[Row], list[Twinned]]:
    """Both phases, the second one with the same weights and with fine-tuned ones, from copies of one store."""
    folder = _empty(work / "stores" / f"{LEARNED}-{seed}")
    rows = _run(shipped.name, LEARNED, phases["first"], seed, "first", folder)
    copy = _empty(folder.with_name(f"{TUNED}-{seed}"))
    shutil.copytree(folder, copy)
    tuned = _tuned(shipped, folder, seed, work)
    rows += _run(shipped.name, LEARNED, phases["then"], seed, "then", folder)
    rows += _run(tuned.name, TUNED, phases["then"], seed, "then", copy)
    off = held_out(_logged(folder))
    return rows, [Twinned(seed, off.ratio, off.off, off.coverage, off.estimates_off)]


def _empty(folder: Path) -> Path:
    """No such folder: what was interrupted there is run anew."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _logged(folder: Path) -> Logged:
    settings = Settings(data_dir=folder)
    store = SqlStore(settings.resolved_store_url)
    try:
        log = of_store(store, Wanted(), (), settings)
        return read(log.decisions(), log.measured())
    finally:
        store.close()


def _tuned(shipped: Entry, folder: Path, seed: int, work: Path) -> Entry:
    """Go on from the shipped weights in a twin of what was measured."""
    source, run_folder = work / "twins" / f"{seed}.safetensors", _empty(work / "tuned" / str(seed))
    twin = _logged(folder).twin()
    twins.save(twin, source)
    start = checkpoint.load(shipped.folder)
    setting = MeasuredSetting(servers=len(twin.backends), source=str(source))
    run = replace(start.run, seed=seed, setting=setting, start=start.name)
    ended = train(run, EPOCHS, run_folder, start=start)
    return put(ended.folder, shelves()[0])


def _run(policy: str, label: str, arrivals: Sequence[Arrival], seed: int, phase: str, folder: Path) -> list[Row]:
    """Submit the jobs to a cluster of their own and wait for all of them."""
    settings = Settings(data_dir=folder)
    with running(settings, FLEET, logs=folder / "logs") as url, Client(url, settings=settings) as client:
        warm_up(client, [name for names in FLEET.values() for name in names])
        begun, pause, handles = time.monotonic(), threading.Event(), list[JobHandle]()
        for arrival in arrivals:
            pause.wait(max(0.0, begun + arrival.at_s - time.monotonic()))
            handles += client.submit_many([replace(arrival.spec, policy=policy)])
        return [
            _row(client, settings, arrival, handle, (seed, label, phase))
            for arrival, handle in zip(arrivals, handles, strict=True)
        ]


def _row(client: Client, settings: Settings, arrival: Arrival, handle: JobHandle, where: tuple[int, str, str]) -> Row:
    objective = arrival.spec.objective
    try:
        result = handle.result(PATIENCE_S)
    except JobError:
        job = handle.status()
        latency_s = (job.finished_at or time.time()) - job.submitted_at
        price = cost(objective, settings.scales, latency_s=latency_s, energy_j=0.0, fidelity=0.0, cost_usd=0.0)
        return Row(*where, arrival.kind, "", price, price, latency_s, 0.0, 0.0, "", failed=True)
    decision, measured, share = client.why(handle.id), result.measurement, result.placement.shares[0]
    assert decision is not None
    assert decision.situation is not None
    chosen = next(one for one in decision.request.candidates if one.backend == share.backend)
    fidelity = result.estimate.fidelity if measured.fidelity is None else measured.fidelity
    told = {"latency_s": measured.latency_s, "fidelity": fidelity, "energy_j": measured.energy_j}
    return Row(
        *where,
        arrival.kind,
        share.backend,
        cost(objective, settings.scales, cost_usd=measured.cost_usd, **told),
        decision.request.cost(chosen, settings.scales, share.wait_s),
        **told,
        instead=decision.situation.instead,
        failed=False,
    )


# ── report ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _report(rows: Sequence[Row], names: Sequence[str], seeds: str, work: Path, folder: Path) -> None:
    """One row a phase and policy: means over seeds, ratios paired by seed, 95 % intervals."""
    ends = ("", "_low_95", "_high_95")
    others = [name for name in names if name != LEARNED]
    ratios = [*(f"cost_over_{other}" for other in others), "foretold_over_measured"]
    columns = ["phase", "policy", "num_seeds", *(f"{one}{end}" for one in (*FIGURES, *ratios) for end in ends)]
    lines = [
        "| phase | policy | cost | latency, s | fidelity | energy, J | foretold / measured |",
        "|---|---|" + "---:|" * 5,
    ]
    with results("learned_live", [*columns, "failed", "by_another_policy"], seeds=seeds, folder=folder) as table:
        for phase, label in ((phase, label) for phase in PHASES for label in (*names, TUNED)):
            mine = [row for row in rows if (row.phase, row.policy) == (phase, label)]
            if not mine:
                continue
            told = [mean(_of(mine, figure)) for figure in FIGURES]
            against = [[row for row in rows if (row.phase, row.policy) == (phase, other)] for other in others]
            told += [mean(list(_over(mine, other))) for other in against]
            told.append(mean(_gap(mine)))
            extra = [sum(row.failed for row in mine), sum(bool(row.instead) for row in mine)]
            shown = [word for one in told for word in _words(one)]
            table.writerow([phase, label, len(_seeds(mine)), *shown, *extra])
            lines.append(
                "| " + " | ".join([phase, label, *(_said(one) for one in (*told[: len(FIGURES)], told[-1]))]) + " |"
            )
    twin = [from_json(Twinned, line) for line in (work / "twins.jsonl").read_text().splitlines()]
    with results("learned_live_twin", list(Twinned.__annotations__), seeds=seeds, folder=folder) as table:
        table.writerows(
            [one.seed, *(f"{value:.4g}" for value in (one.ratio, one.off, one.coverage, one.estimates_off))]
            for one in twin
        )
    (folder / "learned_live.md").write_text("\n".join([f"Seeds {seeds}; 95 % intervals over seeds.", "", *lines, ""]))
    console.print("\n".join(lines))


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({row.seed for row in rows})


def _of(rows: Sequence[Row], figure: str) -> list[float]:
    """Of each seed the mean over its jobs."""
    return [fmean(getattr(row, figure) for row in rows if row.seed == seed) for seed in _seeds(rows)]


def _over(rows: Sequence[Row], others: Sequence[Row]) -> Iterator[float]:
    """Cost over that of another policy, of seeds that both have run."""
    costs, theirs = (dict(zip(_seeds(one), _of(one, "cost"), strict=True)) for one in (rows, others))
    yield from (value / theirs[seed] for seed, value in costs.items() if seed in theirs)


def _gap(rows: Sequence[Row]) -> list[float]:
    done = [row for row in rows if not row.failed]
    return [told / found for told, found in zip(_of(done, "foretold"), _of(done, "cost"), strict=True)]


def _words(one: Mean) -> list[str]:
    return ["" if value is None else f"{value:.6g}" for value in (one.value, one.low, one.high)]


def _said(one: Mean) -> str:
    return (
        f"{one.value:.3g}" if one.low is None or one.high is None else f"{one.value:.3g} ± {one.high - one.value:.2g}"
    )


if __name__ == "__main__":
    typer.run(main)
