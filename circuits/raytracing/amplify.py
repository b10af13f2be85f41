"""From an intersection test to circuits: the paper's operator, and amplitude amplification with it.

An oracle is a reversible *test*: a circuit on the primitives' register and work qubits after which some qubits, its
*verdict*, are all 1 exactly where the ray meets the primitive. Rays enter through angles: RX(pi) on a qubit in a basis
state is X up to a global phase, so that one circuit a number of iterations serves every ray and every far limit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits.raytracing.scene import Box, Ints, Rays


class Oracle(Hashable, Protocol):
    """A test of all boxes of one scene, in one frame, against one ray."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The scene; their number is a power of two."""
        ...

    @property
    def test(self) -> QuantumCircuit:
        """The reversible test; its first qubits are the primitives' register."""
        ...

    @property
    def verdict(self) -> Sequence[int]:
        """Qubits that are all 1 after the test where the ray meets the box no deeper than the far limit."""
        ...

    def settings(self, rays: Rays, far: Ints) -> dict[str, Ints]:
        """Value of each register of parameters for each ray; bit i of it turns parameter ``name[i]`` by pi."""
        ...


def num_address(oracle: Oracle) -> int:
    """Qubits of the primitives' register, pb."""
    return (len(oracle.boxes) - 1).bit_length()


@lru_cache(maxsize=256)
def grover_circuit(oracle: Oracle, iterations: int) -> QuantumCircuit:
    """Uniform superposition, ``iterations`` times (oracle, diffusion), measurement of the primitives' register.

    An iteration is one gate with a definition, so that the circuit costs its size once.
    """
    address = range(num_address(oracle))
    circuit = QuantumCircuit(oracle.test.num_qubits, len(address), name=f"raytracing_{iterations}")
    circuit.h(address)
    gate = iteration(oracle).to_gate()
    for _ in range(iterations):
        circuit.append(gate, circuit.qubits, copy=False)
    circuit.measure(address, address)
    return circuit


def intersection_operator(oracle: Oracle) -> QuantumCircuit:
    """R_r = Int_r (H^pb x 1): (1/sqrt P) sum_p |p>|i_r(p)> from |0>|0>; the last qubit is the indication register.

    [MEQC paper, eqs. 14 and 15] Work qubits return to 0. One qubit more than the search needs, which turns the
    indication into a sign.
    """
    test = oracle.test
    circuit = QuantumCircuit(test.num_qubits + 1, name="intersection")
    circuit.h(range(num_address(oracle)))
    circuit.compose(test, range(test.num_qubits), inplace=True)
    circuit.mcx(list(oracle.verdict), test.num_qubits)
    circuit.compose(test.inverse(), range(test.num_qubits), inplace=True)
    return circuit


def angles(oracle: Oracle, rays: Rays, far: Ints) -> list[dict[str, float]]:
    """Values of a circuit's parameters for each ray and far limit, radians."""
    widths = {vector.name: len(vector) for vector in _vectors(oracle.test)}
    settings = oracle.settings(rays, far)
    names = [f"{name}[{bit}]" for name, width in widths.items() for bit in range(width)]
    columns = [settings[name][:, None] >> np.arange(width) & 1 for name, width in widths.items()]
    values = (math.pi * np.hstack(columns)).tolist()
    return [dict(zip(names, row, strict=True)) for row in values]


def load(circuit: QuantumCircuit, address: Sequence[int], target: Sequence[int], words: Sequence[int]) -> None:
    """Target ^= words[address]: one (multi-controlled) X a monomial of the words' algebraic normal form."""
    coefficients = list(words)
    for bit in range(len(address)):  # Moebius transform over GF(2), all target bits at once
        for index in range(len(words)):
            if index >> bit & 1:
                coefficients[index] ^= coefficients[index ^ (1 << bit)]
    for monomial, coefficient in enumerate(coefficients):
        controls = [qubit for bit, qubit in enumerate(address) if monomial >> bit & 1]
        for bit, qubit in enumerate(target):
            if coefficient >> bit & 1:
                if controls:
                    circuit.mcx(controls, qubit)
                else:
                    circuit.x(qubit)


@lru_cache(maxsize=64)
def iteration(oracle: Oracle) -> QuantumCircuit:
    """A sign on every box that is hit, then the reflection about the uniform superposition."""
    test, address = oracle.test, range(num_address(oracle))
    circuit = QuantumCircuit(test.num_qubits, name="grover_iteration")
    circuit.compose(test, inplace=True)
    _sign(circuit, oracle.verdict)
    circuit.compose(test.inverse(), inplace=True)
    circuit.h(address)
    circuit.x(address)
    _sign(circuit, address)
    circuit.x(address)
    circuit.h(address)
    return circuit


def _sign(circuit: QuantumCircuit, qubits: Sequence[int]) -> None:
    """-1 where all qubits are 1."""
    circuit.h(qubits[-1])
    circuit.mcx(list(qubits[:-1]), qubits[-1])
    circuit.h(qubits[-1])


def _vectors(circuit: QuantumCircuit) -> list[ParameterVector]:
    found: list[ParameterVector] = sorted({each.vector for each in circuit.parameters}, key=lambda vector: vector.name)
    return found
