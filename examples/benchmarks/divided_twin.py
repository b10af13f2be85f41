"""Dividing learned in a twin: what a policy that learned phi costs, beside the rule that works it out and whole jobs.

    python examples/benchmarks/divided_twin.py record [--out policies/envs/measured/divided.safetensors]
    python examples/benchmarks/divided_twin.py compare [--work runs/divided_twin] [--epochs 16]

``record`` makes the twin: frames of rays and batches of autoencoder samples run as a whole on each backend that takes
them, one at a time, and as halves on two of them, by which the time of joining is known; the decisions of policy
``random`` about the same batches, which may be divided between two places, are the jobs. Some allow the classical
algorithm, some only circuits. In the twin each backend has a worker of its own, as on machines of their own: what two
backends take from each other on one machine is not in it (``divided.py`` measures that).

``compare`` trains actors of ``Measured-v2`` and plays kept-out episodes. "whole" is the greedy rule with whole jobs,
"split" divides as its estimates say (what an untrained actor does), "learned" is what was trained, and "learned, whole"
the same learner in ``Measured-v1``, where nothing is divided. All meet the same jobs and the same luck. Rows differ in
which jobs there are: all of them, only those that may go to the classical algorithm, or those that may not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import typer
from evidence import results
from rich.console import Console
from rich.progress import track
from rich.table import Table

from circuits.autoencoder import AutoencoderBatch
from circuits.raytracing import RayTracing
from orchestrator import Client, Objective, Result
from orchestrator.job import Measurement
from orchestrator.placement import CLASSICAL, Lane, Request, Scales
from orchestrator.settings import Settings
from policies.envs.contract import Observation
from policies.envs.measured import twin as twins
from policies.envs.measured.divided import DividedSetting, DividedWorld
from policies.envs.measured.division import NUM_PARTS
from policies.envs.measured.observation import NUM_PAIR
from policies.envs.measured.twin import Measured, Twin
from policies.envs.measured.world import MeasuredSetting
from policies.learners.kit import checkpoint
from policies.learners.kit.divider import Divider
from policies.learners.kit.statistics import interval, resampled
from policies.learners.placing import PlacingConfig
from policies.train import KEPT_OUT, train

SIMULATORS = ("aer_statevector", "aer_density_matrix", "cirq_simulator", "pennylane_lightning")
QPU = "fake_guadalupe"
BATCHES: dict[str, tuple[Any, int, tuple[str, ...]]] = {
    **{
        f"frame 16x16, {num} boxes": (RayTracing(width=16, height=16, num_primitives=num), 1, ("sparse",))
        for num in (8, 32)
    },
    **{
        f"{n} digits, {shots} shots": (AutoencoderBatch(num_samples=n, states="digits"), shots, SIMULATORS)
        for n, shots in ((16, 1024), (64, 1024), (64, 4096), (160, 1024))
    },
    "8 digits, 256 shots": (AutoencoderBatch(num_samples=8, states="digits"), 256, (*SIMULATORS, QPU)),
    "16 fields, 1024 shots": (AutoencoderBatch(num_samples=16, num_qubits=8), 1024, SIMULATORS),
}
"""Batch, shots, and who takes it beside the classical algorithm."""
OBJECTIVES = (Objective(), Objective(latency=1.0, fidelity=0.0, price=0.0))
REPEATS = 3
ASKED = 3
TIMEOUT_S = 600.0
BUILT_IN = Path("policies/envs/measured") / f"{twins.DIVIDED}.safetensors"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()


# ── the twin ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def beside_s(measured: Measurement) -> float:
    """What of a job's latency was neither waiting nor service."""
    return measured.latency_s - measured.wait_s - measured.service_s


def measured_of(client: Client, family: Any, shots: int, backend: str, seed: int) -> tuple[Measured, Result]:
    """One run as a whole."""
    found = client.submit(family, shots=shots, seed=seed, pin=backend).result(TIMEOUT_S)
    work, got = twins.work_of(asked(client, found.job_id)), found.measurement
    return Measured(work, backend, found.estimate, got.service_s, got.fidelity, got.energy_j), found


def asked(client: Client, job_id: str) -> Request:
    """What a policy was told of a job."""
    decision = client.why(job_id)
    if decision is None:
        raise typer.BadParameter(f"{job_id}: wanted a job that was decided on, got one without a decision")
    return decision.request


