"""Rays along an axis: a reversible intersection test on pb + 2 cb + 5 qubits.

Registers: p (primitive, pb qubits), a (one coordinate of the primitive, cb), r (one coordinate of the ray, cb), f (four
flags), c (one carry). Five tests x_low <= x, x <= x_high, y_low <= y, y <= y_high, z_low <= far, each: load the
primitive's coordinate into a (QROM), the ray's into r, compare by the carry of r - a, keep the result. The width is the
paper's; the construction is ours. QROM words are sums of monomials in the bits of p (algebraic normal form), and each
load writes only the difference to the word before. Comparator: Cuccaro et al. 2004, arXiv quant-ph/0410184.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits.raytracing.amplify import load, num_address
from circuits.raytracing.scene import Box, Ints, Rays


def num_qubits(num_primitives: int, grid_bits: int) -> int:
    """Width of the register, pb + 2 cb + 5 [paper]."""
    return (num_primitives - 1).bit_length() + 2 * grid_bits + 5


@dataclass(frozen=True)
class AxialOracle:
    """The test of a scene against rays along z that start in front of it. Parameters ``x``, ``y``, ``far``."""

    boxes: tuple[Box, ...]
    grid_bits: int

    @property
    def verdict(self) -> Sequence[int]:
        """Four flags, and the fifth result in the top bit of a."""
        first = num_address(self)
        return [*range(first + 2 * self.grid_bits, first + 2 * self.grid_bits + 4), first + self.grid_bits - 1]

    def settings(self, rays: Rays, far: Ints) -> dict[str, Ints]:
        """The pixel, and the far limit."""
        return {"x": rays.origins[:, 0], "y": rays.origins[:, 1], "far": far}

    @cached_property
    def test(self) -> QuantumCircuit:
        """Every register but p is left dirty."""
        bits, full = self.grid_bits, 2**self.grid_bits - 1
        circuit = QuantumCircuit(num_qubits(len(self.boxes), bits))
        first = num_address(self)
        primitive, word = range(first), range(first, first + bits)
        ray, flags = range(first + bits, first + 2 * bits), self.verdict[:4]
        carry = circuit.num_qubits - 1
        x, y, far = (ParameterVector(name, bits) for name in ("x", "y", "far"))
        # v - u >= 0 exactly where v + ~u + 1 carries out. For x_low <= x it is the word that is complemented, as it is
        # loaded; for x <= x_high it is the ray.
        tests = (
            ([box.x_low ^ full for box in self.boxes], x, False),
            ([box.x_high for box in self.boxes], x, True),
            ([box.y_low ^ full for box in self.boxes], y, False),
            ([box.y_high for box in self.boxes], y, True),
            ([box.z_low ^ full for box in self.boxes], far, False),
        )
        loaded = [0] * len(self.boxes)
        shown: ParameterVector | None = None
        circuit.x(carry)
        chain = _carry_chain(circuit.num_qubits, word, ray, carry)
        for index, (words, coordinate, complement) in enumerate(tests):
            load(circuit, primitive, word, [old ^ new for old, new in zip(loaded, words, strict=True)])
            loaded = words
            if shown is not coordinate:
                for bit, qubit in enumerate(ray):
                    if shown is not None:
                        circuit.rx(-shown[bit], qubit)
                    circuit.rx(coordinate[bit], qubit)
                shown = coordinate
            if complement:
                circuit.x(ray)
            circuit.compose(chain, inplace=True)
            if index < len(flags):
                circuit.cx(word[-1], flags[index])
                circuit.compose(chain.inverse(), inplace=True)
                if complement:
                    circuit.x(ray)
        return circuit


def _carry_chain(width: int, word: Sequence[int], ray: Sequence[int], carry: int) -> QuantumCircuit:
    """Majority chain: afterwards the top bit of ``word`` is the carry out of word + ray + carry."""
    chain = QuantumCircuit(width)
    before = carry
    for a, b in zip(word, ray, strict=True):
        chain.cx(a, b)
        chain.cx(a, before)
        chain.ccx(before, b, a)
        before = a
    return chain
