"""What real machines published: half a year of daily calibrations of ibm_perth, ten days of queues of twelve machines.

Source of both: the data that the authors of Qonductor (SC'25) published with their paper, as ``data/qonductor.NOTICE``
says. A record is asked about any moment: beyond its ends it is repeated, forwards and backwards, in whole days, so that
the hour of the day stays what it was (ours).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.errors import CalibrationMissing
from backends.virtual.snapshot import DEAD_EDGE_ERROR, Snapshot

DAY_S = 86_400.0
_PERTH, _QUEUES = "ibm_perth_2023h1.json", "ibm_queues_2023_11.json"
_COLUMNS = ("t1_us", "t2_us", "readout_error", "sx_error", "cx_error")
_RESET_S = 828.4e-9
"""Of a reset (second-hand: ibm_perth in May 2024; the record has none)."""


@cache
def _read(name: str) -> Any:
    return json.loads(files("backends").joinpath("data", name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Place:
    """Where a moment lies in a record.

    Attributes:
        index: of the last entry that had been made by then.
        made_at: when it was made, in the time that was asked about, seconds since the epoch.
    """

    index: int
    made_at: float


def place(moment: float, *, begins: float, step_s: float, number: int) -> Place:
    """Find the moment in a record of ``number`` entries, one every ``step_s`` seconds from ``begins`` on."""
    steps = (moment - begins) // step_s
    return Place(int(steps % number), begins + steps * step_s)


# ── ibm_perth, day by day ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class PerthDay:
    """What one calibration of ibm_perth measured: of its 7 qubits, and of its 6 pairs in the order of the record.

    Times in seconds; ``sx_error`` and ``cx_error`` are average gate infidelities, 1.0 where a calibration had failed.
    """

    t1_s: tuple[float, ...]
    t2_s: tuple[float, ...]
    readout_error: tuple[float, ...]
    sx_error: tuple[float, ...]
    cx_error: tuple[float, ...]


def perth_place(moment: float) -> Place:
    """The calibration that was the newest at that moment. Each is taken as of midnight UTC of its day (ours)."""
    record = _read(_PERTH)
    begins = datetime.fromisoformat(record["first_day"]).replace(tzinfo=UTC).timestamp()
    return place(moment, begins=begins, step_s=DAY_S, number=len(record["t1_us"]))


def perth_day(index: int) -> PerthDay:
    """The calibration of a day of the record, counted from 0."""
    row = {name: record[index] for name, record in _read(_PERTH).items() if name in _COLUMNS}
    times_s = (tuple(value * 1e-6 for value in row[name]) for name in ("t1_us", "t2_us"))
    return PerthDay(*times_s, *(tuple(row[name]) for name in _COLUMNS[2:]))


def perth_snapshot(day: PerthDay, taken_at: float) -> Snapshot:
    """The device with these figures: Falcon r5.11H, 7 qubits in the shape of an H.

    A pair whose calibration failed is left out, as everywhere here; on 2023-06-25 that was every pair.
    """
    record = _read(_PERTH)
    readout_s, sx_s = record["readout_ns"] * 1e-9, record["sx_ns"] * 1e-9
    gates = []
    for qubit, error in enumerate(day.sx_error):
        gates += [GateCalibration(gate, (qubit,), error, sx_s) for gate in ("id", "sx", "x")]
        gates += [GateCalibration("rz", (qubit,), 0.0, 0.0), GateCalibration("reset", (qubit,), 0.0, _RESET_S)]
    live = []
    for (one, other), (there_ns, back_ns), error in zip(record["edges"], record["cx_ns"], day.cx_error, strict=True):
        if error < DEAD_EDGE_ERROR:
            live.append((one, other))
            gates.append(GateCalibration("cx", (one, other), error, there_ns * 1e-9))
            gates.append(GateCalibration("cx", (other, one), error, back_ns * 1e-9))
    measured = zip(day.t1_s, day.t2_s, day.readout_error, strict=True)
    qubits = tuple(QubitCalibration(*values, readout_duration_s=readout_s) for values in measured)
    return Snapshot(
        num_qubits=len(qubits),
        basis_gates=(*(("cx",) if live else ()), "id", "rz", "sx", "x", "reset"),
        coupling=tuple(live),
        dynamic=True,
        calibration=Calibration(taken_at, qubits, tuple(gates)),
    )


# ── queues ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def pending_jobs(machine: str, moment: float) -> tuple[int, float]:
    """Jobs that waited at an IBM machine, of all its users, and when that was recorded: up to five minutes before.

    Where the record has a hole, what was recorded before it.

    Raises:
        CalibrationMissing: nobody recorded that machine; the message names those that were.
    """
    record = _read(_QUEUES)
    series = record["pending_jobs"].get(machine)
    if series is None:
        recorded = ", ".join(record["pending_jobs"])
        raise CalibrationMissing(f"wanted a machine whose queue was recorded ({recorded}), got {machine!r}")
    begins, step_s = datetime.fromisoformat(record["begins"]).timestamp(), record["step_s"]
    found = place(moment, begins=begins, step_s=step_s, number=len(series))
    back = next(back for back in range(len(series)) if series[found.index - back] is not None)
    return series[found.index - back], found.made_at - back * step_s
