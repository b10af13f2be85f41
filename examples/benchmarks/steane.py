"""Measure how well Steane's code keeps a logical qubit: three schemes, two levels, two engines.

    python examples/benchmarks/steane.py          # about a quarter of an hour on one core; --quick: one minute
    python examples/benchmarks/steane.py --resume # keeps the points that the CSV already has

Writes ``results/steane.csv`` (every point: counts, Clopper-Pearson interval, time), ``results/steane.md`` (tables,
slopes, pseudo-thresholds, single-fault audit, Aer against stim) and ``results/steane.png``. Ctrl-C keeps the points
that are done, for ``--resume``, and writes no report.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evidence import RESULTS, results

from circuits.concatenation import success_probability
from circuits.seeds import derive
from circuits.steane.audit import audit
from circuits.steane.level2 import Memory2
from circuits.steane.memory import Memory, Tally
from circuits.steane.scaling import scaling

SEED = 7
ROUNDS = 4
RATES = (1e-4, 2e-4, 3e-4, 5e-4, 7e-4, 1e-3, 1.4e-3, 2e-3, 3e-3, 5e-3, 1e-2)
NUM_SHOTS = {"steane": 10_000_000, "flag": 4_000_000, "bare": 1_000_000}
FROM_P = {"steane": 1e-4, "flag": 1e-4, "bare": 3e-4}
LEVEL_2 = ((3.5e-4, 2**20), (5e-4, 2**19), (7e-4, 2**18), (1e-3, 2**17), (1.4e-3, 2**16), (2e-3, 2**15))
ON_AER = (3e-3, 10_000)
LOW = (1e-4, 1e-3)  # where slopes are fitted
AROUND = {"steane": (6e-4, 1.5e-3), "flag": (1.2e-3, 2.5e-3), "bare": LOW}  # where pseudo-thresholds are
AROUND_2 = (4e-4, 1.1e-3)
COLUMNS = "level,scheme,engine,basis,p,rounds,shots,accepted,failures,error_per_round,low,high,acceptance,run_s"


@dataclass(frozen=True)
class Point:
    """One experiment and what it gave."""

    level: int
    scheme: str
    engine: str
    basis: str
    p: float
    tally: Tally
    run_s: float

    def row(self) -> list[Any]:
        """As the CSV has it."""
        tally = self.tally
        low, high = tally.interval()
        figures = [f"{value:.4g}" for value in (tally.error_per_round or math.nan, low, high, tally.acceptance)]
        counts = [tally.rounds, tally.shots, tally.accepted, tally.failures]
        return [self.level, self.scheme, self.engine, self.basis, self.p, *counts, *figures, f"{self.run_s:.2f}"]


def experiments(scale: float) -> Iterator[tuple[int, str, str, Memory | Memory2]]:
    """Level, scheme, engine, and what to run; ``scale`` multiplies the shots."""
    for scheme, shots in NUM_SHOTS.items():
        for p in RATES:
            # above 1e-3 failures are plenty
            asked = int(shots * scale) if p <= 1e-3 else int(shots * scale / 5)
            if p >= FROM_P[scheme]:
                for basis in "zx":
                    made = Memory(
                        p=p, rounds=ROUNDS, shots=asked, basis=basis, scheme=scheme, seed=_seed(1, scheme, basis, p)
                    )
                    yield 1, scheme, "stim", made
    for scheme in NUM_SHOTS:
        for basis in "zx":
            p, shots = ON_AER
            asked = int(shots * scale)
            made = Memory(
                p=p,
                rounds=ROUNDS,
                shots=asked,
                basis=basis,
                scheme=scheme,
                engine="aer",
                seed=_seed("aer", scheme, basis),
            )
            yield 1, scheme, "aer", made
    for p, shots in LEVEL_2:
        for basis in "zx":
            yield (
                2,
                "steane",
                "stim",
                Memory2(p=p, rounds=1, shots=int(shots * scale), basis=basis, seed=_seed(2, basis, p)),
            )


def _seed(*path: int | str | float) -> int:
    """Each experiment has its own: points of one fit must be independent."""
    return derive(SEED, *map(str, path))


def main() -> None:
    """Measure, write, report."""
    quick = "--quick" in sys.argv
    folder = RESULTS / "quick" if quick else RESULTS
    points = []
    known = done_before(folder / "steane.csv") if "--resume" in sys.argv else {}
    todo = list(experiments(0.02 if quick else 1.0))
    with results(
        "steane", COLUMNS.split(","), seeds=f"derived from {SEED} for each experiment", folder=folder
    ) as table:
        for number, (level, scheme, engine, made) in enumerate(todo, start=1):
            point = known.get((level, scheme, engine, made.basis, made.p))
            if point is None:
                begun = time.perf_counter()
                point = Point(level, scheme, engine, made.basis, made.p, made.run(), time.perf_counter() - begun)
            points.append(point)
            table.writerow(point.row())
            print(f"{number}/{len(todo)}", *point.row(), flush=True)
    report = "\n".join(
        [f"# Steane's code, measured\n\n`python {' '.join(sys.argv)}`, seeds derived from {SEED}\n", *sections(points)]
    )
    (folder / "steane.md").write_text(report + "\n")
    print(report)
    draw(points, folder / "steane.png")


def done_before(path: Path) -> dict[tuple[int, str, str, str, float], Point]:
    """The points of an earlier run."""
    if not path.exists():
        return {}
    with path.open() as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        points = [
            Point(
                int(row["level"]),
                row["scheme"],
                row["engine"],
                row["basis"],
                float(row["p"]),
                Tally(int(row["shots"]), int(row["accepted"]), int(row["failures"]), int(row["rounds"])),
                float(row["run_s"]),
            )
            for row in rows
        ]
    return {(point.level, point.scheme, point.engine, point.basis, point.p): point for point in points}


def chosen(
    points: list[Point], level: int, scheme: str, basis: str, span: tuple[float, float] = (0, 1)
) -> list[tuple[float, Tally]]:
    """P and counts of one curve on stim, where something failed."""
    return [
        (point.p, point.tally)
        for point in points
        if (point.level, point.scheme, point.basis, point.engine) == (level, scheme, basis, "stim")
        and span[0] <= point.p <= span[1]
        and point.tally.failures
    ]


def sections(points: list[Point]) -> Iterator[str]:
    """The report, part by part."""
    yield f"Noise: see `circuits/steane/noise.py`. {ROUNDS} rounds at level 1, 1 at level 2; 95 % intervals.\n"
    yield "## Logical error per round\n"
    yield "| scheme, basis | " + " | ".join(f"p = {p:g}" for p in RATES) + " |"
    yield "|---" * (len(RATES) + 1) + "|"
    curves = [(1, scheme, basis) for scheme in NUM_SHOTS for basis in "zx"]
    for level, scheme, basis in curves:
        found = dict(chosen(points, level, scheme, basis))
        cells = [f"{found[p].error_per_round:.2e}" if p in found else "" for p in RATES]
        yield f"| {scheme}, {basis} | " + " | ".join(cells) + " |"
    found = dict(chosen(points, 1, "steane", "z"))
    yield "| acceptance of steane | " + " | ".join(f"{found[p].acceptance:.3f}" for p in RATES) + " |"
    yield "\n## Slopes and pseudo-thresholds\n"
    yield "| level, scheme, basis | slope, p ≤ 1e-3 | pseudo-threshold |\n|---|---|---|"
    for level, scheme, basis in [*curves, (2, "steane", "z"), (2, "steane", "x")]:
        yield _scaling_row(points, level, scheme, basis)
    yield from eq_10(points)
    yield "\n## Every single fault of one round\n"
    yield "| scheme, basis | faults | discarded | kept and wrong |\n|---|---|---|---|"
    for scheme in NUM_SHOTS:
        for basis in "zx":
            found = audit(scheme, basis)
            yield f"| {scheme}, {basis} | {found.num_faults} | {found.rejected} | {len(found.failures)} |"
    yield from engines(points)


def _scaling_row(points: list[Point], level: int, scheme: str, basis: str) -> str:
    low = scaling(chosen(points, level, scheme, basis, LOW))
    slope = f"{low.slope:.3f} ({low.slope_interval[0]:.3f} to {low.slope_interval[1]:.3f})"
    near = scaling(chosen(points, level, scheme, basis, AROUND[scheme] if level == 1 else AROUND_2))
    crossing = "none"
    if near.crossing is not None and near.crossing_interval is not None and near.slope > 1.2:
        crossing = f"{near.crossing:.3e} ({near.crossing_interval[0]:.3e} to {near.crossing_interval[1]:.3e})"
    return f"| {level}, {scheme}, {basis} | {slope} | {crossing} |"


def eq_10(points: list[Point]) -> Iterator[str]:
    """Level 2 beside the paper's model, with its threshold and with the one that level 1 shows here."""
    yield "\n## Level 2 beside eq. (10)\n"
    yield "Failure eps_thr (p/eps_thr)^4 of one location; measured eps_thr: pseudo-threshold of the same basis.\n"
    yield "| basis | p | measured, level 2 | acceptance | eq. (10), eps_thr = 2e-4 | eq. (10), measured eps_thr |"
    yield "|---|---|---|---|---|---|"
    for basis in "zx":
        threshold = scaling(chosen(points, 1, "steane", basis, AROUND["steane"])).crossing
        for p, tally in chosen(points, 2, "steane", basis):
            low, high = tally.interval()
            model = [1.0 - success_probability(1, p, 2, each) for each in (2e-4, threshold or 1.0)]
            measured = f"{tally.error_per_round:.2e} ({low:.2e} to {high:.2e})"
            yield f"| {basis} | {p:g} | {measured} | {tally.acceptance:.3f} | {model[0]:.2e} | {model[1]:.2e} |"


