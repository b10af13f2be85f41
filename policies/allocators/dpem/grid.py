"""``grid``: every policy in every cell of the protocol, run by run; goes on where it was stopped.

What is run and why: ``policies/envs/entanglement/PROTOCOL.md``. Each run is a row of ``runs.csv`` once it is done; a
run that is there is not done again. Policies that do not know a cell's delay or period are run once for all of these.
Training seeds of one agent are rows of their own (:mod:`policies.allocators.dpem.grid_agents`).
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from circuits.errors import InvalidParameter
from circuits.parameters import construct, integer, real, short, validate
from policies.allocators.dpem.commands import bar, seeds_of
from policies.envs.commands import AsJson
from policies.words import errors_in_words

if TYPE_CHECKING:
    from policies.allocators.contenders import Contender
    from policies.envs.entanglement.episode import Episode

BOUND = "fluid_bound"
"""The fluid optimum of the requests that came, as if it were a policy."""
METRICS = (
    *("delivery", "contention_literal", "contention_blocked", "contention_requests", "latency_mean_s"),
    *("latency_p95_s", "fidelity", "wasted", "num_requests", "num_delivered"),
)
WALL = ("decide_mean_s", "decide_max_s", "wall_s")


@dataclass(frozen=True)
class Cell:
    """Where policies are compared; the defaults are the protocol's middle."""

    load: float = real(0.8, low=1e-3, high=10.0, doc="rho")
    delay_s: float = real(0.0, low=0.0, high=100.0, doc="tau, to the controller and from it")
    period_s: float = real(5.0, low=0.2, high=1000.0, doc="T_c, between decisions of a controller")
    deadline_s: float = real(5.0, low=0.2, high=1e4, doc="of a request")
    coherence_s: float = real(10.0, low=1e-3, high=1e6, doc="of a stored pair")
    predictability: float = real(0.6, low=0.0, high=1.0, doc="k, part of the demand that recurs")
    num_nodes: int = integer(100, low=2, high=20_000, doc="N")

    def __post_init__(self) -> None:
        validate(self)

    def but(self, name: str, value: Any) -> Cell:
        """The same with another value of one field."""
        return self.read([value if each == name else x for each, x in asdict(self).items()])

    @classmethod
    def read(cls, values: Sequence[float]) -> Cell:
        """From its fields as numbers."""
        by_name = {name: int(x) if name == "num_nodes" else x for name, x in zip(CELL, values, strict=True)}
        cell: Cell = construct(cls, by_name)
        return cell


CELL = tuple(item.name for item in fields(Cell))
DIAGONAL = ((0.0, 0.2), (0.2, 1.0), (0.0, 5.0), (1.0, 10.0))
"""Delay and period at which deadline, coherence and predictability are varied."""


def _diagonal(**axis: Sequence[float]) -> list[Cell]:
    ((name, values),) = axis.items()
    return [Cell(delay_s=tau, period_s=period).but(name, value) for value in values for tau, period in DIAGONAL]


def _map(*loads: float) -> list[Cell]:
    axes = (loads, (0.0, 0.2, 1.0), (0.2, 1.0, 2.0, 5.0, 10.0))
    return [Cell(load=load, delay_s=tau, period_s=period) for load, tau, period in product(*axes)]


PARTS: dict[str, Callable[[], list[Cell]]] = {
    "headline": lambda: [Cell()],
    "fresh": lambda: [Cell(load=load, period_s=0.2) for load in (0.5, 0.8, 1.1)],
    "plane": lambda: _map(0.8),
    "map": lambda: _map(0.5, 0.8, 1.1),
    "deadline": lambda: _diagonal(deadline_s=(2.0, 15.0)),
    "coherence": lambda: _diagonal(coherence_s=(2.0, 60.0)),
    "predictability": lambda: _diagonal(predictability=(0.0, 0.95)),
    "size": lambda: [Cell(num_nodes=1000)],
    "sizes": lambda: [Cell(num_nodes=size) for size in (50, 100, 200, 500, 1000)],
    "front": lambda: [Cell(period_s=0.2), Cell()],
}
"""Cells of the protocol by the name of their part."""
HOLDS: dict[str, tuple[int, ...]] = {"front": (1, 2, 3, 5)}
"""Back-off by part; 1 everywhere else."""


@dataclass(frozen=True, order=True)
class Job:
    """One run.

    Attributes:
        policy: a contender or :data:`BOUND`.   hold: back-off.   seed: of topology and demand.   physics: seed.
    """

    seed: int
    physics: int
    cell: tuple[float, ...]
    policy: str
    hold: int

    @property
    def where(self) -> Cell:
        """The cell."""
        return Cell.read(self.cell)


