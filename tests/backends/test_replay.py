"""ibm_perth replayed: it publishes a calibration a day, does something between two of them, and drifts as it did."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from backends import clock, load
from backends.backend import TranspileOptions
from backends.errors import UnsupportedCircuit
from backends.recorded import DAY_S
from backends.replay import actual, published
from circuits.family import Run

OPTIONS = TranspileOptions()
BACKEND = load("ibm_perth_replay")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def test_a_record_holds_for_a_day_and_says_when_it_was_made() -> None:
    with clock.at(moment("2023-02-03T00:00:01")):
        morning = BACKEND.device()
    with clock.at(moment("2023-02-03T23:59")):
        evening = BACKEND.device()
    with clock.at(moment("2023-02-04T00:00:01")):
        next_day = BACKEND.device()
    assert morning.calibration == evening.calibration
    assert morning.calibration is not None
    assert morning.calibration.taken_at == moment("2023-02-03")
    assert morning.target_version == evening.target_version != next_day.target_version
    assert morning.availability != evening.availability, "the queue is another one every few minutes"
    assert morning.opt_in
    assert morning.kind == "emulated_qpu"


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 2e9))
def test_what_it_does_lists_what_it_publishes_and_is_something_else(at: float) -> None:
    says, does = published(at), actual(at)
    assert (does.coupling, does.basis_gates) == (says.coupling, says.basis_gates)
    assert [(g.gate, g.qubits, g.duration_s) for g in does.calibration.gates] == [
        (g.gate, g.qubits, g.duration_s) for g in says.calibration.gates
    ]
    assert does.calibration.qubits != says.calibration.qubits
    assert all(0.0 <= gate.error < 1.0 for gate in does.calibration.gates)
    assert all(0.0 < qubit.readout_error < 0.5 for qubit in does.calibration.qubits)


def test_it_goes_from_one_calibration_to_the_next() -> None:
    """Averaged over the day's hours, the distance to the day before grows as that to the next one shrinks."""

    def distance(at: float, to: float) -> float:
        does, says = (snapshot(when).calibration.qubits for snapshot, when in ((actual, at), (published, to)))
        return sum(abs(math.log(a.t1_s / b.t1_s)) for a, b in zip(does, says, strict=True))

    days = [moment("2023-01-10") + DAY_S * day for day in range(30)]
    early, late = ([day + hour * 3600.0 for day in days] for hour in (1, 22))
    assert sum(map(distance, early, days)) < sum(map(distance, late, days))
    ahead = [day + DAY_S for day in days]
    assert sum(map(distance, late, ahead)) < sum(map(distance, early, ahead))


def test_within_an_hour_a_run_can_be_repeated_and_later_it_is_another_device() -> None:
    at = moment("2023-03-31T10:00")
    found = []
    for when in (at, at + 600.0, at + 3 * 3600.0):
        with clock.at(when):
            prepared = BACKEND.prepare([ghz(3)], OPTIONS)
            found.append(BACKEND.run(prepared, [Run(20_000)], seed=4))
    assert found[0].counts == found[1].counts
    assert found[0].counts != found[2].counts
    assert found[0].device_s == found[2].device_s


@pytest.mark.parametrize(("day", "success"), [("2023-01-05", 0.785), ("2023-03-31", 0.732), ("2023-06-30", 0.772)])
def test_seven_entangled_qubits_fare_as_qiskits_model_of_that_day_says(day: str, success: float) -> None:
    """Success P(0…0) + P(1…1); the figures are those days' records in Qiskit's own noise model (second-hand)."""
    with clock.at(moment(day)):
        counts = BACKEND.run(BACKEND.prepare([ghz(7)], OPTIONS), [Run(8000)], seed=1).counts[0]
    assert (counts["0" * 7] + counts["1" * 7]) / 8000 == pytest.approx(success, abs=0.03)


def test_on_a_day_without_two_qubit_gates_it_says_so() -> None:
    with clock.at(moment("2023-06-25T12:00")):
        with pytest.raises(UnsupportedCircuit, match="cannot be fitted to ibm_perth_replay"):
            BACKEND.prepare([ghz(2)], OPTIONS)
        assert BACKEND.prepare([ghz(1)], OPTIONS)
