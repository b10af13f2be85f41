"""What Amazon Braket publishes about a QPU (GetDevice), turned into our records. Pure; no SDK, no network.

Three makers' documents are read, as amazon-braket-schemas 1.32 describes them: IQM and Rigetti publish errors per qubit
and pair, IonQ one mean for all. IQM's and Rigetti's gates are run as we write them (``verbatim``) on the qubits that we
choose; IonQ's compiler lowers what it gets. Qubits and pairs without figures, and pairs that are out of order, are left
out, so the provider's qubit numbers are kept beside ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from typing import Any

from backends.backend import Availability, Device
from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.energy import SUPERCONDUCTING_SYSTEM_POWER_W
from backends.errors import CalibrationMissing
from backends.ibm_calibration import DEAD_EDGE_ERROR
from backends.pricing import Price

ION_TRAP_SYSTEM_POWER_W = 5_000.0
"""A trapped-ion processor with lasers, vacuum and control (ours: a few racks, no dilution refrigerator; an order)."""

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_RANDOMIZED_BENCHMARKING = ("RANDOMIZED_BENCHMARKING", "SIMULTANEOUS_RANDOMIZED_BENCHMARKING")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Profile:
    """A device, and what it takes to speak to it.

    Attributes:
        arn: of the device.
        labels: the provider's number of each of our qubits.
        verbatim: it runs gates on qubits as written; otherwise its compiler chooses both.
    """

    arn: str
    labels: tuple[int, ...]
    verbatim: bool
    device: Device


@dataclass(frozen=True)
class _Maker:
    """How one maker's devices are spoken to.

    Attributes:
        one_qubit: Qiskit's names of the gates we send; ``virtual`` ones are changes of frame, free of time and error.
        two_qubit: the maker's name in lower case -> Qiskit's; where figures are uniform, the first that it takes.
        one_qubit_s, two_qubit_s, readout_s: where the device publishes no durations.
    """

    one_qubit: tuple[str, ...]
    two_qubit: Mapping[str, str]
    virtual: tuple[str, ...]
    verbatim: bool
    power_w: float
    one_qubit_s: float
    two_qubit_s: float
    readout_s: float


# Durations: ours, the order of magnitude of such devices; IQM and Rigetti publish none through Braket.
IQM = _Maker(("r",), {"cz": "cz"}, (), True, SUPERCONDUCTING_SYSTEM_POWER_W, 40e-9, 60e-9, 1.5e-6)
_RIGETTI = _Maker(
    one_qubit=("rz", "sx", "x"),  # its rx turns by multiples of pi/2 alone
    two_qubit={"iswap": "iswap", "cz": "cz"},
    virtual=("rz",),
    verbatim=True,
    power_w=SUPERCONDUCTING_SYSTEM_POWER_W,
    one_qubit_s=40e-9,
    two_qubit_s=70e-9,
    readout_s=1.5e-6,
)
_IONQ = _Maker(
    ("rz", "rx", "ry"), {"xx": "rxx", "cnot": "cx"}, ("rz",), False, ION_TRAP_SYSTEM_POWER_W, 130e-6, 970e-6, 150e-6
)
_MAKERS = {
    "braket.device_schema.iqm.iqm_device_capabilities": IQM,
    "braket.device_schema.rigetti.rigetti_device_capabilities": _RIGETTI,
    "braket.device_schema.ionq.ionq_device_capabilities": _IONQ,
}


def read_profile(
    name: str, arn: str, answer: Mapping[str, Any], *, price: Price, heard_at: float, sdk_version: str
) -> Profile:
    """Read the answer to GetDevice.

    Args:
        name: of the backend.
        arn: of the device that was asked for.
        answer: as boto3 gives it.
        price: of the price table; where the device publishes its price of a shot, that one replaces it.
        heard_at: seconds since the epoch.
        sdk_version: of amazon-braket-sdk.

    Raises:
        CalibrationMissing: the document is of another maker, or lacks what its schema promises.
    """
    try:
        told = json.loads(answer["deviceCapabilities"])
        maker = _maker(name, told["braketSchemaHeader"]["name"])
        action = told["action"]["braket.ir.openqasm.program"]
        service, paradigm = told["service"], told["paradigm"]
        taken_at = _timestamp(service.get("updatedAt")) or heard_at
        labels, calibration = (_uniform if maker is _IONQ else individual)(told, maker, taken_at)
        gates = {gate.gate for gate in calibration.gates}
        pairs = {(min(gate.qubits), max(gate.qubits)) for gate in calibration.gates if len(gate.qubits) == 2}
        device = Device(
            name=name,
            kind="qpu",
            num_qubits=len(labels),
            max_active_qubits=len(labels),
            basis_gates=tuple(gate for gate in (*maker.one_qubit, *maker.two_qubit.values()) if gate in gates),
            coupling=None if paradigm["connectivity"]["fullyConnected"] else tuple(sorted(pairs)),
            clifford_only=False,
            dynamic=False,
            max_gates=None,
            calibration=calibration,
            cost_curve=None,
            price=_price(price, service),
            power_w=maker.power_w,
            sdk_version=sdk_version,
            opt_in=True,
            max_shots=int(service["shotsRange"][1]),
            availability=read_availability(answer, service["executionWindows"], heard_at),
        )
        verbatim = maker.verbatim and "verbatim" in (action.get("supportedPragmas") or ())
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise CalibrationMissing(
            f"{name}: wanted the properties of a gate-model QPU, as Amazon Braket publishes them, of {arn}; got one "
            f"that lacks or garbles {error}: ask again later, or look at it with `aws braket get-device`"
        ) from error
    return Profile(arn, labels, verbatim, device)


def _maker(name: str, schema: str) -> _Maker:
    if schema not in _MAKERS:
        raise CalibrationMissing(
            f"{name}: wanted a device of {', '.join(key.split('.')[2] for key in _MAKERS)}, got one that describes "
            f"itself as {schema!r}: name another device's ARN"
        )
    return _MAKERS[schema]


def _price(price: Price, service: Mapping[str, Any]) -> Price:
    """The device's own price of a shot is newer than any table; what a task costs it does not tell."""
    cost = service.get("deviceCost") or {}
    if cost.get("unit") != "shot":
        if not price.per_shot_usd:
            raise ValueError("the price of a shot, which the price table does not have either")
        return price
    asked = service.get("updatedAt") or "an unknown day"
    return replace(
        price,
        per_shot_usd=float(cost["price"]),
        source=f"per shot: published by the device through Amazon Braket, as of {asked}; the rest: {price.source}",
    )


