"""Rays in any direction: a reversible intersection test that multiplies, for perspective and for shadows.

In its frame a ray o + s d, s >= 0, d = (a, b, c) with a, b >= 0 and c > 0, meets a box no deeper than ``far`` exactly
if the parts of it that lie between the box's x faces, its y faces, its z faces and the depths o_z and ``far`` meet
pairwise (closed intervals on a line: Helly). Cleared of fractions these are twelve inequalities between products of the
box's coordinates with a, b, c: nothing about the hit is worked out outside the circuit, which gets the ray alone.
(ours)

Registers: p (primitive, pb qubits), w (one coordinate of it, cb), k (one bit of a, b or c), t (addend) and s (sum, in
two's complement) of m qubits each, f (twelve flags), one carry: pb + cb + 2 m + 14 qubits, where m = cb + 4 + bits of
the largest a, b, c. Each test: s starts at a number that depends on the ray alone, coordinates times a, b, c are added
shift by shift (Cuccaro et al. 2004, arXiv quant-ph/0410184), the sign is kept, s is uncomputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

from circuits.raytracing.amplify import load, num_address
from circuits.raytracing.scene import Box, Ints, Rays, table

_X, _Y, _Z = 0, 2, 4
"""Columns of the low corners; the high ones stand right behind them."""

_TESTS: tuple[tuple[tuple[int, int, str], ...], ...] = (
    ((-1, _Z, ""),),  # z_low <= far
    ((+1, _Z + 1, ""),),  # o_z <= z_high
    ((+1, _X + 1, ""),),  # o_x <= x_high
    ((+1, _Y + 1, ""),),  # o_y <= y_high
    ((-1, _X, "c"),),  # (x_low - o_x) c <= (far - o_z) a
    ((-1, _Y, "c"),),  # (y_low - o_y) c <= (far - o_z) b
    ((-1, _X, "c"), (+1, _Z + 1, "a")),  # (x_low - o_x) c <= (z_high - o_z) a
    ((-1, _Z, "a"), (+1, _X + 1, "c")),  # (z_low - o_z) a <= (x_high - o_x) c
    ((-1, _Y, "c"), (+1, _Z + 1, "b")),  # (y_low - o_y) c <= (z_high - o_z) b
    ((-1, _Z, "b"), (+1, _Y + 1, "c")),  # (z_low - o_z) b <= (y_high - o_y) c
    ((-1, _X, "b"), (+1, _Y + 1, "a")),  # (x_low - o_x) b <= (y_high - o_y) a
    ((-1, _Y, "a"), (+1, _X + 1, "b")),  # (y_low - o_y) a <= (x_high - o_x) b
)
"""Each test is: number of the ray + sum of sign * coordinate * (a, b, c or 1) >= 0."""


def num_qubits(num_primitives: int, grid_bits: int, slope_bits: int) -> int:
    """Width of the register; see the module."""
    return (num_primitives - 1).bit_length() + grid_bits + 2 * (grid_bits + slope_bits + 4) + 14


@dataclass(frozen=True)
class SlantedOracle:
    """The test of a scene against rays towards growing x, y, z.

    Parameters ``a``, ``b``, ``c`` and ``n0`` to ``n11``, the tests' numbers. Origins lie within two grids of the scene.
    """

    boxes: tuple[Box, ...]
    grid_bits: int
    slope_bits: int

    @property
    def _sum_bits(self) -> int:
        return self.grid_bits + self.slope_bits + 4

    @property
    def verdict(self) -> Sequence[int]:
        """The flags."""
        last = num_qubits(len(self.boxes), self.grid_bits, self.slope_bits) - 1
        return range(last - len(_TESTS), last)

    def settings(self, rays: Rays, far: Ints) -> dict[str, Ints]:
        """Direction and the twelve numbers, two's complement. No far limit may lie before its ray's origin."""
        (x, y, z), (a, b, c) = rays.origins.T, rays.directions.T
        numbers = (
            *(far, -z, -x, -y, x * c + (far - z) * a, y * c + (far - z) * b),
            *(x * c - z * a, z * a - x * c, y * c - z * b, z * b - y * c, x * b - y * a, y * a - x * b),
        )
        wrapped = {f"n{index}": number & (2**self._sum_bits - 1) for index, number in enumerate(numbers)}
        return {"a": a, "b": b, "c": c, **wrapped}

    @cached_property
    def test(self) -> QuantumCircuit:
        """Registers other than p and the flags return to 0."""
        circuit = QuantumCircuit(num_qubits(len(self.boxes), self.grid_bits, self.slope_bits))
        first, m = num_address(self), self._sum_bits
        word = range(first, first + self.grid_bits)
        bit = word.stop
        addend, total = range(bit + 1, bit + 1 + m), range(bit + 1 + m, bit + 1 + 2 * m)
        carry = circuit.num_qubits - 1
        slopes = {name: ParameterVector(name, self.slope_bits) for name in "abc"}
        corners = table(self.boxes)
        adder = _adder(circuit.num_qubits, addend, total, carry)
        for index, (terms, flag) in enumerate(zip(_TESTS, self.verdict, strict=True)):
            sums = QuantumCircuit(circuit.num_qubits)
            for parameter, qubit in zip(ParameterVector(f"n{index}", m), total, strict=True):
                sums.rx(parameter, qubit)
            for sign, column, slope in terms:
                words = corners[:, column].tolist()
                load(sums, range(first), word, words)
                if sign < 0:
                    sums.x(total)
                if slope:
                    _add_product(sums, word, slopes[slope], bit, addend, adder)
                else:
                    _add_word(sums, word, addend, adder)
                if sign < 0:
                    sums.x(total)
                load(sums, range(first), word, words)
            circuit.compose(sums, inplace=True)
            circuit.x(flag)
            circuit.cx(total[-1], flag)  # set where the sum is not negative
            circuit.compose(sums.inverse(), inplace=True)
        return circuit


def _add_word(circuit: QuantumCircuit, word: range, addend: range, adder: QuantumCircuit) -> None:
    for one, other in zip(word, addend, strict=False):
        circuit.cx(one, other)
    circuit.compose(adder, inplace=True)
    for one, other in zip(word, addend, strict=False):
        circuit.cx(one, other)


def _add_product(
    circuit: QuantumCircuit, word: range, slope: ParameterVector, bit: int, addend: range, adder: QuantumCircuit
) -> None:
    """Sum += word * slope: the word, shifted, for each bit of the slope that is set."""
    for shift, parameter in enumerate(slope):
        circuit.rx(parameter, bit)
        for one, other in zip(word, addend[shift:], strict=False):
            circuit.ccx(one, bit, other)
        circuit.compose(adder, inplace=True)
        for one, other in zip(word, addend[shift:], strict=False):
            circuit.ccx(one, bit, other)
        circuit.rx(-parameter, bit)


def _adder(width: int, addend: range, total: range, carry: int) -> QuantumCircuit:
    """Total += addend, modulo 2^m; addend and carry (0) are kept."""
    circuit = QuantumCircuit(width)
    carries = [carry, *addend[:-1]]
    for a, b, c in zip(addend, total, carries, strict=True):
        circuit.cx(a, b)
        circuit.cx(a, c)
        circuit.ccx(c, b, a)
    for a, b, c in reversed(list(zip(addend, total, carries, strict=True))):
        circuit.ccx(c, b, a)
        circuit.cx(a, c)
        circuit.cx(c, b)
    return circuit


def slope_bits(directions: Ints) -> int:
    """Bits of the largest component."""
    return max(1, int(np.max(directions)).bit_length())
