"""The state of the sparse simulator: the basis states that occur, for many sets of parameters at once.

Every row (set of parameters) has the same number of lanes, a power of two; a lane is a basis state with an amplitude.
Two lanes of a row may show the same basis state, since gates are linear; they are put together when there get to be
many, and at the end. Exact up to rounding: nothing small is thrown away but what is below 1e-24 in probability.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from backends.sparse_kernel import Bits, Complex, coordinate, double, permute, rotate, turn
from backends.sparse_program import Branch, Floats, Permute, Program, Turn, values

_MERGED_AT = 4
"""Lanes are put together once they are this many times as many as after the last time."""

_NOTHING = 1e-24


class TooDenseError(Exception):
    """More basis states than the limit: a dense simulator is the better tool."""


class NoFlipError(Exception):
    """A parameter that was taken for a flip is not a whole number of half turns in some row."""


class State:
    """Rows of basis states, all qubits 0 at first."""

    def __init__(self, num_qubits: int, num_rows: int) -> None:
        self.num_rows = num_rows
        self._row_bytes = -(-num_rows // 8)
        self._padded = 8 * self._row_bytes  # rows beyond the wanted ones run along and are never looked at
        self.planes: Bits = np.zeros((num_qubits, self._row_bytes), dtype=np.uint8)
        self._sign: Bits = np.zeros(self._row_bytes, dtype=np.uint8)
        self.amplitudes: Complex = np.ones(self._padded, dtype=np.complex128)
        self._repeated = False
        self._merged_lanes = 1
        self.most_lanes = 1

    @property
    def num_lanes(self) -> int:
        """Lanes of each row."""
        return self.amplitudes.size // self._padded

    def run(self, program: Program, columns: Mapping[str, Floats], max_lanes: int) -> None:
        """Run a whole program.

        Args:
            program: of as many qubits.
            columns: each parameter's value in every row.      float64 (num_rows,)
            max_lanes: most lanes a row may have.

        Raises:
            TooDenseError: a row needs more.
            NoFlipError: the program has to be compiled without flips.
        """
        columns = {name: np.resize(column, self._padded) for name, column in columns.items()}
        flips = self._flips(program, columns)
        for step in program.steps:
            if isinstance(step, Permute):
                permute(step.code, self.planes, self._sign, flips)
            elif isinstance(step, Turn):
                turn(self.amplitudes, self.planes, step.controls, np.exp(1j * values(step.angle, columns)))
            else:
                self._branch(step, columns, max_lanes)
        if self._repeated:
            self.merge()

    def probabilities(self) -> Floats:
        """Of each lane.      float64 (num_lanes, num_rows)."""
        found: Floats = np.square(np.abs(self.amplitudes)).reshape(self.num_lanes, self._padded)[:, : self.num_rows]
        return found

    def of_row(self, row: int) -> Complex:
        """Amplitudes of a row's lanes, complex128 (num_lanes,)."""
        return self._signed().reshape(self.num_lanes, self._padded)[:, row]

    def bits(self, qubits: NDArray[np.int64], indices: NDArray[np.int64], rows: NDArray[np.int64]) -> Bits:
        """Values of some qubits in some lanes.      uint8 (num_indices, num_qubits)."""
        lanes = indices * self._padded + rows
        found: Bits = self.planes[qubits][:, lanes >> 3] >> (lanes & 7).astype(np.uint8) & np.uint8(1)
        return found.T

    def merge(self) -> None:
        """Put lanes of one row that show one basis state together, and leave out those with no amplitude."""
        amplitudes = self._signed()
        bits = np.unpackbits(self.planes, axis=1, bitorder="little")
        keys = np.packbits(bits, axis=0, bitorder="little")[::-1]  # a number of several bytes, the highest first
        rows = np.tile(np.arange(self._padded), self.num_lanes)
        order = np.lexsort((*keys[::-1], rows))
        keys, rows, amplitudes, bits = keys[:, order], rows[order], amplitudes[order], bits[:, order]
        new = np.ones(order.size, dtype=bool)
        new[1:] = (rows[1:] != rows[:-1]) | np.any(keys[:, 1:] != keys[:, :-1], axis=0)
        starts = np.flatnonzero(new)
        sums = np.add.reduceat(amplitudes, starts)
        kept = np.abs(sums) ** 2 > _NOTHING
        starts, sums = starts[kept], sums[kept]
        rows, bits = rows[starts], bits[:, starts]
        counts = np.bincount(rows, minlength=self._padded)
        num_lanes = 1 << int(max(1, counts.max()) - 1).bit_length()
        index = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        lanes = index * self._padded + rows
        self.amplitudes = np.zeros(num_lanes * self._padded, dtype=np.complex128)
        self.amplitudes[lanes] = sums
        spread = np.zeros((self.planes.shape[0], num_lanes * self._padded), dtype=np.uint8)
        spread[:, lanes] = bits
        self.planes = np.packbits(spread, axis=1, bitorder="little")
        self._sign = np.zeros(self.planes.shape[1], dtype=np.uint8)
        self._repeated = False
        self._merged_lanes = num_lanes

    def _signed(self) -> Complex:
        return self.amplitudes * (1.0 - 2.0 * np.unpackbits(self._sign, bitorder="little"))

    def _flips(self, program: Program, columns: Mapping[str, Floats]) -> Bits:
        if not program.flips:
            return np.zeros((0, self._row_bytes), dtype=np.uint8)
        turns = np.array([np.resize(values(angle, columns), self._padded) for angle in program.flips]) / np.pi
        whole = np.rint(turns)
        if np.any(np.abs(turns - whole) > 1e-12):
            raise NoFlipError
        flips: Bits = np.packbits(whole.astype(np.int64) & 1 == 1, axis=1, bitorder="little")
        return flips

    def _branch(self, step: Branch, columns: Mapping[str, Floats], max_lanes: int) -> None:
        matrices = step.matrices(columns)
        bit = coordinate(self.planes, step.qubit, self._row_bytes)
        plane = self.planes[step.qubit]
        if bit >= 0:
            rotate(self.amplitudes, plane, self._sign, self._padded << bit, matrices)
            return
        self._repeated = self._repeated or not self._constant(plane)
        self.amplitudes = double(self.amplitudes, plane, self._sign, matrices)
        half = plane.size
        self.planes = np.hstack((self.planes, self.planes))
        self.planes[step.qubit, :half] = 0
        self.planes[step.qubit, half:] = 255
        self._sign = np.zeros(2 * half, dtype=np.uint8)
        self.most_lanes = max(self.most_lanes, self.num_lanes)
        if self.num_lanes > max_lanes or (self._repeated and self.num_lanes >= _MERGED_AT * self._merged_lanes):
            self.merge()
            if self.num_lanes > max_lanes:
                raise TooDenseError

    def _constant(self, plane: Bits) -> bool:
        """Whether the qubit has one value in all lanes of each row."""
        by_lane = plane.reshape(-1, self._row_bytes)
        return bool(np.all(by_lane == by_lane[0]))
