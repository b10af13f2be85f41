"""Emulated Google processors: against Cirq's own virtual machine, and with programs written in Cirq."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import SuperOp, average_gate_fidelity

from backends import load
from backends.backend import TranspileOptions
from backends.google_calibration import read_grid
from backends.noise import gate_error
from backends.virtual import pieces
from circuits.counts import hellinger_fidelity
from circuits.family import Run
from circuits.program import Program

SHOTS = 20_000


def echo(num_qubits: int) -> QuantumCircuit:
    """Chains of CX that undo each other: errors of two-qubit gates add up, coherent ones in amplitude."""
    circuit = QuantumCircuit(num_qubits, num_qubits)
    circuit.ry(0.9, range(num_qubits))
    for _ in range(4):
        for qubit in range(num_qubits - 1):
            circuit.cx(qubit, qubit + 1)
    circuit.ry(-0.9, range(num_qubits))
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def on_cirqs_virtual_machine(processor: str, prepared: QuantumCircuit) -> dict[str, int]:
    cirq = pytest.importorskip("cirq", reason="pip install 'qorch[cirq]'")
    factory = pytest.importorskip("cirq_google", reason="pip install cirq-google").engine.virtual_engine_factory
    grid = [cirq.GridQubit(*place) for place in read_grid(processor)]
    gates: dict[str, Any] = {"sqrt_iswap": cirq.ISWAP**0.5, "cz": cirq.CZ}
    circuit, measured = cirq.Circuit(), {}
    for item in prepared.data:
        qubits = [grid[place] for place in sorted(prepared.find_bit(qubit).index for qubit in item.qubits)]
        if item.name == "measure":
            measured[prepared.find_bit(item.clbits[0]).index] = qubits[0]
        else:
            gate = gates.get(item.name)
            circuit.append((gate or cirq.PhasedXZGate.from_matrix(item.operation.to_matrix())).on(*qubits))
    circuit.append(cirq.Moment(cirq.measure(*(measured[bit] for bit in sorted(measured, reverse=True)), key="m")))
    engine = factory.create_default_noisy_quantum_virtual_machine(
        processor, simulator_class=cirq.DensityMatrixSimulator, seed=5
    )
    bits = engine.get_processor(processor).get_sampler().run(circuit, repetitions=SHOTS).measurements["m"]
    values, numbers = np.unique(bits, axis=0, return_counts=True)
    return {"".join(map(str, row)): int(n) for row, n in zip(values.tolist(), numbers.tolist(), strict=True)}


@pytest.mark.parametrize(("processor", "layout"), [("rainbow", (15, 16, 17)), ("willow_pink", (30, 31, 32))])
def test_counts_are_those_of_cirqs_virtual_machine(processor: str, layout: tuple[int, ...]) -> None:
    backend = load(f"fake_{processor}")
    prepared = backend.prepare([echo(3)], TranspileOptions(initial_layout=layout))[0]
    ours, again = (backend.run([prepared], [Run(SHOTS)], seed=seed).counts[0] for seed in (1, 2))
    theirs = on_cirqs_virtual_machine(processor, prepared)
    floor = hellinger_fidelity(ours, again)
    assert floor < 1.0
    assert hellinger_fidelity(ours, theirs) > floor - 1e-3
    assert hellinger_fidelity(ours, {"000": 1.0}) < 0.99, "the errors are seen"


@pytest.mark.parametrize("processor", ["rainbow", "weber", "willow_pink"])
def test_a_coupler_with_its_coherent_error_has_the_published_infidelity(processor: str) -> None:
    """Except where the coherent part and relaxation alone are more."""
    calibration = load(f"fake_{processor}").device().calibration
    assert calibration is not None
    gates = [gate for gate in calibration.gates if gate.fsim is not None][:40:8]
    off = []
    for gate in gates:
        channel = gate_error(gate, tuple(calibration.qubits[qubit] for qubit in gate.qubits), one_map=True)
        off.append(1.0 - average_gate_fidelity(SuperOp(channel)) - gate.error)
    assert min(off) == pytest.approx(0.0, abs=1e-9)
    assert sorted(off)[len(off) // 2] < 1e-9


def test_trajectories_sample_the_density_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = load("fake_rainbow").prepare([echo(3)], TranspileOptions())
    exact = load("fake_rainbow").run(prepared, [Run(40_000)], seed=1)
    monkeypatch.setattr(pieces, "DENSITY_MATRIX_QUBITS", 0)
    sampled = load("fake_rainbow").run(prepared, [Run(4_000)], seed=1)
    assert (exact.method, sampled.method) == ("density_matrix", "trajectories")
    assert hellinger_fidelity(sampled.counts[0], exact.counts[0]) > 0.997


def test_a_one_is_misread_more_often_than_a_zero() -> None:
    backend = load("fake_weber")
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    prepared = backend.prepare([circuit], TranspileOptions(initial_layout=(20, 21)))
    counts = backend.run(prepared, [Run(SHOTS)], seed=1).counts[0]
    calibration = backend.device().calibration
    assert calibration is not None
    zero_read = sum(number for bits, number in counts.items() if bits[1] == "0") / SHOTS
    one_read = sum(number for bits, number in counts.items() if bits[0] == "1") / SHOTS
    assert zero_read == pytest.approx(calibration.qubits[20].misread[1], abs=0.008)
    assert one_read == pytest.approx(calibration.qubits[21].misread[0], abs=0.005)


@pytest.mark.parametrize("name", ["fake_rainbow", "fake_weber", "fake_willow_pink"])
def test_a_program_written_in_cirq_runs_there(name: str) -> None:
    """With Google's own words: grid qubits and a power of iSWAP."""
    cirq = pytest.importorskip("cirq", reason="pip install 'qorch[cirq]'")
    first, second = cirq.GridQubit(3, 3), cirq.GridQubit(3, 4)
    program = cirq.Circuit(
        cirq.X(first), cirq.ISWAP(first, second) ** 0.5, cirq.ISWAP(first, second) ** 0.5, cirq.measure(first, second)
    )
    backend = load(name)
    prepared = backend.prepare([Program.from_any(program).load().build()], TranspileOptions())
    counts = backend.run(prepared, [Run(400)], seed=1).counts[0]
    assert counts["10"] > 340, "the excitation went to the second qubit"
