"""How good a result is, always relative to the ideal and in [0, 1].

A family that knows what it wants is judged by its score over its ideal score. A user's circuit is judged by the
Hellinger fidelity of its counts to the exact distribution, where that can be computed; where it cannot, the fidelity
is left open and the caller has to estimate it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit, transpile

from circuits.counts import finite_shot_floor, hellinger_fidelity, to_bits
from circuits.facts import Judgement
from circuits.family import CircuitFamily
from circuits.lowering import COMMON_GATES
from circuits.program import is_scored
from circuits.structure import NOT_GATES, drop_idle_qubits, is_dynamic, measurements

if TYPE_CHECKING:
    from circuits.family import AdaptiveFamily, Counts, Outcome

MAX_WORK = 2.0**33
"""Gates times amplitudes above which the exact distribution is not computed: about half a minute on one core (ours)."""

MAX_EXACT_BITS = 14
"""Uniform score: every string up to here, a seeded sample above."""


def judge(family: CircuitFamily, counts: Counts, ideal: Mapping[str, float] | None) -> Judgement:
    """Judge the counts of ``family.build()``.

    Args:
        family: a family, or a user's circuit.
        counts: at least one shot.
        ideal: exact distribution of a user's circuit; None if it is not known. Not used for a family.
    """
    if is_scored(family):
        return _relative(family.score(counts), family.ideal_score)
    if ideal is None:
        return Judgement(None, "estimated")
    floor = finite_shot_floor(ideal, sum(counts.values()))
    return Judgement(hellinger_fidelity(counts, ideal), "hellinger", floor=floor)


def judge_outcome(family: AdaptiveFamily, outcome: Outcome) -> Judgement:
    """Judge what an adaptive family found."""
    return _relative(outcome.score, family.ideal_outcome_score)


def mixture_fidelity(
    family: CircuitFamily, weight: float, ideal: Mapping[str, float] | None, num_clbits: int
) -> float | None:
    """Fidelity if the output were weight * ideal + (1 - weight) * uniform over the classical bits (ours).

    For a family: (weight * ideal_score + (1 - weight) * score(uniform)) / ideal_score.

    Args:
        family: a family, or a user's circuit.
        weight: share of shots without error, in [0, 1].
        ideal: exact distribution of a user's circuit; None if it is not known.
        num_clbits: bits of one outcome.

    Returns:
        In [0, 1]; None for a user's circuit whose distribution is not known.
    """
    if is_scored(family):
        mixed = weight * family.ideal_score + (1.0 - weight) * _uniform_score(cast(Hashable, family), num_clbits)
        return _clip(mixed / family.ideal_score)
    if ideal is None:
        return None
    background = (1.0 - weight) / 2.0**num_clbits
    return _clip(math.fsum(math.sqrt(q * (weight * q + background)) for q in ideal.values()) ** 2)


def ideal_distribution(
    circuit: QuantumCircuit, *, max_qubits: int = 20, max_entries: int = 4096
) -> dict[str, float] | None:
    """Exact probabilities of the measured classical bits, without noise.

    Idle qubits are dropped first; a classical bit that nothing writes is 0. Outcomes below 1e-12 are dropped.

    Args:
        circuit: measured, without free parameters.
        max_qubits: most active qubits that are simulated.
        max_entries: most outcomes worth keeping.

    Returns:
        Bit string as in counts, without spaces -> probability; None if the circuit is dynamic or too large.
    """
    if is_dynamic(circuit) or circuit.num_parameters:
        return None
    small = drop_idle_qubits(circuit)
    targets = measurements(small)
    if not targets or small.num_qubits > max_qubits or small.size() * 2.0**small.num_qubits > MAX_WORK:
        return None
    measured = sorted(set(targets.values()))
    weights = _probabilities(_unitary_part(small), measured)
    (kept,) = np.nonzero(weights >= 1e-12)
    if len(kept) > max_entries:
        return None
    place = {qubit: position for position, qubit in enumerate(measured)}
    shifts = [(clbit, place[qubit]) for clbit, qubit in targets.items()]
    distribution: dict[str, float] = {}
    for index in kept.tolist():
        value = sum((index >> source & 1) << clbit for clbit, source in shifts)
        distribution[to_bits(value, circuit.num_clbits)] = float(weights[index])
    return distribution


def _relative(score: float, ideal_score: float) -> Judgement:
    return Judgement(_clip(score / ideal_score), "score", score=score, ideal_score=ideal_score)


def _clip(value: float) -> float:
    return max(0.0, min(1.0, value))


def _unitary_part(circuit: QuantumCircuit) -> QuantumCircuit:
    """The gates alone, in a basis that every simulator knows. Resets act on fresh qubits here and change nothing."""
    names = {item.operation.name for item in circuit.data}
    known = set(COMMON_GATES) - {"ch"}  # Aer has no controlled Hadamard
    if not names <= {*known, *NOT_GATES}:
        circuit = transpile(circuit, basis_gates=sorted({*known, "reset"}), optimization_level=0)
    bare = circuit.copy_empty_like()
    for item in circuit.data:
        if item.operation.name not in NOT_GATES:
            bare._append(item)
    return bare


def _probabilities(circuit: QuantumCircuit, qubits: list[int]) -> NDArray[np.float64]:
    """Marginal of the chosen qubits, the first one in index bit 0; float64 (2^len(qubits),).

    Aer is used where it is installed, since Qiskit's own simulator is far slower above a dozen qubits.
    """
    try:
        from qiskit_aer import AerSimulator
    except ImportError:
        from qiskit.quantum_info import Statevector

        return np.asarray(Statevector(circuit).probabilities(qubits), dtype=np.float64)
    circuit.save_probabilities(qubits)  # this method comes with Aer
    result = AerSimulator(method="statevector", max_parallel_threads=1).run(circuit, shots=1).result()
    return np.asarray(result.data(0)["probabilities"], dtype=np.float64)


@lru_cache(maxsize=512)
def _uniform_score(family: Hashable, num_clbits: int) -> float:
    """Score of a device that answers with coin flips. A family is a frozen dataclass, hence hashable."""
    if not isinstance(family, CircuitFamily):
        raise TypeError(f"wanted a circuit family, got {type(family).__name__}")
    if num_clbits <= MAX_EXACT_BITS:
        return float(family.score({to_bits(value, num_clbits): 1 for value in range(2**num_clbits)}))
    generator = random.Random(0)
    sample: dict[str, int] = {}
    for _ in range(2**MAX_EXACT_BITS):
        bits = to_bits(generator.getrandbits(num_clbits), num_clbits)
        sample[bits] = sample.get(bits, 0) + 1
    return float(family.score(sample))
