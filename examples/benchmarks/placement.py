"""Policies on a mixed real workload: cost, completion time, fidelity and regret on three fleets under three loads.

``python examples/benchmarks/placement.py`` runs every program of the mixed workload on every backend of the fleets, for
real, and writes down what was measured (runs/placement/recording.jsonl; 15 minutes at first, nothing later). Then each
policy plays every cell - fleet, load, seed, and what is known at the start - in a world made of these runs. Emulated
QPUs take their own scheduled time and each queues by itself, so nothing depends on this machine's cores but the
recorded times of simulators.

- Scales of the cost are frozen: 1 s, 10 J, 0.1 of fidelity, 1 USD.
- "cold" begins with calibration alone, "warm" with what a service has learned from 300 jobs, placed at random on the
  same fleet, of a seed that is reported nowhere.
- Every fourth job demands a fidelity midway between the worst and the best that was measured of it on the fleet.
- The policy whose figures are held against the targets is the one with the lowest cost over EFT's on the tuning seeds
  100 to 102; reported are seeds 1 to 5.

Cells are kept in runs/placement/cells.jsonl: an interrupted run goes on, and a changed policy is played anew with
``--again NAME``. ``--quick`` plays a corner of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from evidence import RESULTS, results
from placement_report import Cell, consistent, draw, groups, write_table
from rich.console import Console
from rich.progress import track

from backends.backend import Device
from backends.errors import BackendError
from circuits.errors import CircuitError
from orchestrator.cost_model.model import CostModel
from orchestrator.errors import OrchestratorError
from orchestrator.fleet import Fleet
from orchestrator.placement import Lane, Scales
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from policies import load
from policies.arena import Task, World, play
from policies.oracle import hindsight
from workers.compare.contest import LOADS, fleet_of, played, whole, world_of
from workers.compare.recording import Recorded, Recording, noise, recorded
from workers.compare.report import flat, header
from workers.compare.standings import Score, scores, standings
from workers.compare.workload import Arrival, mixed
from workers.equipment import equipped
from workers.node import devices_here
from workers.sandbox import Sandbox

POLICY_NAMES = ("random", "round_robin", "shortest_queue", "best_fidelity", "greedy", "eft", "nsga2", "bandit", "joint")
CAUTIOUS = {"joint, caution 1": "joint"}
"""Policies of which all jobs ask with ``caution`` 1, as they are called here: every figure at the bad end of its
interval, which holds floors but for one job in twenty."""

AER = ("aer_density_matrix", "aer_mps", "aer_stabilizer", "aer_statevector")
OTHERS = ("braket_local", "cirq_simulator", "pennylane_lightning", "sparse", "stim")
QPUS = ("virtual_brooklyn", "virtual_fez", "virtual_guadalupe", "virtual_manila", "virtual_prague", "virtual_torino")

WORKERS = (Lane("aer", 1, AER), Lane("others", 1, OTHERS))
"""A machine of two cores; each emulated QPU has a lane of its own beside them."""

FLEETS = {"simulators": (*AER, *OTHERS), "virtual QPUs": QPUS, "both": (*AER, *OTHERS, *QPUS)}
STARTS = ("cold", "warm")
TUNING, REPORTED = (100, 101, 102), (1, 2, 3, 4, 5)
LEARNING_SEED, LEARNING_JOBS = 99, 300
NUM_JOBS = 150
FLOOR_EVERY, FLOOR_AT = 4, 0.5

console = Console()


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Two seeds of 40 jobs on the QPUs alone.")] = False,
    again: Annotated[list[str] | None, typer.Option(help="Policies to play anew.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of the recording and of the cells.")] = Path("runs/placement"),
    results_folder: Annotated[Path, typer.Option("--results", help="Where tables and picture go.")] = RESULTS,
) -> None:
    """Play all cells that are not yet played, and report."""
    names = (*_playing(), *CAUTIOUS)
    num_jobs = 40 if quick else NUM_JOBS
    fleets = ("virtual QPUs",) if quick else tuple(FLEETS)
    seeds = (100, 1) if quick else (*TUNING, *REPORTED)
    devices = equipped(devices_here(sorted({name for fleet in fleets for name in FLEETS[fleet]})), Settings())
    arrivals = {
        (fleet, seed): _arrivals(fleet, seed, num_jobs if seed != LEARNING_SEED else LEARNING_JOBS)
        for fleet, seed in product(fleets, (*seeds, LEARNING_SEED))
    }
    known = _recorded(arrivals.values(), devices, work)
    path = work / f"cells{'_quick' if quick else ''}.jsonl"
    kept = [cell for cell in _read(path) if cell.score.policy not in (again or ())]
    path.write_text("".join(to_json(cell) + "\n" for cell in kept))
    for fleet, load_name, seed in track(list(product(fleets, LOADS, seeds)), description="worlds", console=console):
        have = {(c.start, c.score.policy) for c in kept if (c.fleet, c.load, c.score.seed) == (fleet, load_name, seed)}
        wanted = {start: [name for name in names if (start, name) not in have] for start in STARTS}
        if any(wanted.values()):
            world = _world(arrivals[fleet, seed], known, _fleet(fleet, devices), seed, load_name)
            models = {"cold": None, "warm": _learned(fleet, devices, arrivals[fleet, LEARNING_SEED], known)}
            fresh = list(_played(fleet, load_name, seed, world, wanted, models))
            with path.open("a") as file:
                file.writelines(to_json(cell) + "\n" for cell in fresh)
            kept += fresh
    _report(
        kept, names, known, name="placement_quick" if quick else "placement", folder=results_folder, num_jobs=num_jobs
    )


def _playing() -> tuple[str, ...]:
    """The policies that are there; who is not is told."""
    found = []
    for name in POLICY_NAMES:
        try:
            load(name)
            found.append(name)
        except (OrchestratorError, CircuitError, BackendError) as error:
            console.print(f"[yellow]{name} does not play: {error}[/]")
    return tuple(found)


def _arrivals(fleet: str, seed: int, num_jobs: int) -> list[Arrival]:
    return mixed(num_jobs, seed, horizon_s=1.0, noisy=QPUS if fleet == "both" else ())


def _fleet(name: str, devices: dict[str, Device]) -> Fleet:
    mine = {backend: devices[backend] for backend in FLEETS[name]}
    return fleet_of(mine, [lane for lane in WORKERS if set(lane.backends) <= set(mine)])


def _recorded(
    batches: Sequence[Sequence[Arrival]], devices: dict[str, Device], work: Path
) -> dict[tuple[str, int], Recorded]:
    specs = [one.spec for batch in batches for one in batch]
    sandbox = Sandbox()
    try:
        with console.status("recording") as status:
            return recorded(
                specs,
                devices,
                Recording(work / "recording.jsonl"),
                sandbox,
                Settings(),
                lambda what, done, of: status.update(f"{what} {done} of {of}"),
            )
    finally:
        sandbox.close()


def _world(
    arrivals: Sequence[Arrival], known: dict[tuple[str, int], Recorded], fleet: Fleet, seed: int, load_name: str
) -> World:
    return demanding(world_of(arrivals, known, fleet, seed=seed, load=load_name, scales=Scales()))


def demanding(world: World) -> World:
    """With a floor for every fourth task, where backends differ."""
    return replace(world, tasks=tuple(_demanding(index, task) for index, task in enumerate(world.tasks)))


def _demanding(index: int, task: Task) -> Task:
    """Every fourth task with a floor that some backend keeps and some may not."""
    reached = [min(1.0, (run.fidelity or 0.0) / (run.fidelity_floor or 1.0)) for run in task.runs.values()]
    if index % FLOOR_EVERY or max(reached) - min(reached) < 0.05:
        return task
    floor = min(reached) + FLOOR_AT * (max(reached) - min(reached))
    return replace(task, spec=replace(task.spec, limits=replace(task.spec.limits, min_fidelity=round(floor, 3))))


_models: dict[str, CostModel] = {}


def _learned(
    fleet: str, devices: dict[str, Device], arrivals: Sequence[Arrival], known: dict[tuple[str, int], Recorded]
) -> CostModel:
    """What a service knows after a while."""
    if fleet not in _models:
        world = world_of(arrivals, known, _fleet(fleet, devices), seed=LEARNING_SEED, load="light", scales=Scales())
        _, _models[fleet] = play(world, load("random"))
    return _models[fleet]


def _played(
    fleet: str,
    load_name: str,
    seed: int,
    world: World,
    wanted: Mapping[str, Sequence[str]],
    models: Mapping[str, CostModel | None],
) -> Iterator[Cell]:
    """Play one world under every policy and from every start; the best in hindsight where it is reported."""
    games = {
        start: played(seed, world, {name: load(name) for name in names if name not in CAUTIOUS}, models[start])
        for start, names in wanted.items()
    }
    for start, names in wanted.items():
        careful = {name: load(CAUTIOUS[name]) for name in names if name in CAUTIOUS}
        ends = played(seed, _cautious(world), careful, models[start]).ends
        games[start] = replace(games[start], ends={**games[start].ends, **ends})
    best = None
    if seed in REPORTED:
        best = hindsight(world, [places for game in games.values() for places in whole(game)])
    for start, game in games.items():
        yield from (Cell(fleet, load_name, start, one) for one in scores(replace(game, best=best)))


def _cautious(world: World) -> World:
    """The same world, all of whose jobs count every figure at the bad end of its interval."""
    return replace(
        world,
        tasks=tuple(
            replace(task, spec=replace(task.spec, objective=replace(task.spec.objective, caution=1.0)))
            for task in world.tasks
        ),
    )


def _read(path: Path) -> list[Cell]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return []
    return [from_json(Cell, line) for line in path.read_text().splitlines()]


def _keep_runs(known: Mapping[tuple[str, int], Recorded], folder: Path, name: str) -> None:
    """The table that the worlds are made of."""
    columns = ("program", "group", "num_qubits", "shots", "backend", "service_s", "device_s", "fidelity")
    columns += ("fidelity_floor", "energy_j", "cost_usd", "method")
    with results(f"{name}_runs", columns, seeds="of program and shots", folder=folder) as table:
        for (program, shots), one in sorted(known.items()):
            facts = one.known[0]
            for backend, run in ((backend, run) for backend, runs in one.runs.items() for run in runs):
                figures = (run.service_s, run.device_s, run.fidelity, run.fidelity_floor, run.energy_j, run.cost_usd)
                shown = ("" if figure is None else f"{figure:.6g}" for figure in figures)
                table.writerow(
                    [program[:12], facts.group, facts.features.num_qubits, shots, backend, *shown, run.method]
                )


def _noise(known: Mapping[tuple[str, int], Recorded], names: Sequence[str]) -> str:
    """How much repeated runs of a pair differ on these backends."""
    mine = (
        replace(one, runs={name: runs for name, runs in one.runs.items() if name in names}) for one in known.values()
    )
    found = noise(mine)
    return f"{found['service_s'] or 0.0:.1%} in time and {found['fidelity'] or 0.0:.4f} in fidelity"


def _report(
    cells: Collection[Cell],
    names: Sequence[str],
    known: Mapping[tuple[str, int], Recorded],
    *,
    name: str,
    folder: Path,
    num_jobs: int,
) -> None:
    """The CSVs of all groups, worlds and runs, the table of targets, the picture."""
    cells = consistent([cell for cell in cells if cell.score.policy in names])
    tuning = [cell for cell in cells if cell.score.seed in TUNING]
    reported = [cell for cell in cells if cell.score.seed in REPORTED]
    seeds = f"tuning {TUNING}, reported {REPORTED}; {num_jobs} jobs a cell"
    _keep_runs(known, folder, name)
    figures = [field.name for field in fields(Score)]
    with results(f"{name}_worlds", ["fleet", "start", "load", *figures], seeds=seeds, folder=folder) as table:
        for cell in cells:
            shown = (getattr(cell.score, figure) for figure in figures)
            table.writerow([*cell.group, *(f"{one:.6g}" if isinstance(one, float) else one for one in shown)])
    with results(name, ["fleet", "start", "load", *header()], seeds=seeds, folder=folder) as table:
        for group in groups(reported):
            for one in standings([cell.score for cell in reported if cell.group == group]):
                table.writerow([*group, *flat(one)])
    about = (
        f"`python examples/benchmarks/placement.py`, {seeds}; intervals: 95 % over seeds, ratios paired by seed.",
        "Raw figures beside this file; what is measured, and how, stands at the head of the script.",
        f"Repeated runs of one pair differ by {_noise(known, (*AER, *OTHERS))} (medians) on simulators,",
        f"and by {_noise(known, QPUS)} on virtual QPUs.",
    )
    write_table(tuning, reported, names, folder / f"{name}.md", about)
    draw(reported, names, folder / f"{name}.png")
    console.print(f"{folder / name}.md")


if __name__ == "__main__":
    typer.run(main)
