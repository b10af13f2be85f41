"""Aer's engines at their edges: width, batching, fusion, failures."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from backends import load
from backends.aer import Aer, fuses
from backends.backend import CostCurve, TranspileOptions
from backends.errors import ExecutionFailed
from circuits.facts import Bonds
from circuits.family import Run

OPTIONS = TranspileOptions()


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


@pytest.mark.parametrize("name", ["aer_mps", "aer_stabilizer", "aer_density_matrix"])
def test_the_announced_width_runs(name: str) -> None:
    backend = load(name)
    width = backend.device().num_qubits
    counts = backend.run(backend.prepare([ghz(width)], OPTIONS), [Run(50)], seed=1).counts[0]
    assert set(counts) == {"0" * width, "1" * width}


def test_many_runs_of_one_shot_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load("aer_statevector")
    assert isinstance(backend, Aer)
    theta = Parameter("theta")
    circuit = QuantumCircuit(1, 1)
    circuit.ry(theta, 0)
    circuit.measure(0, 0)
    prepared = backend.prepare([circuit], OPTIONS)
    calls = []
    simulate = backend._simulator.run
    monkeypatch.setattr(backend._simulator, "run", lambda *args, **kwargs: calls.append(1) or simulate(*args, **kwargs))
    done = backend.run(prepared, [Run(1, 0, {"theta": 0.01 * index}) for index in range(50)], seed=1)
    assert len(calls) == 1
    assert len(done.counts) == 50


def test_pooled_shots_are_independent() -> None:
    backend = load("aer_statevector")
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    done = backend.run(backend.prepare([circuit], OPTIONS), [Run(1)] * 400, seed=9)
    ones = sum(counts.get("1", 0) for counts in done.counts)
    assert 140 < ones < 260
    first_half = sum(counts.get("1", 0) for counts in done.counts[:200])
    assert 60 < first_half < 140, "outcomes are not sorted"


def test_wide_reversible_circuits_are_not_fused() -> None:
    adder = QuantumCircuit(16)
    for qubit in range(14):
        adder.ccx(qubit, qubit + 1, qubit + 2)
    adder.h(0)
    assert not fuses(adder)
    layered = QuantumCircuit(16)
    layered.ry(0.1, range(16))
    layered.cx(range(15), range(1, 16))
    assert fuses(layered)


def test_bad_runs_are_named() -> None:
    backend = load("aer_statevector")
    prepared = backend.prepare([ghz(2)], OPTIONS)
    with pytest.raises(ExecutionFailed, match=r"run 1: wanted a circuit in 0\.\.0, got 3"):
        backend.run(prepared, [Run(1), Run(1, circuit=3)], seed=0)
    with pytest.raises(ExecutionFailed, match="run 0: wanted shots >= 1, got 0"):
        backend.run(prepared, [Run(0)], seed=0)


def test_aers_own_words_reach_the_caller(capfd: pytest.CaptureFixture[str]) -> None:
    unfit = QuantumCircuit(1, 1)
    unfit.rz(0.3, 0)
    unfit.measure(0, 0)
    with pytest.raises(ExecutionFailed, match="invalid parameters"):
        load("aer_stabilizer").run([unfit], [Run(1)], seed=0)
    capfd.readouterr()


def test_a_cost_curve_adds_up_and_changes_its_method_with_the_width() -> None:
    wide = CostCurve(overhead_s=1.0, shot_s=0.0, gate_s=0.0, qubit_exponent=0.0, shot_gate_s=0.1, shot_amplitude_s=0.01)
    curve = CostCurve(
        overhead_s=0.5, shot_s=0.1, gate_s=0.25, qubit_exponent=2.0, fixed_gate_s=2.0, up_to_qubits=3, beyond=wide
    )
    assert curve.run_s(3, 10, 20) == pytest.approx(0.5 + 2.0 + 10 * (2.0 + 0.25 * 64))
    assert curve.run_s(4, 10, 20) == pytest.approx(1.0 + 200 * (0.1 + 0.16))


def test_a_cost_curve_of_matrix_product_states_follows_their_bonds() -> None:
    curve = CostCurve(
        overhead_s=1.0, shot_s=0.0, gate_s=0.0, qubit_exponent=0.0, shot_qubit_s=0.5, bond_gate_s=0.01, bond_shot_s=0.1
    )
    assert curve.sees_bonds
    assert curve.run_s(4, 10, 20) == pytest.approx(1.0 + 20 * 4 * 0.5)
    bound = Bonds(widest=2, gate_work=64.0, cut_work=16.0)
    assert curve.run_s(4, 10, 20, bound) == pytest.approx(1.0 + 64 * 0.01 + 20 * (4 * 0.5 + 16 * 0.1))


def test_different_circuits_of_one_run_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a family asks for them; another number of shots is another call, since Aer takes one for all circuits."""
    backend = load("aer_mps")
    assert isinstance(backend, Aer)
    prepared = backend.prepare([ghz(width) for width in range(2, 7)], OPTIONS)
    calls = []
    simulate = backend._simulator.run
    monkeypatch.setattr(
        backend._simulator, "run", lambda some, **options: calls.append(len(some)) or simulate(some, **options)
    )
    backend.run(prepared, [Run(20, circuit) for circuit in range(5)], seed=1)
    assert calls == [5]
    backend.run(prepared, [Run(20, 0), Run(30, 1), Run(20, 2)], seed=1)
    assert calls == [5, 2, 1]


@pytest.mark.parametrize("name", ["aer_statevector", "aer_density_matrix", "aer_mps", "aer_stabilizer"])
def test_it_runs_on_one_thread(name: str) -> None:
    backend = load(name)
    assert isinstance(backend, Aer)
    options = backend._simulator.options
    assert (options.max_parallel_threads, options.max_parallel_experiments, options.max_parallel_shots) == (1, 1, 1)
