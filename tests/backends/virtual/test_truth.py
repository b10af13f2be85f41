"""The truth behind a virtual QPU: it keeps to what is published on average, and nothing publishes the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Operator, average_gate_fidelity

from backends import BACKENDS, clock, load
from backends.backend import TranspileOptions
from backends.calibration import Calibration
from backends.schedule import schedule
from backends.virtual.truth import Strengths, Truth
from circuits.counts import hellinger_fidelity
from circuits.family import Run

DAY_S = 86_400.0


def published(name: str = "virtual_hanoi") -> Calibration:
    calibration = load(name).device().calibration
    assert calibration is not None
    return calibration


CALIBRATION = published()
TRUTH = Truth("virtual_hanoi", CALIBRATION)


def after(
    *gates: tuple[str, tuple[int, ...]], barriers: bool = False, truth: Truth = TRUTH
) -> dict[int, list[tuple[float, list[int]]]]:
    """What the truth adds behind each of these gates: its first amplitude, and its qubits."""
    circuit = QuantumCircuit(27)
    for name, qubits in gates:
        getattr(circuit, name)(*qubits)
        if barriers:
            circuit.barrier()
    added = truth.after(circuit, schedule(circuit, CALIBRATION), range(27))
    return {
        number: [
            (abs(item.operation.to_matrix()[0, 0]), [circuit.find_bit(bit).index for bit in item.qubits])
            for item in items
        ]
        for number, items in added.items()
    }


@pytest.mark.parametrize(("name", "qubits"), [("sx", (3,)), ("x", (20,)), ("cx", (1, 2)), ("cx", (12, 13))])
def test_a_gate_turns_too_far_by_a_share_of_its_published_infidelity(name: str, qubits: tuple[int, ...]) -> None:
    circuit = QuantumCircuit(27)
    getattr(circuit, name)(*qubits)
    (turn,) = TRUTH.after(circuit, schedule(circuit, CALIBRATION), range(27))[0]
    extra = 1.0 - average_gate_fidelity(Operator(turn.operation))
    assert 0.0 < extra < TRUTH.strengths.over_rotation * CALIBRATION.gate_table[name, qubits].error


def test_neighbouring_gates_disturb_each_other_only_when_they_overlap() -> None:
    pair, neighbour, far = ("cx", (1, 2)), ("cx", (3, 5)), ("cx", (23, 24))
    assert [len(items) for items in after(pair, far).values()] == [1, 1]
    together = after(pair, neighbour)
    assert [qubits for _, qubits in together[1]] == [[3, 5], [3, 2]], "its own error, then the link between the pairs"
    assert [len(items) for items in after(pair, neighbour, barriers=True).values()] == [1, 1]


def test_a_device_keeps_its_faults_and_another_has_others() -> None:
    gates = [("sx", (qubit,)) for qubit in range(27)]
    tomorrow = Truth("virtual_hanoi", replace(CALIBRATION, taken_at=CALIBRATION.taken_at + DAY_S))
    assert after(*gates) == after(*gates, truth=tomorrow)
    assert after(*gates) != after(*gates, truth=Truth("virtual_cairo", CALIBRATION))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 26), st.floats(0, 400), st.floats(0, 400))
def test_readout_is_as_published_on_the_day_and_drifts_from_then_on(qubit: int, day: float, other: float) -> None:
    error = CALIBRATION.qubits[qubit].readout_error
    assert TRUTH.flips(qubit, CALIBRATION.taken_at) == (error, error)
    early, late = (TRUTH.flips(qubit, CALIBRATION.taken_at + days * DAY_S) for days in sorted((day, other)))
    assert early[0] == late[0] == error
    assert error <= early[1] <= late[1] <= 0.5


def test_what_is_measured_follows_the_clock() -> None:
    device = load("virtual_hanoi")
    circuit = QuantumCircuit(8)
    circuit.x(range(8))
    circuit.measure_all()
    prepared = device.prepare([circuit], TranspileOptions())

    def ones(hours: float) -> float:
        with clock.at(CALIBRATION.taken_at + 3600.0 * hours):
            counts = device.run(prepared, [Run(20_000)], seed=1).counts[0]
        return sum(bits.count("1") * number for bits, number in counts.items()) / 160_000

    assert ones(0.0) > ones(12.0) > ones(100.0)
    assert ones(12.0) == ones(12.0)


def test_the_truth_shows_in_counts_and_in_no_record() -> None:
    honest, hiding = load("fake_hanoi"), load("virtual_hanoi")
    seen, told = (msgspec.to_builtins(backend.device()) for backend in (hiding, honest))
    assert seen | {"name": "fake_hanoi", "opt_in": False, "availability": told["availability"]} == told
    circuit = QuantumCircuit(4)
    for _ in range(8):
        circuit.ry(0.4, range(4))
        circuit.cx([0, 2], [1, 3])
        circuit.cx(1, 2)
    circuit.measure_all()
    prepared = honest.prepare([circuit], TranspileOptions())
    with clock.at(CALIBRATION.taken_at):
        first, second = (backend.run(prepared, [Run(20_000)], seed=1).counts[0] for backend in (honest, hiding))
    assert 0.8 < hellinger_fidelity(first, second) < 0.995


def test_bodies_of_control_flow_turn_too_far_as_well() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.sx(0)
    turned = TRUTH.inside(circuit, [3])
    assert [item.name for item in turned.data[1].operation.blocks[0].data] == ["sx", "unitary"]


def test_no_device_has_one_unless_it_is_named() -> None:
    assert [name for name in BACKENDS if name.startswith("virtual_") and not load(name).device().opt_in] == []


def test_without_strength_there_is_no_truth() -> None:
    still = Truth("virtual_hanoi", CALIBRATION, Strengths(0.0, 0.0, 0.0, 0.0, 0.0))
    assert list(after(("cx", (1, 2)), ("cx", (3, 5)), truth=still).values()) == [[], []]
    assert still.flips(3, math.inf) == (CALIBRATION.qubits[3].readout_error,) * 2
