"""Counts: adding them up, putting their bits in order, and comparing them with a distribution. No SDK is imported.

Bit order is Qiskit's: classical bit 0 is the rightmost character, and strings carry no spaces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from circuits.errors import CircuitError
from circuits.family import Counts


def merge(*counts: Mapping[str, int]) -> Counts:
    """Counts of all runs together. Strings with spaces between registers are joined first."""
    total: Counts = {}
    for part in counts:
        for bits, number in part.items():
            key = bits.replace(" ", "")
            total[key] = total.get(key, 0) + number
    return total


def reverse_bits(counts: Mapping[str, int]) -> Counts:
    """Counts with every string reversed: from "wire 0 first" (Cirq, PennyLane, Braket) to Qiskit's order and back."""
    return {bits[::-1]: number for bits, number in counts.items()}


def marginal(counts: Mapping[str, int], bits: Sequence[int]) -> Counts:
    """Counts of the chosen classical bits alone: ``bits[0]`` becomes the rightmost character."""
    total: Counts = {}
    for text, number in counts.items():
        key = "".join(text[-1 - bit] for bit in reversed(bits))
        total[key] = total.get(key, 0) + number
    return total


def to_bits(value: int, width: int) -> str:
    """The string of an integer whose bit i is classical bit i. ``width`` 0 gives the empty string."""
    return format(value, f"0{width}b") if width else ""


def probabilities(counts: Mapping[str, float]) -> dict[str, float]:
    """Weights divided by their sum.

    Raises:
        CircuitError: a weight is negative or not finite, or they sum to zero.
    """
    total = math.fsum(counts.values())
    if not (math.isfinite(total) and total > 0 and min(counts.values()) >= 0):
        raise CircuitError(f"wanted counts >= 0 with a positive sum, got {len(counts)} entries that sum to {total}")
    return {bits: number / total for bits, number in counts.items()}


def hellinger_fidelity(counts: Mapping[str, float], ideal: Mapping[str, float]) -> float:
    """How alike two distributions are, in [0, 1].

    F = (sum_x sqrt(p_x q_x))^2        [Hellinger; the definition that Qiskit's hellinger_fidelity uses]

    Args:
        counts: counts or probabilities; normalised here.
        ideal: counts or probabilities; normalised here.
    """
    p, q = probabilities(counts), probabilities(ideal)
    overlap = math.fsum(math.sqrt(weight * q[bits]) for bits, weight in p.items() if bits in q)
    return min(1.0, overlap * overlap)


def finite_shot_floor(ideal: Mapping[str, float], shots: int) -> float:
    """Expected Hellinger fidelity of a perfect device that is asked only ``shots`` times.

    E[F] = sum_x q_x E[n_x]/S + sum_{x != y} sqrt(q_x q_y) E[sqrt(n_x n_y)]/S,  n ~ multinomial(S, q)        (ours)

    The first sum is sum_x q_x^2 exactly. In the second, E[sqrt(n_x n_y)] is taken as m_x m_y (1 - s_x s_y/S) with the
    exact binomial means m = E[sqrt n] and their elasticities s = d ln m/d ln q: counts share S shots, so where one is
    large the other is small. Exact for one outcome, for one shot, and as S grows; elsewhere within 0.006 of Monte Carlo
    on the distributions in the tests.

    Args:
        ideal: probabilities or counts; normalised here.
        shots: number of repetitions, >= 1.
    """
    if shots < 1:
        raise CircuitError(f"wanted shots >= 1, got {shots}")
    q = list(probabilities(ideal).values())
    roots = {weight: _root_binomial(shots, weight) for weight in set(q)}
    means = [math.sqrt(weight) * roots[weight][0] for weight in q]
    shared = [mean * roots[weight][1] for mean, weight in zip(means, q, strict=True)]
    pairs = _over_pairs(means) - _over_pairs(shared) / shots
    return max(0.0, min(1.0, math.fsum(weight * weight for weight in q) + pairs / shots))


def _over_pairs(terms: Sequence[float]) -> float:
    """Sum of products over ordered pairs of different terms."""
    return math.fsum(terms) ** 2 - math.fsum(term * term for term in terms)


@lru_cache(maxsize=4096)
def _root_binomial(shots: int, probability: float) -> tuple[float, float]:
    """M = E[sqrt n] of a binomial, and d ln m/d ln p = E[sqrt(n) (n - S p)]/((1 - p) m)."""
    mean = shots * probability
    if probability >= 1.0:
        return math.sqrt(shots), 0.5
    if mean < 1e-12:
        return mean, 1.0
    if mean > 1e4:  # delta method: relative error below 1e-8 here
        return math.sqrt(mean) * (1.0 - (1.0 - probability) / (8.0 * mean)), 0.5
    spread = 8.0 * math.sqrt(mean * (1.0 - probability)) + 12.0
    low, high = max(1, math.floor(mean - spread)), min(shots, math.ceil(mean + spread))
    log_p, log_q = math.log(probability), math.log1p(-probability)
    log_choose = math.lgamma(shots + 1) - math.lgamma(low + 1) - math.lgamma(shots - low + 1)
    log_weight = log_choose + low * log_p + (shots - low) * log_q
    root = tilted = 0.0
    for n in range(low, high + 1):
        term = math.sqrt(n) * math.exp(log_weight)
        root += term
        tilted += term * (n - mean)
        if n < high:
            log_weight += math.log((shots - n) / (n + 1)) + log_p - log_q
    return root, tilted / ((1.0 - probability) * root)


def clopper_pearson(successes: int, shots: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided confidence interval of a binomial probability [Clopper & Pearson 1934, Biometrika 26 404].

    Raises:
        CircuitError: not 0 <= successes <= shots, shots < 1, or confidence outside (0, 1).
    """
    if not (shots >= 1 and 0 <= successes <= shots and 0.0 < confidence < 1.0):
        raise CircuitError(
            f"wanted 0 <= successes <= shots, shots >= 1, 0 < confidence < 1, got {successes}, {shots}, {confidence}"
        )
    from scipy.stats import beta

    tail = (1.0 - confidence) / 2.0
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, shots - successes + 1))
    high = 1.0 if successes == shots else float(beta.ppf(1.0 - tail, successes + 1, shots - successes))
    return low, high
