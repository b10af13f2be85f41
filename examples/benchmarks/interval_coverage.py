"""Do intervals of 90 % hold 90 %? And how far off are times that are learned online? A mixed workload, run for real.

    python examples/benchmarks/interval_coverage.py            # half an hour; --quick: one seed, few jobs
    python examples/benchmarks/interval_coverage.py --tables   # the tables again, from the telemetry that is kept
    python examples/benchmarks/interval_coverage.py --anew     # what this version would have said, run after run

For each seed an embedded orchestrator starts with an empty store and lives through the workload: repeated programs and
new ones, families and random circuits, on simulators and emulated devices, each placed at random. What was said when a
job was placed stands in its record beside what came. Coverage: the part of measurements inside the intervals that were
said, with 95 % bootstrap intervals that resample programs; of all figures together without those that follow from a
schedule, which are always right. Errors of time: |log(measured / said)|, from the first job on, beside those of the
prior alone and of means at three depths (a backend, a group of programs, a program).

Constants of the model come from seeds 101 and 102, which are not reported; that energy is learned by itself, and not
from the time, was decided after a first look at the reported ones. The telemetry is kept in ``runs/coverage`` and a run
that was interrupted goes on with the next seed. Writes ``results/interval_coverage.csv`` (a row for each figure of each
run) and ``results/interval_coverage_summary.csv``.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from evidence import results
from rich.console import Console
from rich.progress import track
from rich.table import Table
from survival_prior import ghz, layers

sys.path.insert(0, str(Path(__file__).parents[1]))

import backends
from orchestrator import Client, JobSpec
from orchestrator.client import job_spec
from orchestrator.cost_model.mean import Mean, depths
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.times import MOST_SHARED
from orchestrator.errors import JobError
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.telemetry import Observation
from workers.compare.workload import mixed

SEEDS = (1, 2, 3)
BACKENDS = (
    *("aer_statevector", "aer_density_matrix", "aer_mps", "aer_stabilizer", "sparse", "pennylane_lightning"),
    *("fake_guadalupe", "virtual_manila", "virtual_nairobi"),
)
NUM_JOBS, AT_ONCE, TIMEOUT_S = 200, 4, 300.0
KEPT = Path("runs") / "coverage"
RESAMPLES = 2000
FIGURES = ("elapsed_s", "fidelity", "energy_j", "cost_usd")
COLUMNS = ("seed", "number", "backend", "group", "program", "nearness", "figure", "said", "low", "high", "measured")
SUMMARY = ("figure", "of", "n", "value", "low_95", "high_95", "median_high_over_low")
NEARNESS = ("nothing seen", "other groups seen", "its group seen", "the program seen")


def workload(num_jobs: int, seed: int) -> list[JobSpec]:
    """A quarter repeats an earlier job with another seed, a third are random circuits, the rest the mixed batch."""
    generator = np.random.default_rng(seed)
    base = [arrival.spec for arrival in mixed(num_jobs, seed, horizon_s=0.0)]
    specs: list[JobSpec] = []
    for spec in base:
        chance, shots = generator.random(), int(generator.choice([100, 500, 2000, 8000]))
        if chance < 0.25 and specs:
            spec = specs[int(generator.integers(len(specs)))]
        elif chance < 0.58:
            width = int(generator.integers(2, 10))
            circuit = layers(width, int(generator.integers(1, 9))) if generator.random() < 0.7 else ghz(width)
            spec = job_spec(circuit.measure_all(inplace=False), shots=shots)
        specs.append(replace(spec, policy="random", allow=(), seed=int(generator.integers(2**30))))
    return specs


def lived(num_jobs: int, seed: int) -> list[Observation]:
    """Run the workload; what was measured, in order."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), backends=BACKENDS)
        with Client(settings=settings) as client:
            specs = workload(num_jobs, seed)
            for begin in track(range(0, num_jobs, AT_ONCE), description=f"seed {seed}"):
                for handle in client.submit_many(specs[begin : begin + AT_ONCE]):
                    try:
                        handle.result(TIMEOUT_S)
                    except JobError as error:
                        print(f"left out: {error}", file=sys.stderr)
        store = SqlStore(settings.resolved_store_url)
        seen: list[tuple[int, Observation]] = []
        while fresh := store.observations(after=seen[-1][0] if seen else 0):
            seen += fresh
        store.close()
    return [one for _, one in seen]


def telemetry(num_jobs: int, seed: int, folder: Path, *, run: bool) -> list[Observation]:
    """From the file that is kept, or by running."""
    path = folder / f"{seed}-{num_jobs}.jsonl"
    if path.exists():
        return [from_json(Observation, line) for line in path.read_text().splitlines()]
    if not run:
        return []
    seen = lived(num_jobs, seed)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{to_json(one)}\n" for one in seen))
    return seen


def anew(seen: Sequence[Observation]) -> list[Observation]:
    """The same log, as this version of the cost model would have said it: each from those before it."""
    model, said = CostModel(), []
    for number, one in enumerate(seen, start=1):
        device = backends.load(one.backend).device()
        estimate = model.estimate(one.prior, device, one.group, one.program_hash)
        said.append(replace(one, estimate=estimate))
        model = model.fold([(number, said[-1])])
    return said


def measured(one: Observation, figure: str) -> float | None:
    """What came of a figure; None where nobody can tell, or where it is free."""
    met = one.measurement
    if figure == "fidelity":
        return None if met.fidelity is None or met.approximate else min(1.0, met.fidelity / (met.fidelity_floor or 1.0))
    value = float({"elapsed_s": met.service_s, "energy_j": met.energy_j, "cost_usd": met.cost_usd}[figure])
    return value if value > 0.0 else None