def chosen(client: Client, number: int) -> Iterator[tuple[Request, Measured]]:
    """The batches as jobs that may be divided, with and without the classical algorithm, and what came of them."""
    for batch, (family, shots, places) in BATCHES.items():
        for allow in ((CLASSICAL, *places), places):
            for objective in OBJECTIVES:
                job = client.submit(
                    family, shots=shots, seed=number, allow=allow, max_parts=2, policy="random", objective=objective
                )
                found, request = job.result(TIMEOUT_S), asked(client, job.id)
                (share,) = found.placement.shares
                got, work = found.measurement, twins.work_of(request)
                console.print(f"{batch} on {share.backend}: {got.service_s:.3f} s")
                yield (
                    request,
                    Measured(work, share.backend, found.estimate, got.service_s, got.fidelity, got.energy_j),
                )


@app.command()
def record(out: Path = BUILT_IN) -> None:
    """Run everything, and write the twin."""
    backends = tuple(sorted({CLASSICAL, *(name for *_, places in BATCHES.values() for name in places)}))
    requests, measured, whole_s, halves_s = [], [], [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(settings=Settings(data_dir=Path(folder), backends=backends, slots=2)) as client,
    ):
        for batch, (family, shots, places) in BATCHES.items():
            everywhere = (CLASSICAL, *places)
            for seed in range(1000, 1000 + REPEATS):
                for backend in everywhere:
                    one, found = measured_of(client, family, shots, backend, seed)
                    measured.append(one)
                    whole_s.append(beside_s(found.measurement))
                for pair in list(combinations(everywhere, 2))[:2]:
                    halves = client.submit(family, shots=shots, seed=seed, pin=dict.fromkeys(pair, 0.5))
                    halves_s.append(beside_s(halves.result(TIMEOUT_S).measurement))
            console.print(batch, *(f"{one.backend} {one.service_s:.3f}" for one in measured[-len(everywhere) :]))
        for number in range(ASKED):
            for request, one in chosen(client, 2000 + number):
                requests.append(request)
                measured.append(one)
    merge_s = max(0.0, median(halves_s) - median(whole_s))
    lanes = [Lane(name, 1, (name,)) for name in backends]
    twin = twins.fit(requests, lanes, Scales(), measured, merge_s)
    twins.save(twin, out)
    columns = ("num_jobs", "num_measured", "num_divided", "merge_s", "beside_whole_s", "beside_divided_s")
    with results("divided_twin_recorded", columns, seeds=f"1000 to {999 + REPEATS}, 2000 to {1999 + ASKED}") as table:
        figures = (f"{value:.6f}" for value in (merge_s, median(whole_s), median(halves_s)))
        table.writerow([len(requests), len(measured), len(halves_s), *figures])
    console.print(f"{out}: {len(requests)} jobs, {len(measured)} measurements; joining takes {merge_s:.4f} s")


# ── what is learned in it ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Group:
    """Jobs of the twin, and where they may go.

    Attributes:
        classical: whether they may go to the classical algorithm; None: some may.   places: no others; none: all.
    """

    classical: bool | None = None
    places: tuple[str, ...] = ()

    def of(self, twin: Twin) -> Twin:
        """The twin of these alone."""
        feasible, names = twin.feasible.clone(), twin.backends
        rows = torch.ones(len(feasible), dtype=torch.bool)
        if self.classical is not None:
            rows = feasible[:, names.index(CLASSICAL)] == self.classical
        if self.places:
            there = torch.tensor([name in self.places for name in names])
            rows &= feasible[:, there].all(-1)
            feasible &= there
        kept = {name: getattr(twin, name)[rows] for name in (*twins.OF_JOBS, *twins.OF_PAIRS)}
        assert twin.division is not None
        division = twin.division.taking(rows, torch.arange(len(names)))
        return replace(twin, **(kept | {"feasible": feasible[rows]}), division=division)


GROUPS = {
    "all": Group(),
    "with the classical algorithm": Group(classical=True),
    "classical algorithm or QPU": Group(classical=True, places=(CLASSICAL, QPU)),
    "circuits alone": Group(classical=False),
}
LOADS = (0.1, 1.0)
TRAINED = (1, 2, 3)
PLAYED = tuple(range(KEPT_OUT, KEPT_OUT + 5))
WORLDS = 20
NEVER, FREE = -1e9, -50.0
"""Biases of an actor that never divides, and to which a second of a place's time is worth nothing."""
COLUMNS = (
    "jobs load policy runs cost cost_low cost_high over_whole over_low over_high over_split split_low split_high "
    "divided_percent mean_phi"
)


