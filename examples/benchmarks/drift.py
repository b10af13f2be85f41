"""Half a year of ibm_perth: what a fidelity estimate is worth whose device changes, with and without measurements.

    python examples/benchmarks/drift.py             # three minutes of one core; --jobs-a-day, --quick: every tenth day
    python examples/benchmarks/drift.py --draw      # summary and picture again, from the CSV

A job a day for 181 days, at an hour and with a circuit drawn at random, compiled to the newest calibration. It is
foretold from the first day's calibration ("frozen"), from the newest one ("daily"), from each of the two corrected by
the measurements of all jobs before it (prequential: predict, then observe), and from what the device is at that hour
("oracle"), which nobody knows. Then it is measured with 4000 shots of its exact answer. Errors are against that answer.
None of these circuits had a part in choosing the estimate or its constants. Ctrl-C keeps the days that are done.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from estimators_report import Rows, absolute, read, resampled
from evidence import RESULTS, results
from exact_noise import answer
from qiskit import QuantumCircuit
from qiskit.circuit.library import quantum_volume
from rich.progress import track
from survival_prior import ghz

from backends.backend import Device, TranspileOptions
from backends.calibration import Calibration, survival
from backends.errors import BackendError
from backends.pricing import TARIFFS
from backends.replay import actual, published
from backends.virtual.qpu import VirtualQPU
from backends.virtual.snapshot import Snapshot
from circuits.autoencoder import Autoencoder
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.fidelity import ideal_distribution
from circuits.program import UserCircuit
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.prior import prior
from orchestrator.job import Measurement
from orchestrator.preparation import Fit
from orchestrator.telemetry import Observation
from workers.foresight import foresee

NAME, NUM_DAYS, SHOTS, SEED = "drift", 181, 4000, 11
FIRST_DAY = datetime(2023, 1, 1, tzinfo=UTC)
WARM_UP_DAYS = 14
"""Days of learning that the second row of the summary leaves out."""

PREDICTIONS = ("frozen", "daily", "frozen_corrected", "daily_corrected", "oracle")
COLUMNS = ("day", "week", "job", "moment", "circuit", "exact", "measured", *PREDICTIONS)
SUMMARY = ("prediction", "days", "jobs", "quantity", "value", "low_95", "high_95", "target")
RATIOS = (("daily_corrected", "daily", 1.2), ("daily_corrected", "frozen", 0.6))
ALONE = (("frozen_corrected", "daily", 1.2), ("frozen_corrected", "frozen", 0.6))


def circuits() -> list[QuantumCircuit]:
    """GHZ states, square random circuits and those followed by their inverse, and our autoencoders."""
    found = [ghz(size) for size in (3, 5, 7)]
    for size in (3, 4, 5, 6):
        square = quantum_volume(size, seed=size).decompose()
        square.name = f"volume_{size}"
        back = square.copy(name=f"mirrored_volume_{size}")
        back.barrier()
        found += [square, back.compose(square.inverse())]
    measured = [circuit.measure_all(inplace=False) for circuit in found]
    for position, strength in enumerate((0.6, 1.0, 1.6)):
        circuit = Autoencoder(6, 3 + position, field=strength).build()
        circuit.name = f"autoencoder_{3 + position}"
        measured.append(circuit)
    return measured


@dataclass
class Learner:
    """A calibration and what measurements said of predictions from it."""

    model: CostModel = field(default_factory=CostModel)
    number: int = 0

    def foretell(self, device: Device, fidelity: float, circuit: str) -> float:
        """The corrected prediction."""
        return self.model.estimate(prior(device, Fit(fidelity=fidelity), SHOTS), device, "program", circuit).fidelity

    def learn(self, device: Device, fidelity: float, circuit: str, measured: float, floor: float) -> None:
        """One job more."""
        self.number += 1
        before = prior(device, Fit(fidelity=fidelity), SHOTS)
        took = Measurement(*(0.0, 0.0, 1.0, 1.0, 1.0, measured, "hellinger", floor, None), 0.0, 0.0)
        told = Observation(
            *(f"{self.number}", f"{self.number}", device.name, "", "program", circuit, 1, 1, SHOTS),
            *(before, before, 0.0, took, 0.0),
        )
        self.model = self.model.fold([(self.number, told)])


def half_year(step: int, jobs_a_day: int) -> Iterator[dict[str, Any]]:
    """A row a job."""
    rng = np.random.default_rng(SEED)
    chosen = [(circuit, ideal_distribution(circuit) or {}) for circuit in circuits()]
    first = _device(published(FIRST_DAY.timestamp())).device()
    frozen, daily = Learner(), Learner()
    for day in track(range(0, NUM_DAYS, step), description="days"):
        for number, hour in enumerate(np.sort(rng.uniform(0.0, 24.0, jobs_a_day)).tolist()):
            circuit, ideal = chosen[int(rng.integers(len(chosen)))]
            moment = (FIRST_DAY + timedelta(days=day, hours=hour)).timestamp()
            backend = _device(published(moment))
            today = backend.device()
            try:
                (prepared,) = backend.prepare([circuit], TranspileOptions())
                said = {
                    name: foresee(UserCircuit(circuit), prepared, device, survival(prepared, device), ideal).fidelity
                    for name, device in (("frozen", first), ("daily", today), ("oracle", _truly(today, moment)))
                }
            except BackendError:  # a pair that was not calibrated, on that day or on the first
                continue
            said["frozen_corrected"] = frozen.foretell(first, said["frozen"], circuit.name)
            said["daily_corrected"] = daily.foretell(today, said["daily"], circuit.name)
            law = answer(prepared, _used(prepared, _truly(today, moment).calibration)) or {}
            counts = rng.multinomial(SHOTS, np.array(list(law.values())) / math.fsum(law.values())).tolist()
            measured = hellinger_fidelity({bits: n for bits, n in zip(law, counts, strict=True) if n}, ideal)
            yield {
                "day": day,
                "week": day // 7,
                "job": number,
                "moment": moment,
                "circuit": circuit.name,
                "exact": hellinger_fidelity(law, ideal),
                "measured": measured,
                **said,
            }
            floor = finite_shot_floor(ideal, SHOTS)
            frozen.learn(first, said["frozen"], circuit.name, measured, floor)
            daily.learn(today, said["daily"], circuit.name, measured, floor)


def _device(snapshot: Snapshot) -> VirtualQPU:
    source = ("qiskit_aer", "qiskit-aer", "all")
    return VirtualQPU("ibm_perth", snapshot=lambda: snapshot, price=TARIFFS["emulated_falcon_r5"], source=source)


def _truly(device: Device, moment: float) -> Device:
    """The device as it is at that moment."""
    return replace(device, calibration=actual(moment).calibration)


def _used(prepared: QuantumCircuit, calibration: Calibration | None) -> Calibration:
    """The gates alone that a circuit uses: their noise is new every hour."""
    assert calibration is not None
    index = {bit: number for number, bit in enumerate(prepared.qubits)}
    used = {(item.name, tuple(index[bit] for bit in item.qubits)) for item in prepared.data}
    return replace(calibration, gates=tuple(gate for gate in calibration.gates if (gate.gate, gate.qubits) in used))


def _by_week(rows: Rows) -> list[list[Mapping[str, Any]]]:
    weeks: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        weeks.setdefault(row["week"], []).append(row)
    return list(weeks.values())


def summarise(rows: Rows) -> None:
    """Write and print mean errors and ratios with 95 % bootstrap intervals, resampled by week."""
    with results(f"{NAME}_summary", SUMMARY, seeds=str(SEED)) as table:
        for label, some in {
            "all": rows,
            f"after {WARM_UP_DAYS}": [row for row in rows if row["day"] >= WARM_UP_DAYS],
        }.items():
            weeks = _by_week(some)
            told: list[tuple[Any, ...]] = [
                (name, "mean absolute error", *resampled(weeks, lambda w: absolute(w, name)), "")  # noqa: B023
                for name in PREDICTIONS
            ]
            told += [
                (
                    f"{name} / {other}",
                    "ratio of mean absolute errors",
                    *resampled(weeks, lambda w: absolute(w, name) / absolute(w, other)),  # noqa: B023
                    f"<= {most}",
                )
                for name, other, most in (*RATIOS, *ALONE)
            ]
            for name, quantity, *values, target in told:
                written = [f"{value:.4f}" for value in values]
                table.writerow([name, label, len(some), quantity, *written, target])
                print(f"{name:26} {label:9} {len(some):4} {quantity:30}", *written, target)


def draw(rows: Rows) -> None:
    """Mean error by week."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import dates
    from matplotlib import pyplot as plt

    styles = {
        "frozen": ("the first day's calibration", "#c8553d", "-"),
        "frozen_corrected": ("the first day's and measurements", "#c8553d", "--"),
        "daily": ("the newest calibration", "#35618f", "-"),
        "daily_corrected": ("the newest and measurements", "#35618f", "--"),
        "oracle": ("what the device is at that hour", "#9aa5b1", "-"),
    }
    weeks = _by_week(rows)
    middles = [FIRST_DAY + timedelta(days=7.0 * week[0]["week"] + 3.5) for week in weeks]
    figure, axes = plt.subplots(figsize=(10, 4.6), layout="constrained")
    for name, (label, colour, line) in styles.items():
        axes.plot(middles, [absolute([week], name) for week in weeks], line, color=colour, lw=1.6, label=label)
    axes.set(ylim=(0, None), ylabel="mean absolute error of the fidelity, by week")
    axes.xaxis.set_major_locator(dates.MonthLocator())
    axes.xaxis.set_major_formatter(dates.DateFormatter("%B"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", lw=0.6)
    axes.legend(frameon=False, fontsize=9, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    axes.set_title(f"ibm_perth, 2023: {len(rows)} jobs", loc="right", fontsize=10, color="#666666", pad=40)
    figure.savefig(RESULTS / f"{NAME}.png", dpi=140)


def main() -> None:
    """Live through it, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="from the CSV that is there")
    parser.add_argument("--quick", action="store_true", help="every tenth day")
    parser.add_argument("--jobs-a-day", type=int, default=1)
    asked = parser.parse_args()
    if not asked.draw:
        with results(NAME, COLUMNS, seeds=str(SEED)) as table, suppress(KeyboardInterrupt):
            for row in half_year(10 if asked.quick else 1, asked.jobs_a_day):
                table.writerow([f"{row[name]:.6g}" if isinstance(row[name], float) else row[name] for name in COLUMNS])
    rows: Sequence[Mapping[str, Any]] = read(RESULTS / f"{NAME}.csv")
    summarise(rows)
    draw(rows)


if __name__ == "__main__":
    main()