# --- calibration ------------------------------------------------------------------------------------------------------


def individual(told: Mapping[str, Any], maker: _Maker, taken_at: float) -> tuple[tuple[int, ...], Calibration]:
    """Errors per qubit and pair, from what a device tells with standardized properties (versions 1 and 2).

    Returns:
        The device's own numbers of its working qubits, and their calibration in that order.
    """
    published = told["standardized"]
    qubits: dict[int, QubitCalibration] = {}
    one_qubit_error: dict[int, float] = {}
    for label, entry in sorted(published["oneQubitProperties"].items(), key=lambda item: int(item[0])):
        fidelity = {item["fidelityType"]["name"]: float(item["fidelity"]) for item in entry["oneQubitFidelity"]}
        benchmark = next((fidelity[kind] for kind in _RANDOMIZED_BENCHMARKING if kind in fidelity), None)
        if benchmark is None or "READOUT" not in fidelity:
            continue  # a qubit without figures is out of order
        one_qubit_error[int(label)] = 1.0 - benchmark
        qubits[int(label)] = QubitCalibration(
            t1_s=_seconds(entry["T1"]),
            t2_s=_seconds(entry["T2"]),
            readout_error=1.0 - fidelity["READOUT"],
            readout_duration_s=maker.readout_s,
        )
    labels = tuple(qubits)
    place = {label: index for index, label in enumerate(labels)}
    gates = [gate for label in labels for gate in _one_qubit_gates(maker, place[label], one_qubit_error[label])]
    for pair, entry in sorted(published["twoQubitProperties"].items()):
        ends = [place[int(label)] for label in pair.split("-") if int(label) in place]
        for item in entry["twoQubitGateFidelity"]:
            gate, error = maker.two_qubit.get(item["gateName"].lower()), 1.0 - float(item["fidelity"])
            if gate is not None and error < DEAD_EDGE_ERROR and len(ends) == 2:
                gates += [GateCalibration(gate, turn, error, maker.two_qubit_s) for turn in permutations(ends)]
    return labels, Calibration(taken_at, tuple(qubits.values()), tuple(gates))