def ruled(*, divides: bool) -> Divider:
    """What estimates say, without anything learned: the cheapest place, or the cheapest two and their shares."""
    actor = Divider()
    with torch.no_grad():
        actor.last.bias[:] = torch.tensor([0.0, FREE, 0.0, 0.0, 0.0 if divides else NEVER])
    return actor


def trained(env: str, setting: MeasuredSetting, seed: int, epochs: int, work: Path) -> Any:
    """An actor of that world, trained or as it was kept."""
    root = work / f"{env}-{seed}"
    before = checkpoint.load(root) if checkpoint.exists(root) else None
    if before is None or len(before.curve) < epochs:
        train(
            checkpoint.Run("placing", env, seed, PlacingConfig(worlds=24, pairs=8, epochs=epochs), setting),
            epochs,
            root,
            before=before,
        )
    return checkpoint.load(root).actor()


@dataclass(frozen=True)
class Played:
    """Mean cost of a job in each episode; of how many jobs a share was kept for the second place, and its mean."""

    cost: np.ndarray
    divided: float
    phi: float


def played(setting: DividedSetting, actor: Any, num_pair: int) -> Played:
    """Kept-out episodes, as the actor acts by so many pair features."""
    costs, shares = [], []
    for seed in PLAYED:
        world, total = DividedWorld(setting, WORLDS, seed), torch.zeros(WORLDS)
        for _ in range(setting.episode_slots):
            seen = world.observe()
            action = actor.act(Observation(seen.user, seen.pair[..., :num_pair]))
            total += world.step(action).outcome.cost.sum(-1)
            shares.append(action.shares.flatten())
        costs.append(total / setting.jobs)
    share = torch.cat(shares)
    there = share[share > 0.0]
    return Played(
        torch.cat(costs).numpy(), float((share > 0.0).float().mean()), float(there.mean()) if len(there) else 0.0
    )


def rows(group: str, load: float, found: dict[str, list[Played]]) -> Iterator[list[Any]]:
    """A row a policy: cost, and ratios paired by episode."""
    value, again = resampled({name: np.stack([run.cost for run in runs]) for name, runs in found.items()})
    for name, runs in found.items():
        figures = [(value[name], again[name])]
        figures += [(value[name] / value[other], again[name] / again[other]) for other in ("whole", "split")]
        words = [f"{number:.4g}" for mean, draws in figures for number in (mean, *interval(draws))]
        divided, phi = (float(np.mean([getattr(run, what) for run in runs])) for what in ("divided", "phi"))
        yield [group, load, name, len(runs), *words, f"{100.0 * divided:.3g}", f"{phi:.3f}"]


@app.command()
def compare(source: str = twins.DIVIDED, work: Path = Path("runs/divided_twin"), epochs: int = 16) -> None:
    """Train, play kept-out episodes, write, show."""
    torch.set_num_threads(1)
    twin = twins.load(source)
    num = len(twin.backends)
    whole, parts = MeasuredSetting(source=source, servers=num), DividedSetting(source=source, servers=num)
    players: dict[str, tuple[int, list[Any]]] = {
        "whole": (NUM_PAIR + NUM_PARTS, [ruled(divides=False)]),
        "split": (NUM_PAIR + NUM_PARTS, [ruled(divides=True)]),
        "learned, whole": (NUM_PAIR, [trained("Measured-v1", whole, seed, epochs, work) for seed in TRAINED]),
        "learned": (NUM_PAIR + NUM_PARTS, [trained("Measured-v2", parts, seed, epochs, work) for seed in TRAINED]),
    }
    told, shown = [], Table(*COLUMNS.split())
    for group, kind in GROUPS.items():
        file = work / f"{group}.safetensors"
        twins.save(kind.of(twin), file)
        for load in track(LOADS, description=group, console=console):
            setting = replace(parts, source=str(file), low_load=load, high_load=load, fleets="all")
            found = {name: [played(setting, one, num) for one in actors] for name, (num, actors) in players.items()}
            told += rows(group, load, found)
    seeds = f"training {TRAINED[0]} to {TRAINED[-1]}; play {PLAYED[0]} to {PLAYED[-1]}, {WORLDS} episodes each"
    with results("divided_twin", COLUMNS.split(), seeds=seeds, packages=("torch", "numpy")) as table:
        table.writerows(told)
    for row in told:
        shown.add_row(*map(str, row))
    console.print(shown)


if __name__ == "__main__":
    app()
