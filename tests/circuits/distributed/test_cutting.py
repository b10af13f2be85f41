"""Cutting: what it costs in shots, and that it gives the circuit's own expectation values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, Statevector
from qiskit_aer.primitives import SamplerV2

from circuits.distributed.cutting import cut, expectations, gamma
from circuits.distributed.gates import lower
from circuits.errors import InvalidProgram

pytest.importorskip("qiskit_addon_cutting", reason="pip install 'qorch[cutting]'")


def sample(circuits: Sequence[QuantumCircuit], shots: int) -> Any:
    options = {"backend_options": {"max_parallel_threads": 1}}
    return SamplerV2(seed=2, options=options).run(list(circuits), shots=shots).result()


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda c: c.cx(0, 1), 3.0),
        (lambda c: c.cz(0, 1), 3.0),
        (lambda c: [c.cx(0, 1), c.ry(0.3, 0), c.cx(0, 1)], 9.0),
        (lambda c: c.rzz(0.4, 0, 1), 1.0 + 2.0 * math.sin(0.4)),
        (lambda c: c.cp(0.7, 0, 1), 1.0 + 2.0 * math.sin(0.35)),
    ],
)
def test_the_overhead_is_known_before_anything_is_cut(build: Any, expected: float) -> None:
    circuit = QuantumCircuit(2)
    build(circuit)
    lowered = lower(circuit)
    assert gamma(lowered, (0, 1)) == pytest.approx(expected)
    assert cut(lowered, (0, 1), ["ZZ"]).gamma == pytest.approx(expected)


def test_pieces_give_the_values_of_the_whole() -> None:
    circuit = QuantumCircuit(4)
    circuit.ry(0.8, range(4))
    circuit.cx(0, 1)
    circuit.cx(2, 3)
    circuit.cx(1, 2)
    circuit.ry(0.5, range(4))
    observables = ["ZIIZ", "IZZI"]
    pieces = cut(lower(circuit.measure_all(inplace=False)), (0, 0, 1, 1), observables)
    shots = 40_000
    found = expectations(pieces, sample, shots)
    state = Statevector(circuit)
    for value, observable in zip(found, observables, strict=True):
        exact = state.expectation_value(Pauli(observable)).real
        assert value == pytest.approx(exact, abs=4.0 * pieces.gamma / math.sqrt(shots))


def test_what_cannot_be_cut_is_refused() -> None:
    circuit = QuantumCircuit(3)
    circuit.ccx(0, 1, 2)
    with pytest.raises(InvalidProgram, match="cannot be cut"):
        cut(circuit, (0, 1, 1), ["ZZZ"])
