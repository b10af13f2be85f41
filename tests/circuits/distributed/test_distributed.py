"""A circuit over several QPUs does what it did on one; pairs of fidelity F leave process fidelity F."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Operator
from qiskit_aer import AerSimulator
from qiskit_aer.noise import pauli_error

from circuits.counts import hellinger_fidelity
from circuits.distributed.ebits import ebits, remote
from circuits.distributed.gates import lower
from circuits.distributed.partition import check_parts, partition
from circuits.distributed.prediction import average_fidelity, counts_fidelity, process_fidelity, with_errors
from circuits.distributed.schedule import Times, needs, schedule
from circuits.distributed.teleport import pair_of, teleport
from circuits.distributed.teleport import with_errors as came_with
from circuits.errors import InvalidProgram
from circuits.fidelity import ideal_distribution


def process(circuit: QuantumCircuit, parts: Sequence[int], fidelities: Sequence[float]) -> float:
    """Process fidelity of the teleported circuit to the circuit, by the density matrix of its Choi state."""
    num = circuit.num_qubits
    teleported = teleport(lower(circuit), parts)
    assert len(teleported.pairs) == len(fidelities)
    beside = QuantumRegister(num, "beside")
    whole = QuantumCircuit(*teleported.circuit.qregs, beside, *teleported.circuit.cregs)
    data = whole.qubits[:num]
    whole.h(beside)
    whole.cx(list(beside), data)
    for item in teleported.circuit.data:
        number = pair_of(item.operation.label)
        if number is None:
            whole.append(item)
        else:
            wrong = (1.0 - fidelities[number]) / 3.0
            error = pauli_error([("I", fidelities[number]), ("X", wrong), ("Y", wrong), ("Z", wrong)])
            whole.append(error.to_instruction(), item.qubits)
    whole.save_density_matrix([*data, *beside])
    simulator = AerSimulator(method="density_matrix", max_parallel_threads=1)
    density = np.asarray(simulator.run(whole, shots=1, seed_simulator=1).result().data(0)["density_matrix"])
    choi = Operator(circuit).data.T.reshape(-1) / math.sqrt(2.0**num)  # sum over x of U|x>|x>, beside in the high bits
    return float(np.real(choi.conj() @ density @ choi))


def star(num_targets: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_targets + 1)
    for target in range(1, num_targets + 1):
        circuit.cx(0, target)
    return circuit


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), parts=st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_with_perfect_pairs_nothing_changes(seed: int, parts: list[int]) -> None:
    circuit = random_circuit(3, 4, max_operands=2, seed=seed)
    perfect = [1.0] * len(ebits(lower(circuit), parts))
    assert process(circuit, parts, perfect) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("fidelity", [1.0, 0.9, 0.75, 0.25])
def test_a_remote_cx_over_a_werner_pair_has_its_fidelity(fidelity: float) -> None:
    found = process(star(1), (0, 1), [fidelity])
    assert found == pytest.approx(fidelity, abs=1e-10)
    assert average_fidelity(found, 2) == pytest.approx((4.0 * fidelity + 1.0) / 5.0, abs=1e-10)


def test_cx_that_share_a_control_cost_one_pair_and_its_fidelity() -> None:
    assert process(star(3), (0, 1, 1, 1), [0.9]) == pytest.approx(0.9, abs=1e-10)


def test_pairs_multiply_where_their_errors_cannot_undo_each_other() -> None:
    circuit = QuantumCircuit(4)
    circuit.cx(0, 1)
    circuit.cx(2, 3)
    found = process(circuit, (0, 1, 0, 1), [0.9, 0.8])
    assert found == pytest.approx(process_fidelity([0.9, 0.8]), abs=1e-10)


def test_the_product_is_a_bound_where_they_can() -> None:
    circuit = QuantumCircuit(2)
    circuit.cx(0, 1)
    circuit.h([0, 1])
    circuit.h([0, 1])
    circuit.ry(0.4, [0, 1])
    circuit.cx(0, 1)
    found = process(circuit, (0, 1), [0.9, 0.8])
    assert process_fidelity([0.9, 0.8]) <= found + 1e-12
    assert found <= 0.72 + 0.1 * 0.2 / 3.0 + 1e-12


@pytest.mark.parametrize(
    ("build", "parts", "expected"),
    [
        (lambda c: [c.cx(0, 1), c.cx(0, 2), c.cx(0, 3)], (0, 1, 1, 1), 1),  # one control
        (lambda c: [c.cx(0, 3), c.cx(1, 3), c.cx(2, 3)], (0, 0, 0, 1), 1),  # one target: a control in the other basis
        (lambda c: [c.cx(0, 1), c.h(0), c.cx(0, 2)], (0, 1, 1, 1), 2),  # interrupted
        (lambda c: [c.cx(0, 1), c.rz(0.3, 0), c.cx(0, 2)], (0, 1, 1, 1), 1),  # what is diagonal does not
        (lambda c: [c.cx(0, 1), c.cx(0, 3), c.cx(0, 2)], (0, 1, 1, 0), 1),  # nor a gate at home that shares it
        (lambda c: [c.cx(0, 1), c.cx(0, 2)], (0, 1, 2, 2), 2),  # two QPUs, two copies
        (lambda c: [c.cp(0.3, 0, 1), c.rzz(0.2, 0, 2), c.crz(0.1, 3, 0)], (0, 1, 1, 1), 1),
        (lambda c: [c.swap(0, 1)], (0, 1, 1, 1), 2),  # two are enough, by moving both qubits
    ],
)
def test_how_many_pairs(build: object, parts: tuple[int, ...], expected: int) -> None:
    circuit = QuantumCircuit(4)
    build(circuit)  # type: ignore[operator]
    lowered = lower(circuit)
    found = ebits(lowered, parts)
    assert len(found) <= len(remote(lowered, parts))
    assert len(found) == expected if expected == 1 or "swap" not in circuit.count_ops() else len(found) in (2, 3)


def test_each_gate_between_qpus_has_exactly_one_pair() -> None:
    circuit = lower(random_circuit(6, 12, max_operands=2, seed=3))
    parts = (0, 0, 1, 1, 2, 2)
    served = sorted(gate for pair in ebits(circuit, parts) for gate in pair.gates)
    assert [circuit.data[gate] for gate in served] == remote(circuit, parts)
    assert len(set(served)) == len(served)


def two_groups() -> QuantumCircuit:
    """Qubits 0, 2, 4 and 1, 3, 5 belong together; one gate between them."""
    circuit = QuantumCircuit(6)
    for layer in range(3):
        circuit.ry(0.1 + layer, range(6))
        for one, other in ((0, 2), (2, 4), (1, 3), (3, 5)):
            circuit.cx(one, other)
    circuit.ry(0.3, range(6))
    circuit.cx(4, 1)
    return circuit


def test_the_partition_finds_what_belongs_together() -> None:
    circuit = lower(two_groups())
    parts = partition(circuit, (3, 3))
    assert len({parts[0], parts[2], parts[4]}) == 1
    assert len({parts[1], parts[3], parts[5]}) == 1
    assert len(ebits(circuit, parts)) == 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), capacities=st.lists(st.integers(1, 5), min_size=2, max_size=4))
def test_a_partition_keeps_to_the_capacities_and_beats_the_register(seed: int, capacities: list[int]) -> None:
    circuit = lower(random_circuit(5, 5, max_operands=2, seed=seed))
    if sum(capacities) < 5:
        with pytest.raises(InvalidProgram, match="qubits"):
            partition(circuit, capacities)
        return
    parts = partition(circuit, capacities)
    assert all(parts.count(qpu) <= most for qpu, most in enumerate(capacities))
    naive = [
        qpu for qpu in sorted(range(len(capacities)), key=lambda q: -capacities[q]) for _ in range(capacities[qpu])
    ]
    assert len(ebits(circuit, parts)) <= len(ebits(circuit, naive[:5]))


def test_what_fits_on_one_qpu_needs_no_pair() -> None:
    circuit = lower(two_groups())
    assert ebits(circuit, partition(circuit, (2, 6))) == ()


def test_a_users_partition_is_checked() -> None:
    circuit = star(1)
    assert check_parts(circuit, [0, 1], (1, 1)) == (0, 1)
    for parts, word in (
        ([0], "each of the 2"),
        ([0, 0], "QPU 0 has 1"),
        ([0, 2], "QPUs 0 to 1"),
        ([0, -1], "QPU 0, 1"),
    ):
        with pytest.raises(InvalidProgram, match=word):
            check_parts(circuit, parts, (1, 1))


def test_pairs_are_released_as_soon_as_possible_and_in_order() -> None:
    circuit = QuantumCircuit(3)
    circuit.cz(0, 1)
    circuit.h(0)
    circuit.cz(0, 2)
    times = Times(one_qubit_s=1.0, two_qubit_s=10.0, measure_s=100.0, message_s=1000.0)
    done = schedule(lower(circuit), (0, 1, 1), times)
    copied = 10.0 + 100.0 + 1000.0 + 1.0
    first_over = copied + 10.0 + 1.0 + 100.0 + 1000.0 + 1.0  # the gate, H, measured, told, Z
    assert done.release_s == pytest.approx((0.0, first_over + 1.0))  # H on the shared qubit
    assert done.end_s == pytest.approx(first_over + 1.0 + first_over)
    assert needs(ebits(lower(circuit), (0, 1, 1)), done.release_s) == {(0, 1): [0.0, first_over + 1.0]}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_errors_of_pairs_are_errors_of_the_original_circuit(seed: int, data: st.DataObject) -> None:
    circuit = lower(random_circuit(4, 4, max_operands=2, seed=seed).measure_all(inplace=False))
    parts = (0, 0, 1, 1)
    teleported = teleport(circuit, parts)
    paulis = [data.draw(st.integers(0, 3)) for _ in teleported.pairs]
    foretold = ideal_distribution(with_errors(circuit, teleported.pairs, paulis))
    assert foretold is not None
    simulator = AerSimulator(method="statevector", max_parallel_threads=1)
    counts = simulator.run(came_with(teleported.circuit, paulis), shots=2000, seed_simulator=5).result().get_counts()
    seen: dict[str, float] = {}
    for bits, number in counts.items():
        seen[bits.replace(" ", "")[-4:]] = seen.get(bits.replace(" ", "")[-4:], 0) + number
    assert hellinger_fidelity(seen, foretold) > 0.99


def test_the_fidelity_of_counts_is_foretold_exactly_for_one_pair() -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    lowered = lower(circuit)
    pairs = ebits(lowered, (0, 1))
    assert len(pairs) == 1
    # X on the copy gives 01 and 10, Z leaves the counts as they are: of the errors 2 in 3 are seen
    assert counts_fidelity(lowered, pairs, [0.7], ideal_distribution) == pytest.approx(1.0 - 0.3 * 2.0 / 3.0)
    assert counts_fidelity(lowered, pairs, [0.7], lambda _: None) == pytest.approx(0.7)


def test_communication_qubits_are_used_again() -> None:
    circuit = QuantumCircuit(2)
    for _ in range(5):
        circuit.cx(0, 1)
        circuit.ry(0.3, [0, 1])
    teleported = teleport(lower(circuit), (0, 1))
    assert len(teleported.pairs) == 5
    assert teleported.comm_qubits == {0: 1, 1: 1}


def test_what_cannot_be_distributed_is_refused() -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    circuit.h(0)
    with pytest.raises(InvalidProgram, match="mid-circuit"):
        lower(circuit)
    with pytest.raises(InvalidProgram, match="'cx'"):
        ebits(star(1), (0, 1))
