"""How well execution times can be told: real IBM jobs, and Aer on this machine.

    python examples/benchmarks/run_time.py                      # IBM: grouped cross-validation, and in order; a minute
    python examples/benchmarks/run_time.py --data OTHER.csv     # the same on another file of that form
    python examples/benchmarks/run_time.py --train A.csv --data B.csv     # learned from one, tested on the other
    python examples/benchmarks/run_time.py --aer                # circuits never seen before, through the orchestrator

IBM: 5 134 jobs as the authors of Qonductor published them (``data/ibm_execution_times.NOTICE``). What is known of a job
is five sums; neither the device nor the day. Rows with the same five are never both learned from and tested on, unless
it says so. The *floor* is the best constant for each set of identical rows, fitted on the tested rows themselves: one
that knows the answers, and is exact where a row is alone. Rows are told

- by a linear regression on logarithms (plain);
- by neighbours (ours): the weighted median, of the thirty nearest jobs, of time over a physical scale;
- by neighbours in the order of the file, from earlier rows alone, where recent ones count more: devices come in runs,
  and a run says what the features leave out. Once without identical rows, once as an orchestrator learns, with them;
- by the orchestrator's own cost model (``orchestrator.cost_model.times``), in the order of the file, with them.

The constants of the neighbours were chosen on the file that is shipped, so only another file's figures are held out.
Aer: each circuit runs once, and what was said when it was placed is compared with what came, after a third of them.

Writes ``results/run_time.csv`` or ``results/run_time_aer.csv``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from evidence import results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from survival_prior import ghz, layers

from orchestrator import Client
from orchestrator.cost_model.times import TimeModel
from orchestrator.job import Estimate, Measurement
from orchestrator.settings import Settings
from orchestrator.telemetry import Observation

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Numbers = NDArray[np.float64]
Tell = Callable[["Jobs", "Jobs"], Numbers]

SHIPPED = Path(__file__).parent / "data" / "ibm_execution_times.csv.gz"
FEATURES = ("depth_sum", "num_qubits_sum", "num_swap_sum", "shots", "num_circuits")
NUM_FOLDS, SEED, TIMEOUT_S = 5, 0, 120.0
NUM_NEAREST, SOFT = 30, 1e-3
WEIGHTS = np.array([2.0, 1.0, 1.0, 3.0, 3.0])
"""Of the logarithms of depth, qubits and swaps of one circuit, shots, and number of circuits, in a distance."""

RECENT_ROWS, OLD, SOFT_IN_ORDER = 10.0, 0.002, 1e-2
"""In order: rows in which a weight falls by e, and where it ends."""

START_S, REPETITION_S, LAYER_S = 1.0, 2.8e-4, 4e-7
"""Physical scale: seconds of a job, of a shot, of a layer of gates (ours, roughly; neighbours correct it)."""

FIRST = NUM_NEAREST + 1
"""Rows in order that nothing is told of yet."""

AER = ("aer_statevector", "aer_density_matrix", "aer_mps", "aer_stabilizer")
COLUMNS = (
    "told by",
    "split",
    "rows",
    "mean_ape",
    "mean_ape_without_worst_0.1_percent",
    "median_ape",
    "mean_ape_over_floor",
    "median_over_floor",
)
AER_COLUMNS = ("backend", "number", "circuit", "shots", "prior_s", "said_s", "low_s", "high_s", "measured_s")


@dataclass(frozen=True)
class Jobs:
    """Features (num_jobs, 5), seconds (num_jobs,), and which rows are identical: a number each."""

    features: Numbers
    seconds: Numbers

    @property
    def same(self) -> NDArray[np.intp]:
        """Rows with equal numbers have the same features."""
        return np.unique(self.features, axis=0, return_inverse=True)[1].reshape(-1)

    def of(self, chosen: NDArray[np.bool_]) -> Jobs:
        """Some of them."""
        return Jobs(self.features[chosen], self.seconds[chosen])


def read(path: Path) -> Jobs:
    """A file with the columns of the shipped one.

    Raises:
        SystemExit: it has not, or holds no times.
    """
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    wanted = (*FEATURES, "execution_s")
    if not rows or set(wanted) - set(rows[0]):
        raise SystemExit(
            f"wanted rows with the columns {', '.join(wanted)}; {path} has {', '.join(rows[0] if rows else ())}"
        )
    table = np.array([[float(row[name]) for name in wanted] for row in rows])
    return Jobs(table[:, :-1], table[:, -1])


# ── what tells times ──────────────────────────────────────────────────────────────────────────────────────────────────
def scale_s(features: Numbers) -> Numbers:
    """A start, and for each shot of each circuit its repetition and its layers: seconds (num_jobs,)."""
    depth, _, _, shots, circuits = features.T
    return START_S + REPETITION_S * circuits * shots + LAYER_S * shots * depth


def placed(features: Numbers) -> Numbers:
    """Where jobs lie, so that near ones take alike (num_jobs, 5)."""
    depth, qubits, swaps, shots, circuits = features.T
    per_circuit = [np.log1p(each / circuits) for each in (depth, qubits, swaps)]
    return np.stack([*per_circuit, np.log(shots), np.log(circuits)], axis=1) * WEIGHTS


def middle(values: Numbers, weights: Numbers) -> Numbers:
    """Of each row of values, the one that is off least in percent: the median by weight over value."""
    order = np.argsort(values, axis=1)
    values = np.take_along_axis(values, order, 1)
    mass = np.take_along_axis(weights, order, 1) / values
    mass = mass.cumsum(axis=1)
    return values[np.arange(len(values)), (mass >= mass[:, -1:] / 2).argmax(axis=1)]


def by_line(known: Jobs, asked: Jobs) -> Numbers:
    """Least squares on logarithms."""

    def columns(features: Numbers) -> Numbers:
        return np.column_stack([np.ones(len(features)), np.log1p(features), np.log(scale_s(features))])

    constants = np.linalg.lstsq(columns(known.features), np.log(known.seconds), rcond=None)[0]
    return np.exp(columns(asked.features) @ constants)


def by_neighbours(known: Jobs, asked: Jobs) -> Numbers:
    """The middle of what the nearest took, each over its scale."""
    here, there = placed(asked.features), placed(known.features)
    squares = np.maximum((here**2).sum(1)[:, None] + (there**2).sum(1) - 2 * here @ there.T, 0.0)
    number = min(NUM_NEAREST, squares.shape[1] - 1)
    nearest = np.argpartition(squares, number, axis=1)[:, :number]
    ratios = (known.seconds / scale_s(known.features))[nearest]
    return scale_s(asked.features) * middle(ratios, 1.0 / (np.take_along_axis(squares, nearest, 1) + SOFT))


def in_order(jobs: Jobs, *, identical: bool) -> Numbers:
    """Each row from the ones before it; NaN for the first."""
    places, scales, same = placed(jobs.features), scale_s(jobs.features), jobs.same
    ratios, told = jobs.seconds / scales, np.full(len(jobs.seconds), np.nan)
    for row in track(range(FIRST, len(told)), description="in order"):
        recency = np.exp((np.arange(row) - row) / RECENT_ROWS) + OLD
        weights = recency / (((places[:row] - places[row]) ** 2).sum(1) + SOFT_IN_ORDER)
        if not identical:
            weights[same[:row] == same[row]] = 0.0
        best = np.argpartition(-weights, NUM_NEAREST)[:NUM_NEAREST]
        told[row] = scales[row] * middle(ratios[best][None], weights[best][None])[0]
    return told


def by_cost_model(jobs: Jobs) -> Numbers:
    """As the orchestrator learns: each row said from the model of the rows before it, then folded in."""
    model, told, same = TimeModel(), np.full(len(jobs.seconds), np.nan), jobs.same
    for row, (scale, seconds) in enumerate(zip(scale_s(jobs.features), jobs.seconds, strict=True)):
        before, program = Estimate(float(scale), 1.0, 0.0, 0.0), str(same[row])
        if row >= FIRST:
            told[row] = model.estimate(before, "ibm", "program", program).service_s
        took_s = float(seconds)
        met = Measurement(0.0, 0.0, took_s, took_s, took_s, None, "estimated", None, None, 0.0, 0.0)
        model = model.fold([Observation("", "", "ibm", "", "program", program, 1, 1, 1, before, before, 0.0, met, 0.0)])
    return told


def best_constants(jobs: Jobs) -> Numbers:
    """The best constant of identical rows, known from themselves."""
    told = np.empty(len(jobs.seconds))
    for rows in (np.flatnonzero(jobs.same == each) for each in range(jobs.same.max() + 1)):
        told[rows] = middle(jobs.seconds[rows][None], np.ones((1, len(rows))))[0]
    return told


def across(jobs: Jobs, tell: Tell) -> Numbers:
    """Grouped cross-validation: identical rows are in one fold."""
    folds = np.random.default_rng(SEED).permutation(jobs.same.max() + 1)[jobs.same] % NUM_FOLDS
    told = np.empty(len(jobs.seconds))
    for fold in range(NUM_FOLDS):
        told[folds == fold] = tell(jobs.of(folds != fold), jobs.of(folds == fold))
    return told


def tellers(jobs: Jobs, train: Jobs | None) -> Iterator[tuple[str, str, Numbers]]:
    """Who tells, by which split, and what."""
    yield "best constant (floor)", "identical rows", best_constants(jobs)
    for name, tell in (("linear regression", by_line), ("neighbours", by_neighbours)):
        if train is None:
            yield name, f"grouped, {NUM_FOLDS} folds", across(jobs, tell)
        else:
            unseen = ~np.isin(np.arange(len(train.seconds)), _shared(train, jobs))
            yield name, "trained on the other file", tell(train.of(unseen), jobs)
    yield "neighbours", "in order, identical rows left out", in_order(jobs, identical=False)
    yield "neighbours", "in order, identical rows seen", in_order(jobs, identical=True)
    yield "cost model", "in order, identical rows seen", by_cost_model(jobs)


def _shared(train: Jobs, jobs: Jobs) -> NDArray[np.intp]:
    """Rows of ``train`` whose features are tested, too."""
    tested = {tuple(row) for row in jobs.features}
    return np.array([number for number, row in enumerate(train.features) if tuple(row) in tested], dtype=np.intp)


def ibm(data: Path, train: Path | None) -> None:
    """Tell, compare, write, print."""
    jobs = read(data)
    made = Table("told by", "split", "mean APE", "without worst 0.1 %", "median APE")
    floor: tuple[float, float] | None = None
    with results("run_time", COLUMNS, seeds=str(SEED), packages=("numpy",)) as table:
        for name, split, told in tellers(jobs, None if train is None else read(train)):
            tested = ~np.isnan(told)
            off = np.sort(np.abs(told[tested] / jobs.seconds[tested] - 1.0))
            mean_ape, median = float(off.mean()), float(np.median(off))
            floor = floor or (mean_ape, median)
            figures = (
                mean_ape,
                float(off[: len(off) - len(off) // 1000].mean()),
                median,
                mean_ape / floor[0],
                median / floor[1],
            )
            table.writerow([name, split, len(off), *(f"{each:.4f}" for each in figures)])
            made.add_row(name, split, *(f"{each:.2%}" for each in figures[:3]))
    Console().print(made)


# ── Aer ───────────────────────────────────────────────────────────────────────────────────────────────────────────────
def unseen_circuits(num: int, generator: np.random.Generator, *, clifford: bool) -> list[tuple[str, QuantumCircuit]]:
    """So many different circuits at most, of other kinds than the ones that cost curves were fitted to."""
    shapes = [(width,) for width in range(2, 61)] if clifford else [(n, m) for n in range(2, 12) for m in range(1, 13)]
    chosen = [shapes[number] for number in generator.permutation(len(shapes))[:num]]
    make = ghz if clifford else layers
    return [(f"{make.__name__} {shape}", make(*shape).measure_all(inplace=False)) for shape in chosen]


def aer(num_circuits: int) -> None:
    """Run different circuits one after the other; what was said of each beside what came."""
    made = Table("backend", "circuits", "median APE", "prior alone", "inside 90 % intervals")
    with (
        tempfile.TemporaryDirectory() as folder,
        results("run_time_aer", AER_COLUMNS, seeds=str(SEED)) as table,
        Client(settings=Settings(data_dir=Path(folder), backends=AER)) as client,
    ):
        for backend in AER:
            generator, rows = np.random.default_rng(SEED), []
            circuits = unseen_circuits(num_circuits, generator, clifford=backend == "aer_stabilizer")
            for number, (name, circuit) in enumerate(track(circuits, description=backend)):
                shots = int(generator.choice([100, 1000, 4000]))
                job = client.submit(circuit, shots=shots, pin=backend)
                found, decision = job.result(TIMEOUT_S), client.why(job.id)
                if decision is None or found.estimate.intervals is None:
                    raise RuntimeError(f"job {job.id} is done and nobody decided it")
                prior = next(one.prior for one in decision.request.candidates if one.backend == backend)
                around = found.estimate.intervals.elapsed_s
                rows.append(
                    (prior.service_s, found.estimate.service_s, around.low, around.high, found.measurement.service_s)
                )
                table.writerow([backend, number, name, shots, *(f"{each:.6g}" for each in rows[-1])])
            prior_s, said_s, low_s, high_s, met_s = np.array(rows[len(rows) // 3 :]).T
            off, prior_off = (float(np.median(np.abs(said / met_s - 1.0))) for said in (said_s, prior_s))
            inside = float(((low_s <= met_s) & (met_s <= high_s)).mean())
            made.add_row(backend, str(len(met_s)), f"{off:.1%}", f"{prior_off:.1%}", f"{inside:.1%}")
    Console().print(made)


def main() -> None:
    """One of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHIPPED, help="jobs to tell the times of")
    parser.add_argument("--train", type=Path, help="jobs to learn from, instead of the other folds")
    parser.add_argument("--aer", action="store_true", help="circuits on this machine instead")
    parser.add_argument("--circuits", type=int, default=60, help="with --aer: on each backend")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if asked.aer:
        aer(asked.circuits)
    else:
        ibm(asked.data, asked.train)


if __name__ == "__main__":
    main()
