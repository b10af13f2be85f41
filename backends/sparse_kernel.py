"""The inner loops of the sparse simulator, compiled by numba and kept on disk between processes.

A *lane* is one basis state of one row; a row is one set of parameters. The state holds one bit plane a qubit: bit
``lane % 8`` of byte ``lane // 8`` is that qubit's value in that lane, with ``lane = index * num_rows + row`` and
``num_rows`` a multiple of 8. A gate that permutes basis states is a few bitwise operations on whole planes, for all
basis states of all rows at once.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
Complex = NDArray[np.complex128]

FLIP, FLIP_ROWS, TOGGLE, SIGN, SWAP, CSWAP = range(6)
"""Operations of a segment, each followed by its number of operands and these: FLIP qubit; FLIP_ROWS parameter, qubit;
TOGGLE controls..., target; SIGN controls...; SWAP one, other; CSWAP control, one, other."""


@njit(cache=True)
def permute(code: NDArray[np.int32], planes: Bits, sign: Bits, flips: Bits) -> None:  # noqa: C901 - one loop, since numba
    """Run a segment in place.

    Args:
        code: operations as listed above.      int32 (length,)
        planes: values of the qubits.          uint8 (num_qubits, num_lanes/8)
        sign: lanes whose amplitude is negated.      uint8 (num_lanes/8,)
        flips: rows in which a parameter flips its qubit.      uint8 (num_parameters, num_rows/8)
    """
    length, period = planes.shape[1], max(1, flips.shape[1])
    at = 0
    while at < code.size:
        kind, size = code[at], code[at + 1]
        first, last = at + 2, at + 1 + size
        if kind == TOGGLE and size == 2:
            control, target = planes[code[first]], planes[code[last]]
            for byte in range(length):
                target[byte] ^= control[byte]
        elif kind == TOGGLE and size == 3:
            one, other, target = planes[code[first]], planes[code[first + 1]], planes[code[last]]
            for byte in range(length):
                target[byte] ^= one[byte] & other[byte]
        elif kind in (TOGGLE, SIGN):
            end = last if kind == TOGGLE else last + 1
            target = planes[code[last]] if kind == TOGGLE else sign
            all_set = planes[code[first]].copy()
            for control_at in range(first + 1, end):
                control = planes[code[control_at]]
                for byte in range(length):
                    all_set[byte] &= control[byte]
            for byte in range(length):
                target[byte] ^= all_set[byte]
        elif kind == FLIP:
            target = planes[code[first]]
            for byte in range(length):
                target[byte] ^= np.uint8(255)
        elif kind == FLIP_ROWS:
            target, mask = planes[code[last]], flips[code[first]]
            for start in range(0, length, period):
                for byte in range(period):
                    target[start + byte] ^= mask[byte]
        else:
            one, other = planes[code[last - 1]], planes[code[last]]
            for byte in range(length):
                differ = one[byte] ^ other[byte]
                if kind == CSWAP:
                    differ &= planes[code[first], byte]
                one[byte] ^= differ
                other[byte] ^= differ
        at = last + 1


@njit(cache=True)
def coordinate(planes: Bits, qubit: int, row_bytes: int) -> int:
    """The bit of the lanes' index that ``qubit`` alone depends on, upright or inverted; -1 if there is none.

    Flipping that bit of a lane's index leads to the lane that differs from it in this qubit and in nothing else.
    """
    length = planes.shape[1]
    block, bit = row_bytes, 0
    while 2 * block <= length:
        found = True
        for plane in range(planes.shape[0]):
            difference = np.uint8(255) if plane == qubit else np.uint8(0)
            for start in range(0, length, 2 * block):
                for byte in range(start, start + block):
                    if planes[plane, byte] ^ planes[plane, byte + block] != difference:
                        found = False
                        break
                if not found:
                    break
            if not found:
                break
        if found:
            return bit
        block *= 2
        bit += 1
    return -1


@njit(cache=True)
def rotate(amplitudes: Complex, plane: Bits, sign: Bits, block: int, matrices: Complex) -> None:
    """Apply a one-qubit gate whose qubit is a coordinate: mix each lane with the one ``block`` lanes further on.

    Args:
        amplitudes: of the lanes.      complex128 (num_lanes,)
        plane: of the qubit.
        sign: cleared afterwards.
        block: lanes between partners.
        matrices: of the gate; one, or one a row.      complex128 (1 or num_rows, 2, 2)
    """
    rows = matrices.shape[0]
    for start in range(0, amplitudes.size, 2 * block):
        for low in range(start, start + block):
            high = low + block
            one = -amplitudes[low] if sign[low >> 3] >> (low & 7) & 1 else amplitudes[low]
            other = -amplitudes[high] if sign[high >> 3] >> (high & 7) & 1 else amplitudes[high]
            matrix = matrices[low % rows]
            if plane[low >> 3] >> (low & 7) & 1:
                amplitudes[low] = matrix[1, 1] * one + matrix[1, 0] * other
                amplitudes[high] = matrix[0, 1] * one + matrix[0, 0] * other
            else:
                amplitudes[low] = matrix[0, 0] * one + matrix[0, 1] * other
                amplitudes[high] = matrix[1, 0] * one + matrix[1, 1] * other
    sign[:] = 0


@njit(cache=True)
def double(amplitudes: Complex, plane: Bits, sign: Bits, matrices: Complex) -> Complex:
    """Apply a one-qubit gate by giving every lane two: the first half has the qubit 0, the second 1.

    Returns:
        The new amplitudes.      complex128 (2 num_lanes,)
    """
    size, rows = amplitudes.size, matrices.shape[0]
    grown = np.empty(2 * size, dtype=np.complex128)
    for lane in range(size):
        value = -amplitudes[lane] if sign[lane >> 3] >> (lane & 7) & 1 else amplitudes[lane]
        column = plane[lane >> 3] >> (lane & 7) & 1
        matrix = matrices[lane % rows]
        grown[lane] = matrix[0, column] * value
        grown[lane + size] = matrix[1, column] * value
    return grown


@njit(cache=True)
def turn(amplitudes: Complex, planes: Bits, controls: NDArray[np.int32], phases: Complex) -> None:
    """Multiply the lanes whose controls are all 1 by a phase; phases: one, or one a row, complex128."""
    rows = phases.size
    for lane in range(amplitudes.size):
        byte, bit = lane >> 3, lane & 7
        everything = np.uint8(1)
        for control in controls:
            everything &= planes[control, byte] >> bit
        if everything & 1:
            amplitudes[lane] *= phases[lane % rows]


@njit(cache=True)
def draw(weights: NDArray[np.float64], rows: NDArray[np.int64], chances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw an index for each shot.

    Args:
        weights: cumulated along the first axis.      float64 (num_indices, num_rows)
        rows: of each shot.      int64 (num_shots,)
        chances: uniform in [0, 1), of each shot.      float64 (num_shots,)
    """
    drawn = np.empty(rows.size, dtype=np.int64)
    last = weights.shape[0] - 1
    for shot in range(rows.size):
        row = rows[shot]
        wanted = chances[shot] * weights[last, row]
        low, high = 0, last
        while low < high:
            middle = (low + high) // 2
            if weights[middle, row] > wanted:
                high = middle
            else:
                low = middle + 1
        drawn[shot] = low
    return drawn