def engines(points: list[Point]) -> Iterator[str]:
    """Aer against stim."""
    yield "\n## Aer against stim\n"
    yield "| scheme, basis, p | failures kept: Aer | stim | z | acceptance: z | Aer, ms a shot | stim, µs a shot |"
    yield "|---|---|---|---|---|---|---|"
    for other in (point for point in points if point.engine == "aer"):
        (mine,) = (
            point
            for point in points
            if (point.level, point.engine) == (1, "stim")
            and (point.scheme, point.basis, point.p) == (other.scheme, other.basis, other.p)
        )
        a, b = other.tally, mine.tally
        wrong, kept = _z(a.failures, a.accepted, b.failures, b.accepted), _z(a.accepted, a.shots, b.accepted, b.shots)
        times = f"{other.run_s / a.shots * 1e3:.2f} | {mine.run_s / b.shots * 1e6:.2f}"
        rates = f"{a.failures / a.accepted:.4f} | {b.failures / b.accepted:.4f}"
        yield f"| {other.scheme}, {other.basis}, {other.p:g} | {rates} | {wrong:.2f} | {kept:.2f} | {times} |"


def _z(first: int, of_first: int, second: int, of_second: int) -> float:
    """Difference of two shares in standard errors of the pooled share; 0 where both are all or nothing."""
    pooled = (first + second) / (of_first + of_second)
    variance = pooled * (1.0 - pooled) * (1.0 / of_first + 1.0 / of_second)
    return (first / of_first - second / of_second) / math.sqrt(variance) if variance else 0.0