def _uniform(told: Mapping[str, Any], maker: _Maker, taken_at: float) -> tuple[tuple[int, ...], Calibration]:
    """One mean error for all qubits, and one for all pairs: each can meet each."""
    provider = told["provider"]
    fidelity, timing = provider["fidelity"], provider["timing"]
    qubit = QubitCalibration(
        t1_s=float(timing["T1"]),
        t2_s=float(timing["T2"]),
        readout_error=1.0 - float(fidelity["spam"]["mean"]),
        readout_duration_s=float(timing.get("readout", maker.readout_s)),
    )
    measured = replace(
        maker,
        one_qubit_s=float(timing.get("1Q", maker.one_qubit_s)),
        two_qubit_s=float(timing.get("2Q", maker.two_qubit_s)),
    )
    labels = tuple(range(int(told["paradigm"]["qubitCount"])))
    one_error, two_error = 1.0 - float(fidelity["1Q"]["mean"]), 1.0 - float(fidelity["2Q"]["mean"])
    gates = [gate for place in labels for gate in _one_qubit_gates(measured, place, one_error)]
    operations = told["action"]["braket.ir.openqasm.program"]["supportedOperations"]
    gate = next(ours for theirs, ours in maker.two_qubit.items() if theirs in operations)
    gates += [GateCalibration(gate, pair, two_error, measured.two_qubit_s) for pair in permutations(labels, 2)]
    return labels, Calibration(taken_at, (qubit,) * len(labels), tuple(gates))


def _one_qubit_gates(maker: _Maker, place: int, error: float) -> Iterator[GateCalibration]:
    for gate in maker.one_qubit:
        free = gate in maker.virtual
        yield GateCalibration(gate, (place,), 0.0 if free else error, 0.0 if free else maker.one_qubit_s)


def _seconds(published: Mapping[str, Any]) -> float:
    return float(published["value"]) * _SECONDS[published["unit"].lower()]


def _timestamp(text: str | None) -> float | None:
    """Seconds since the epoch; Braket writes UTC, with and without saying so."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


# --- availability -----------------------------------------------------------------------------------------------------


def read_availability(answer: Mapping[str, Any], windows: Sequence[Mapping[str, Any]], heard_at: float) -> Availability:
    """Whether it takes work. Outside its windows an online device queues what it gets: it is paused until the next.

    Args:
        answer: of GetDevice.
        windows: when it begins work, weekly, UTC.
        heard_at: seconds since the epoch.
    """
    status = answer["deviceStatus"]
    queued = [
        int("".join(filter(str.isdigit, queue["queueSize"])) or 0)  # Braket writes ">4000" of a long queue
        for queue in answer.get("deviceQueueInfo", ())
        if queue["queue"] == "QUANTUM_TASKS_QUEUE"
    ]
    heard = Availability(pending_jobs=sum(queued) if queued else None, heard_at=heard_at)
    if status != "ONLINE":
        return replace(heard, state="offline", why=f"Amazon Braket says {status}")
    opens_at = next_opening(windows, heard_at)
    if opens_at is None:
        return replace(heard, state="offline", why="Amazon Braket publishes no hours at which it runs")
    if opens_at > heard_at:
        begins = datetime.fromtimestamp(opens_at, UTC).strftime("%A %H:%M")
        return replace(heard, state="paused", why=f"it begins work again on {begins} UTC", opens_at=opens_at)
    return heard


def next_opening(windows: Sequence[Mapping[str, Any]], moment: float) -> float | None:
    """When a device with these weekly windows begins work: ``moment`` itself if it is open; None if never.

    A window that ends no later than it starts goes on into the next day; one on a day that we do not know is left out.
    """
    now = datetime.fromtimestamp(moment, UTC)
    opening: list[float] = []
    for window in windows:
        start, end = time.fromisoformat(window["windowStartHour"]), time.fromisoformat(window["windowEndHour"])
        for offset in range(-1, 8):
            day = (now + timedelta(days=offset)).date()
            if not _is_on(window["executionDay"], day.weekday()):
                continue
            opens = datetime.combine(day, start, UTC)
            closes = datetime.combine(day, end, UTC) + timedelta(days=1 if end <= start else 0)
            if closes > now:
                opening.append(opens.timestamp() if opens > now else moment)  # a datetime does not hold all of it
    return min(opening, default=None)


def _is_on(execution_day: str, weekday: int) -> bool:
    """Braket's name of one or more days of the week; Monday is 0."""
    groups = {"Everyday": range(7), "Weekdays": range(5), "Weekend": range(5, 7)}
    return weekday in groups.get(execution_day, ()) or execution_day == _WEEKDAYS[weekday]
