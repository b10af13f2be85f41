"""The Grover circuits of one scene: a reversible intersection test on pb + 2 cb + 5 qubits.

Registers: p (primitive, pb qubits), a (one coordinate of the primitive, cb), r (one coordinate of the ray, cb), f (four
flags), c (one carry). Five tests x_low <= x, x <= x_high, y_low <= y, y <= y_high, depth <= far, each: load the
primitive's coordinate into a (QROM), the ray's into r, compare by the carry of r - a, keep the result. The width is the
paper's; the construction is ours. QROM words are sums of monomials in the bits of p (algebraic normal form), and each
load writes only the difference to the word before. Comparator: Cuccaro et al. 2004, arXiv quant-ph/0410184.

The ray enters through angles: RX(pi) on a qubit in a basis state is X up to a global phase, so that one circuit a
number of iterations serves every ray and every far limit. Parameters: ``x[i]``, ``y[i]``, ``far[i]``, each 0 or pi.
"""

from __future__ import annotations

import math
from functools import lru_cache

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits.raytracing.scene import Box


def num_qubits(num_primitives: int, grid_bits: int) -> int:
    """Width of the register, pb + 2 cb + 5 [paper]."""
    return (num_primitives - 1).bit_length() + 2 * grid_bits + 5


@lru_cache(maxsize=32)
def grover_circuit(scene: tuple[Box, ...], grid_bits: int, iterations: int) -> QuantumCircuit:
    """Uniform superposition, ``iterations`` times (oracle, diffusion), measurement of p. Free parameters: the ray."""
    address_bits = (len(scene) - 1).bit_length()
    circuit = QuantumCircuit(num_qubits(len(scene), grid_bits), address_bits, name=f"raytracing_{iterations}")
    address = range(address_bits)
    test = _hit_test(scene, grid_bits)
    flags = range(address_bits + 2 * grid_bits, address_bits + 2 * grid_bits + 4)
    fifth = address_bits + grid_bits - 1  # top bit of a, where the last comparison leaves its carry
    undo = test.inverse()
    circuit.h(address)
    for _ in range(iterations):
        circuit.compose(test, inplace=True)
        circuit.h(fifth)
        circuit.mcx(list(flags), fifth)
        circuit.h(fifth)
        circuit.compose(undo, inplace=True)
        circuit.h(address)
        circuit.x(address)
        circuit.h(address[-1])
        circuit.mcx(list(address[:-1]), address[-1])
        circuit.h(address[-1])
        circuit.x(address)
        circuit.h(address)
    circuit.measure(address, address)
    return circuit


def ray_parameters(x: int, y: int, far: int, grid_bits: int) -> dict[str, float]:
    """Values of a circuit's parameters for one ray and one far limit, radians."""
    return {
        f"{name}[{bit}]": math.pi * (value >> bit & 1)
        for name, value in (("x", x), ("y", y), ("far", far))
        for bit in range(grid_bits)
    }


def _hit_test(scene: tuple[Box, ...], grid_bits: int) -> QuantumCircuit:
    """Four flags set, and the fifth result in the top bit of a; every register but p is left dirty."""
    address_bits = (len(scene) - 1).bit_length()
    full = 2**grid_bits - 1
    circuit = QuantumCircuit(num_qubits(len(scene), grid_bits))
    primitive = list(range(address_bits))
    word = list(range(address_bits, address_bits + grid_bits))
    ray = list(range(address_bits + grid_bits, address_bits + 2 * grid_bits))
    flags = list(range(address_bits + 2 * grid_bits, address_bits + 2 * grid_bits + 4))
    carry = circuit.num_qubits - 1
    x, y, far = (ParameterVector(name, grid_bits) for name in ("x", "y", "far"))
    # v - u >= 0 exactly where v + ~u + 1 carries out. For x_low <= x it is the word that is complemented, as it is
    # loaded; for x <= x_high it is the ray.
    tests = (
        ([box.x_low ^ full for box in scene], x, False),
        ([box.x_high for box in scene], x, True),
        ([box.y_low ^ full for box in scene], y, False),
        ([box.y_high for box in scene], y, True),
        ([box.depth ^ full for box in scene], far, False),
    )
    loaded = [0] * len(scene)
    shown: ParameterVector | None = None
    circuit.x(carry)
    for index, (words, coordinate, complement) in enumerate(tests):
        _load(circuit, primitive, word, [old ^ new for old, new in zip(loaded, words, strict=True)])
        loaded = words
        if shown is not coordinate:
            for bit, qubit in enumerate(ray):
                if shown is not None:
                    circuit.rx(-shown[bit], qubit)
                circuit.rx(coordinate[bit], qubit)
            shown = coordinate
        if complement:
            circuit.x(ray)
        chain = _carry_chain(circuit.num_qubits, word, ray, carry)
        circuit.compose(chain, inplace=True)
        if index < 4:
            circuit.cx(word[-1], flags[index])
            circuit.compose(chain.inverse(), inplace=True)
            if complement:
                circuit.x(ray)
    return circuit


def _carry_chain(width: int, word: list[int], ray: list[int], carry: int) -> QuantumCircuit:
    """Majority chain: afterwards the top bit of ``word`` is the carry out of word + ray + carry."""
    chain = QuantumCircuit(width)
    before = carry
    for a, b in zip(word, ray, strict=True):
        chain.cx(a, b)
        chain.cx(a, before)
        chain.ccx(before, b, a)
        before = a
    return chain


def _load(circuit: QuantumCircuit, address: list[int], target: list[int], words: list[int]) -> None:
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