JOB = ("policy", "hold", "seed", "physics", *CELL)
COLUMNS = (*JOB, *METRICS, *WALL)


def jobs(
    cells: Iterable[Cell],
    policies: Mapping[str, Contender],
    seeds: Iterable[int],
    physics: Iterable[int],
    holds: Sequence[int] = (1,),
) -> list[Job]:
    """Runs that the cells need, each once, sorted so that those of one world follow each other."""
    found = set()
    for cell, name, seed, luck, hold in product(cells, (*policies, BOUND), seeds, physics, holds):
        one = Job(seed, luck, known(cell, policies.get(name)), name, hold)
        found.add(replace(one, physics=0, hold=1) if name == BOUND else one)
    return sorted(found)


def known(cell: Cell, policy: Contender | None) -> tuple[float, ...]:
    """A cell as far as a policy knows of it: what it does not is as in the middle."""
    middle = Cell()
    if policy is None:
        cell = replace(cell, deadline_s=middle.deadline_s, coherence_s=middle.coherence_s)
    if policy is None or not policy.knows_delay:
        cell = replace(cell, delay_s=middle.delay_s)
    period_s = middle.period_s if policy is None or not policy.knows_period else cell.period_s
    return astuple(replace(cell, period_s=max(period_s, policy.least_period_s if policy else 0.0)))


@lru_cache(maxsize=512)
def load_unit_hz(num_nodes: int, seed: int) -> float:
    """Requests a second that are a load of 1 on a network, see the protocol."""
    from policies.allocators.fluid_lp import load_unit_of
    from policies.envs.entanglement.setting import EntanglementSetting
    from policies.envs.entanglement.topology import Topology

    setting = EntanglementSetting(num_nodes=num_nodes, topology_seed=seed, demand_seed=seed)
    return load_unit_of(setting, Topology.generate(setting.kind, num_nodes, seed))


@lru_cache(maxsize=2)
def world(cell: Cell, seed: int, physics: int, duration_s: float) -> Episode:
    """The episode of a cell; its load is in the fluid optimum's units."""
    from policies.allocators.central import hop_delay_s
    from policies.envs.entanglement.episode import build
    from policies.envs.entanglement.setting import EntanglementSetting
    from policies.envs.entanglement.topology import Topology

    setting = EntanglementSetting(
        num_nodes=cell.num_nodes,
        topology_seed=seed,
        demand_seed=seed,
        physics_seed=physics,
        duration_s=duration_s,
        offered_hz=cell.load * load_unit_hz(cell.num_nodes, seed),
        deadline_s=cell.deadline_s,
        coherence_s=cell.coherence_s,
        predictability=cell.predictability,
    )
    topology = Topology.generate(setting.kind, setting.num_nodes, seed)
    return build(setting.but(hop_delay_s=hop_delay_s(topology, cell.delay_s)), topology=topology)


def played(job: Job, policies: Mapping[str, Contender], duration_s: float) -> dict[str, Any]:
    """A run's row."""
    from policies.allocators.fluid_lp import most_delivered
    from policies.envs.entanglement.metrics import metrics

    cell = job.where
    episode = world(replace(cell, period_s=Cell().period_s), job.seed, job.physics, duration_s)
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {"policy": job.policy, "hold": job.hold, "seed": job.seed, "physics": job.physics}
    row |= dict(zip(CELL, astuple(cell), strict=True))
    begun = time.perf_counter()
    if job.policy == BOUND:
        over = int((episode.requests.deadline_slot <= episode.setting.num_slots).sum())
        most = most_delivered(episode)
        return row | {"delivery": most / max(over, 1), "num_requests": over, "wall_s": time.perf_counter() - begun}
    run, decided_s = policies[job.policy].play(episode, cell.delay_s, cell.period_s, job.hold)
    wall_s = time.perf_counter() - begun
    told = metrics(run).document()
    row |= {name: "" if told[name] is None else told[name] for name in METRICS} | {"wall_s": wall_s}
    if decided_s.size:
        row |= {"decide_mean_s": float(np.mean(decided_s)), "decide_max_s": float(np.max(decided_s))}
    return row


