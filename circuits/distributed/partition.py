"""Who holds which qubit: as few pairs as can be found, within the qubits that each QPU has.

Kept libraries (METIS, Kernighan-Lin of networkx) balance parts and count cut edges; here parts have limits and gates
share pairs, so what is counted is :func:`circuits.distributed.ebits.ebits` itself (ours): starts in the order of the
register and of the Fiedler vector, then the best move or exchange until none helps, by cut gates and then by pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.distributed.ebits import ebits
from circuits.distributed.gates import is_joint
from circuits.errors import InvalidProgram

Parts = tuple[int, ...]
"""QPU of each qubit."""

MOST_WORK = 3e5
"""Gates looked at in a round of exchanges beyond which cut gates alone count, and not pairs: a second or two (ours)."""


def partition(circuit: QuantumCircuit, capacities: Sequence[int]) -> Parts:
    """QPU of each qubit, of a circuit in the basis of :mod:`circuits.distributed.gates`.

    Args:
        circuit: what is distributed.   capacities: qubits for data of each QPU.

    Raises:
        InvalidProgram: all together have too few qubits.
    """
    num = circuit.num_qubits
    room = sum(capacities)
    if room < num:
        raise InvalidProgram(f"circuit {circuit.name!r}: wanted at most {room} qubits for these QPUs, got {num}")
    joined = interactions(circuit)
    starts = {_filled(order, capacities) for order in (range(num), _fiedler(joined))}

    def num_pairs(parts: Parts) -> int:
        return len(ebits(circuit, parts))

    found = starts | {_refined(start, capacities, lambda parts: _cut(joined, parts)) for start in starts}
    best = min(sorted(found), key=num_pairs)
    return _refined(best, capacities, num_pairs) if num * num * len(circuit.data) <= MOST_WORK else best


def check_parts(circuit: QuantumCircuit, parts: Sequence[int], capacities: Sequence[int] | None = None) -> Parts:
    """A user's own partition.

    Raises:
        InvalidProgram: a qubit has no QPU, or a QPU too many qubits; the message says which.
    """
    if len(parts) != circuit.num_qubits or any(type(part) is not int or part < 0 for part in parts):
        raise InvalidProgram(
            f"parts: wanted a QPU 0, 1, … for each of the {circuit.num_qubits} qubits of {circuit.name!r}, "
            f"got {tuple(parts)!r:.80}"
        )
    for qpu, capacity in enumerate(capacities or ()):
        if parts.count(qpu) > capacity:
            raise InvalidProgram(f"parts: QPU {qpu} has {capacity} qubits, got {parts.count(qpu)}")
    if capacities is not None and max(parts, default=0) >= len(capacities):
        raise InvalidProgram(f"parts: wanted QPUs 0 to {len(capacities) - 1}, got {max(parts)}")
    return tuple(parts)


def interactions(circuit: QuantumCircuit) -> NDArray[np.float64]:
    """Number of gates that each two qubits share.   float64 (num_qubits, num_qubits), symmetric."""
    joined = np.zeros((circuit.num_qubits, circuit.num_qubits))
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    for item in filter(is_joint, circuit.data):
        one, other = (place[qubit] for qubit in item.qubits)
        joined[one, other] += 1.0
        joined[other, one] += 1.0
    return joined


def _cut(joined: NDArray[np.float64], parts: Parts) -> float:
    labels = np.array(parts)
    return float(joined[labels[:, None] != labels[None, :]].sum() / 2.0)


def _filled(order: Sequence[int], capacities: Sequence[int]) -> Parts:
    """Qubits in this order, one QPU after the other filled; no more QPUs than are needed, largest first."""
    seats = [
        qpu for qpu in sorted(range(len(capacities)), key=lambda qpu: -capacities[qpu]) for _ in range(capacities[qpu])
    ]
    parts = dict(zip(order, seats, strict=False))
    return tuple(parts[qubit] for qubit in range(len(parts)))


def _fiedler(joined: NDArray[np.float64]) -> list[int]:
    """Qubits by the eigenvector of the second smallest eigenvalue of the Laplacian: neighbours stay together."""
    laplacian = np.diag(joined.sum(axis=1)) - joined
    _, vectors = np.linalg.eigh(laplacian)
    return [int(qubit) for qubit in np.argsort(np.round(vectors[:, min(1, len(joined) - 1)], 9), kind="stable")]


def _refined(parts: Parts, capacities: Sequence[int], costs: Callable[[Parts], float]) -> Parts:
    """The partition after the best move or exchange, again and again, until none helps."""
    cost = costs(parts)
    while cost > 0:
        best = min(((costs(other), other) for other in _neighbours(parts, capacities)), default=(cost, parts))
        if best[0] >= cost:
            break
        cost, parts = best
    return parts


def _neighbours(parts: Parts, capacities: Sequence[int]) -> Iterator[Parts]:
    free = [capacity - parts.count(qpu) for qpu, capacity in enumerate(capacities)]
    for qubit, here in enumerate(parts):
        for qpu, room in enumerate(free):
            if room > 0 and qpu != here:
                yield (*parts[:qubit], qpu, *parts[qubit + 1 :])
    for one, other in combinations(range(len(parts)), 2):
        if parts[one] != parts[other]:
            changed = list(parts)
            changed[one], changed[other] = parts[other], parts[one]
            yield tuple(changed)