def draw(points: list[Point], path: Any) -> None:
    """Logical against physical error."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7.5, 5.5), layout="constrained")
    styles = {"steane": ("C0", "verified ancillas"), "flag": ("C2", "flags"), "bare": ("C7", "bare ancillas")}
    for level, scheme in ((1, "bare"), (1, "flag"), (1, "steane"), (2, "steane")):
        for basis, marker, line in (("z", "o", "-"), ("x", "s", "--")):
            found = chosen(points, level, scheme, basis)
            colour, words = ("C3", "level 2") if level == 2 else styles[scheme]
            slope = scaling(chosen(points, level, scheme, basis, LOW)).slope
            values = [tally.error_per_round or math.nan for _, tally in found]
            bars = [
                [value - tally.interval()[0] for value, (_, tally) in zip(values, found, strict=True)],
                [tally.interval()[1] - value for value, (_, tally) in zip(values, found, strict=True)],
            ]
            label = f"{words}, basis {basis}: slope {slope:.2f}"
            axes.errorbar(
                [p for p, _ in found], values, yerr=bars, fmt=marker + line, color=colour, ms=4, lw=1.2, label=label
            )
    axes.plot(RATES, RATES, color="k", lw=1, ls=":", label="no code: p")
    axes.set(xscale="log", yscale="log", xlabel="physical error p", ylabel="logical error per round of correction")
    axes.set_title("Steane's code: kept shots, 95 % intervals; slopes fitted up to p = 1e-3", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
