"""The same seven-qubit circuit once a recorded day on the replayed ibm_perth: what was predicted, and what happened.

    python examples/benchmarks/replayed_half_year.py              # twelve minutes; --seconds-per-day sets the pace
    python examples/benchmarks/replayed_half_year.py --draw       # the picture and the summary again, from the CSV

An embedded orchestrator lives through 2023-01-01 to 2023-06-30 on a fast clock; a GHZ state is submitted at about
noon of each day. Writes ``results/replayed_half_year.csv`` (a row a day), ``…_summary.csv`` (mean errors with 95 %
bootstrap intervals) and ``…png``. Ctrl-C keeps the days that are done. The queue is that of November 2023, repeated:
nobody recorded the half-year's own.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evidence import RESULTS, results
from qiskit import QuantumCircuit
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1]))

from report import interval

from orchestrator import Client
from orchestrator.errors import JobFailed
from orchestrator.experiment import Experiment
from orchestrator.job import Times
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore

NAME, BACKEND = "replayed_half_year", "ibm_perth_replay"
NUM_DAYS, SHOTS, SEED = 181, 4000, 7
FIRST_NOON = datetime(2023, 1, 1, 12, tzinfo=UTC)
COLUMNS = (
    *("day", "moment", "from_calibration", "expected", "measured", "success"),
    *("announced_queue_s", "expected_queue_s", "met_queue_s", "device_s", "service_s", "excluded"),
)
SUMMARY = ("prediction", "quantity", "days", "mean", "low_95", "high_95")
FIGURES = COLUMNS[2:-1]
TIMEOUT_S = 300.0
START_UP_S = 15.0
LATE = 0.45
"""Part of a day after noon in which its job may still be submitted."""

Row = dict[str, Any]


def ghz(num_qubits: int) -> QuantumCircuit:
    """All zeros and all ones."""
    circuit = QuantumCircuit(num_qubits, name=f"ghz_{num_qubits}")
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def one_day(client: Client, day: datetime) -> Row:
    """Submit, wait, and put what was predicted beside what was measured."""
    job = client.submit(ghz(7), shots=SHOTS, seed=SEED, pin=BACKEND)
    row: Row = dict.fromkeys(COLUMNS, "") | {"day": f"{day:%Y-%m-%d}"}
    try:
        found = job.result(TIMEOUT_S)
    except JobFailed as error:
        return row | {"excluded": str(error).rpartition("replay: ")[2]}
    decision = client.why(job.id)
    if decision is None:
        raise RuntimeError(f"job {job.id} is done and nobody decided it")
    (candidate,) = (each for each in decision.request.candidates if each.backend == BACKEND)
    measured = found.measurement
    return row | {
        "moment": f"{datetime.fromtimestamp(measured.at or math.nan, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "from_calibration": candidate.prior.fidelity,
        "expected": found.estimate.fidelity,
        "measured": measured.fidelity,
        "success": (found.counts.get("0" * 7, 0) + found.counts.get("1" * 7, 0)) / SHOTS,
        "announced_queue_s": candidate.prior.queue_s,
        "expected_queue_s": found.estimate.queue_s,
        "met_queue_s": measured.queue_s,
        "device_s": measured.device_s,
        "service_s": measured.service_s,
    }


def half_year(folder: Path, day_s: float) -> Iterator[Row]:
    """Live through the record, a day in ``day_s`` seconds of the wall."""
    settings = Settings(
        data_dir=folder,
        backends=(BACKEND,),
        experiment_start=FIRST_NOON - timedelta(seconds=86_400.0 / day_s * START_UP_S),
        experiment_speed=86_400.0 / day_s,
        times=Times.EMULATED,
        heartbeat_s=0.05 * day_s,
    )
    with Client(settings=settings) as client:
        client.submit(ghz(2), shots=SHOTS, pin=BACKEND).result(TIMEOUT_S)  # imports are no part of any day
        store = SqlStore(settings.resolved_store_url)
        clock = Experiment(store, settings)
        for number in track(range(NUM_DAYS), description="days"):
            noon = FIRST_NOON + timedelta(days=number)
            ahead_s = (noon.timestamp() - clock.moment()) / settings.experiment_speed
            if ahead_s < -LATE * day_s:
                print(f"{noon:%Y-%m-%d} has passed before this machine was free; a slower pace would see it")
                continue
            threading.Event().wait(max(0.0, ahead_s))
            yield one_day(client, noon)
        store.close()


def errors(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[float]]]:
    """What is compared, its unit, and its value of each day."""
    for name, column in (("calibration alone", "from_calibration"), ("calibration and measurements", "expected")):
        yield name, "absolute error of fidelity", [abs(row[column] - row["measured"]) for row in rows]
    first = rows[0]["from_calibration"]
    yield "the first day's calibration", "absolute error of fidelity", [abs(first - row["measured"]) for row in rows]
    for name, column in (("announced", "announced_queue_s"), ("announced and measurements", "expected_queue_s")):
        factors = [abs(math.log((row[column] + 60.0) / (row["met_queue_s"] + 60.0))) for row in rows]
        yield name, "|ln| of queue plus a minute, expected over met", factors


def summarise(rows: Sequence[Row]) -> None:
    """Write and print means with their intervals."""
    with results(f"{NAME}_summary", SUMMARY, seeds=str(SEED)) as table:
        for name, unit, values in errors(rows):
            low, high = interval(values)
            table.writerow([name, unit, len(values), *(f"{v:.4f}" for v in (sum(values) / len(values), low, high))])
            print(f"{name:30} {unit:45} {sum(values) / len(values):.4f}  ({low:.4f} to {high:.4f})")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Fidelity and waiting over the half-year."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import dates
    from matplotlib import pyplot as plt

    done = [row if not row["excluded"] else row | dict.fromkeys(FIGURES, math.nan) for row in rows]
    days = [datetime.fromisoformat(row["moment"] or f"{row['day']}T12:00:00Z") for row in rows]
    figure, (above, below) = plt.subplots(2, 1, figsize=(10, 7), sharex=True, layout="constrained")
    above.plot(days, [row["from_calibration"] for row in done], color="#a9b4c0", lw=1.4, label="calibration alone")
    above.plot(days, [row["expected"] for row in done], color="#35618f", lw=1.4, label="corrected by measurements")
    above.plot(days, [row["measured"] for row in done], "o", color="#c8553d", ms=3.2, label="measured")
    above.set_ylabel("fidelity of seven entangled qubits")
    hours = 1 / 3600.0
    below.plot(days, [row["announced_queue_s"] * hours for row in done], color="#a9b4c0", lw=1.4, label="announced")
    expected = [row["expected_queue_s"] * hours for row in done]
    below.plot(days, expected, color="#35618f", lw=1.4, label="corrected by measurements")
    below.plot(days, [row["met_queue_s"] * hours for row in done], "o", color="#c8553d", ms=3.2, label="met")
    below.set_ylabel("emulated wait in front of the device, hours")
    below.set_ylim(bottom=0)
    down = [datetime.fromisoformat(row["day"]).replace(tzinfo=UTC) for row in rows if row["excluded"]]
    for number, day in enumerate(down):
        for axes in (above, below):
            label = "a coupling without calibration" if number == 0 and axes is above else None
            axes.axvspan(day, day + timedelta(days=1), color="#efe6d5", lw=0, label=label, zorder=0)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6", lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, ncols=4, fontsize=9, loc="lower left", bbox_to_anchor=(0.0, 1.0))
    below.xaxis.set_major_locator(dates.MonthLocator())
    below.xaxis.set_major_formatter(dates.DateFormatter("%B"))
    below.set_xlim(FIRST_NOON - timedelta(days=1), FIRST_NOON + timedelta(days=NUM_DAYS))
    above.set_title(f"ibm_perth replayed, 2023: {SHOTS} shots a day", loc="right", fontsize=10, color="#666666", pad=26)
    figure.savefig(path, dpi=140)


def read(path: Path) -> list[Row]:
    """The rows of an earlier run."""
    with path.open() as file:
        found = csv.DictReader(line for line in file if not line.startswith("#"))
        texts = ("day", "moment", "excluded")
        return [{key: v if key in texts or not v else float(v) for key, v in row.items()} for row in found]


def main() -> None:
    """Live through it, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds-per-day", type=float, default=4.0, help="of the wall")
    parser.add_argument("--draw", action="store_true", help="from the CSV that is there")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    path = RESULTS / f"{NAME}.csv"
    if not asked.draw:
        with (
            tempfile.TemporaryDirectory() as folder,
            results(NAME, COLUMNS, seeds=str(SEED)) as table,
            suppress(KeyboardInterrupt),
        ):
            for row in half_year(Path(folder), asked.seconds_per_day):
                table.writerow([f"{v:.5g}" if isinstance(v, float) else v for v in row.values()])
    rows = read(path)
    summarise([row for row in rows if not row["excluded"]])
    draw(rows, path.with_suffix(".png"))


if __name__ == "__main__":
    main()