def rows(seed: int, seen: Sequence[Observation]) -> Iterator[tuple[object, ...]]:
    """A row for each figure of each run."""
    for number, one in enumerate(seen, start=1):
        around = one.estimate.intervals
        for figure in FIGURES:
            came = measured(one, figure)
            if around is not None and came is not None:
                said, ends = getattr(one.estimate, figure), getattr(around, figure)
                about = (seed, number, one.backend, one.group, one.program_hash[:12], around.nearness)
                yield *about, figure, said, ends.low, ends.high, came


def means(seen: Sequence[Observation]) -> list[float]:
    """Errors of time of means at three depths, one observation after the other."""
    known: dict[str, Mean] = {}
    errors = []
    for one in seen:
        log_ratio, expected = math.log(one.measurement.service_s / one.prior.service_s), 0.0
        keys = list(depths(one.backend, one.group, one.program_hash))
        for key in keys:
            if key not in known:
                break
            expected = known[key].shrunk(expected)
        errors.append(abs(log_ratio - expected))
        known[keys[0]] = known.get(keys[0], Mean()).add(max(-MOST_SHARED, min(MOST_SHARED, log_ratio)))
        for key in keys[1:]:
            known[key] = known.get(key, Mean()).add(log_ratio)
    return errors


def resampled(
    programs: Sequence[str], values: Sequence[float], of: Callable[[np.ndarray], float]
) -> tuple[float, float, float]:
    """The value, and its 95 % bootstrap interval: whole programs are drawn, with everything that was run of them."""
    kinds: dict[str, list[float]] = {}
    for program, value in zip(programs, values, strict=True):
        kinds.setdefault(program, []).append(value)
    groups, generator = [np.array(each) for each in kinds.values()], np.random.default_rng(0)
    drawn = [
        of(np.concatenate([groups[n] for n in generator.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return of(np.array(values)), float(low), float(high)


def known(row: tuple[object, ...]) -> bool:
    """Whether it follows from a schedule and a price list: such figures are always right, and prove nothing."""
    return row[6] in ("energy_j", "cost_usd") and row[9] <= 1.02 * row[8]


def coverage(table: Sequence[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """Summary rows: each figure, overall, by nearness and by backend."""

    def row(figure: str, of: str, chosen: Sequence[tuple[object, ...]]) -> tuple[object, ...]:
        inside = [float(one[8] <= one[10] * (1 + 1e-9) and one[10] <= one[9] * (1 + 1e-9)) for one in chosen]
        found = resampled([f"{one[0]} {one[4]}" for one in chosen], inside, lambda v: float(v.mean()))
        widths = [one[9] / one[8] if one[8] else math.inf for one in chosen]
        return figure, of, len(chosen), *found, float(np.median(widths))

    for figure in ("all figures", *FIGURES):
        mine = [one for one in table if figure == one[6] or (figure == "all figures" and not known(one))]
        if not mine:
            continue
        yield row(figure, "coverage", mine)
        for near, words in enumerate(NEARNESS):
            if chosen := [one for one in mine if one[5] == near]:
                yield row(figure, f"coverage, {words}", chosen)
        for backend in sorted({str(one[2]) for one in mine}):
            yield row(figure, f"coverage on {backend}", [one for one in mine if one[2] == backend])


def errors(logs: Sequence[Sequence[Observation]]) -> Iterator[tuple[object, ...]]:
    """Summary rows: how far times were off, by what said them."""
    said = {
        "prior alone": [abs(math.log(one.measurement.service_s / one.prior.service_s)) for log in logs for one in log],
        "means at three depths": [error for log in logs for error in means(log)],
        "the cost model": [
            abs(math.log(one.measurement.service_s / one.estimate.service_s)) for log in logs for one in log
        ],
    }
    programs = [f"{seed} {one.program_hash}" for seed, log in enumerate(logs) for one in log]
    for name, values in said.items():
        for what, of in (("median", np.median), ("mean", np.mean)):
            found = resampled(programs, values, lambda v, of=of: float(of(v)))  # type: ignore[misc]
            yield f"|log time error|, {what}", name, len(values), *found, ""


def tell(summary: Iterable[tuple[object, ...]]) -> None:
    """As a table."""
    made = Table("figure", "of", "n", "value", "95 % interval", "high / low")
    for figure, of, n, value, low, high, width in summary:
        made.add_row(
            str(figure), str(of), str(n), f"{value:.3f}", f"{low:.3f}–{high:.3f}", f"{width:.3g}" if width else ""
        )
    Console().print(made)


def main() -> None:
    """Run what is missing, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=NUM_JOBS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="one seed, forty jobs, nothing written to results")
    parser.add_argument("--tables", action="store_true", help="from the telemetry that is kept")
    parser.add_argument("--anew", action="store_true", help="said anew, by this version, of the telemetry that is kept")
    parser.add_argument("--keep", type=Path, default=KEPT, help="folder of the telemetry")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    num_jobs, seeds = (40, asked.seeds[:1]) if asked.quick else (asked.jobs, asked.seeds)
    logs = {seed: telemetry(num_jobs, seed, asked.keep, run=not (asked.tables or asked.anew)) for seed in seeds}
    if asked.anew:
        logs = {seed: anew(seen) for seed, seen in logs.items()}
    table = [row for seed, seen in logs.items() for row in rows(seed, seen)]
    summary = [*coverage(table), *errors([seen for seen in logs.values() if seen])]
    if not asked.quick:
        words = f"{' '.join(map(str, seeds))}; {num_jobs} jobs each"
        for name, columns, found in (
            ("interval_coverage", COLUMNS, table),
            ("interval_coverage_summary", SUMMARY, summary),
        ):
            with results(name, columns, seeds=words) as file:
                file.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in row] for row in found)
    tell(summary)


if __name__ == "__main__":
    main()