def read(path: Path) -> list[dict[str, str]]:
    """Rows of whole runs; a last one that was cut off is left out.

    Raises:
        InvalidParameter: the file is of something else.
    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = [line for line in file if not line.startswith("#") and line.endswith("\n")]
    table = csv.reader(lines)
    header = next(table, [])
    if header and tuple(header) != COLUMNS:
        raise InvalidParameter(f"out: wanted runs of this grid in {path}, got columns {short(header)}")
    return [dict(zip(COLUMNS, row, strict=True)) for row in table if len(row) == len(COLUMNS)]


def job_of(row: Mapping[str, str]) -> Job:
    """Which run a row is of."""
    cell = tuple(float(row[name]) for name in CELL)
    return Job(int(row["seed"]), int(row["physics"]), cell, row["policy"], int(row["hold"]))


def run(
    wanted: Sequence[Job],
    policies: Mapping[str, Contender],
    out: Path,
    *,
    duration_s: float = 600.0,
    tell: Callable[[int, str], object] | None = None,
) -> int:
    """Do what is not there yet; how many that were."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "runs.csv"
    _check_folder(out / "grid.json", duration_s, {name: each.checkpoint for name, each in policies.items()})
    there = read(path)
    done = {job_of(row) for row in there}
    left = [job for job in wanted if job not in done]
    put(path, COLUMNS, there)
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        for count, job in enumerate(left):
            if tell:
                tell(count, f"{job.policy} on {job.seed}")
            table.writerow(played(job, policies, duration_s))
            file.flush()
    return len(left)


def put(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A CSV file, whole or not at all."""
    part = path.with_suffix(".part")
    with part.open("w", newline="") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    part.replace(path)


def _check_folder(path: Path, duration_s: float, checkpoints: Mapping[str, str]) -> None:
    """Runs of one folder are of one length, and those of one name of one agent.

    Raises:
        InvalidParameter: those that are there are of another.
    """
    before: dict[str, Any] = {"duration_s": duration_s, "agents": {}}
    if path.exists():
        before |= json.loads(path.read_text())
    if before["duration_s"] != duration_s:
        wanted = f"{before['duration_s']:g} as the runs in this folder have"
        raise InvalidParameter(f"duration_s: wanted {wanted}, got {duration_s:g}")
    agents = {name: checkpoint for name, checkpoint in checkpoints.items() if checkpoint}
    for name, checkpoint in agents.items():
        there = before["agents"].get(name, checkpoint)
        if there != checkpoint:
            wanted = f"{short(there)} as {name} that has runs in this folder"
            raise InvalidParameter(f"checkpoint: wanted {wanted}, got {short(checkpoint)}; name it otherwise")
    path.write_text(json.dumps({"duration_s": duration_s, "agents": {**before["agents"], **agents}}) + "\n")


def chosen(words: str) -> dict[str, Contender]:
    """Contenders by a comma-separated list, or all.

    Raises:
        InvalidParameter: nobody has one of the names.
    """
    from policies.allocators.contenders import CONTENDERS, contender

    return {name: contender(name) for name in (CONTENDERS if words == "all" else words.split(","))}


def grid(
    out: Annotated[Path, typer.Option(help="folder of runs.csv, cells.csv, grid.md and figures")],
    part: Annotated[str, typer.Option(help=", ".join(PARTS))] = "headline",
    policies: Annotated[str, typer.Option(help="names with commas between, or all")] = "all",
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER", help="a trained agent beside them; again, or a folder of runs, to pool seeds"
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="topologies, FIRST:END; 320:340 are the protocol's")] = "100:104",
    physics: Annotated[str, typer.Option(help="seeds of luck, FIRST:END")] = "0:2",
    duration_s: Annotated[float, typer.Option("--duration", help="of an episode in seconds")] = 600.0,
    against: Annotated[str, typer.Option(help="whose gain over the others is told")] = "local",
    report_only: Annotated[bool, typer.Option("--report", help="only tell of the runs that are there")] = False,
    as_json: AsJson = False,
) -> None:
    """Every policy in every cell of a part of the protocol; resumable, each cell published."""
    with errors_in_words():
        from policies.allocators.dpem.grid_agents import learned
        from policies.allocators.dpem.grid_report import write

        if part not in PARTS:
            raise InvalidParameter(f"part: wanted one of {', '.join(PARTS)}, got {short(part)}")
        found = chosen(policies) | learned(checkpoint)
        wanted = jobs(
            PARTS[part](),
            found,
            seeds_of(seeds, "seeds"),
            seeds_of(physics, "physics"),
            HOLDS.get(part, (1,)),
        )
        num = 0
        if not report_only:
            with bar(len(wanted), 0) as told:
                num = run(wanted, found, out, duration_s=duration_s, tell=told)
        answer = {"out": str(out), "runs": num, **write(out, against)}
    typer.echo(json.dumps(answer) if as_json else f"{num} runs; {answer['cells']} rows of cells in {out}/grid.md")
