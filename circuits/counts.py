"""Counts: adding them up, putting their bits in order, and comparing them with a distribution. No SDK is imported.

Bit order is Qiskit's: classical bit 0 is the rightmost character, and strings carry no spaces.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache

from circuits.errors import CircuitError
from circuits.family import Counts

MOST_TOGETHER = 128
"""Probabilities whose binomials are summed in one table."""


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
    roots = _root_binomials(shots, tuple(set(q)))
    means = [math.sqrt(weight) * roots[weight][0] for weight in q]
    shared = [mean * roots[weight][1] for mean, weight in zip(means, q, strict=True)]
    pairs = _over_pairs(means) - _over_pairs(shared) / shots
    return max(0.0, min(1.0, math.fsum(weight * weight for weight in q) + pairs / shots))


def _over_pairs(terms: Sequence[float]) -> float:
    """Sum of products over ordered pairs of different terms."""
    return math.fsum(terms) ** 2 - math.fsum(term * term for term in terms)


@lru_cache(maxsize=256)
def _root_binomials(shots: int, probabilities: tuple[float, ...]) -> dict[float, tuple[float, float]]:
    """For each probability p: m = E[sqrt n] of a binomial, and d ln m/d ln p = E[sqrt(n) (n - S p)]/((1 - p) m)."""
    found, exact = {}, []
    for p in sorted(probabilities):
        mean = shots * p
        if p >= 1.0:
            found[p] = math.sqrt(shots), 0.5
        elif mean < 1e-12:
            found[p] = mean, 1.0
        elif mean > 1e4:  # delta method: relative error below 1e-8 here
            found[p] = math.sqrt(mean) * (1.0 - (1.0 - p) / (8.0 * mean)), 0.5
        else:
            exact.append(p)
    start = 0
    while start < len(exact):  # neighbours share their terms, so far as a table of them stays small
        widest = max(4.0 * exact[start], 1.0 / shots)
        stop = min(bisect_right(exact, widest), start + MOST_TOGETHER)
        found |= _summed(shots, exact[start:stop])
        start = stop
    return found


def _summed(shots: int, probabilities: Sequence[float]) -> dict[float, tuple[float, float]]:
    """The same by summing over every n that matters to any of them; ascending, each in (0, 1)."""
    import numpy as np
    from scipy.special import gammaln

    def spread(p: float) -> float:
        return 8.0 * math.sqrt(shots * p * (1.0 - p)) + 12.0

    least, most = probabilities[0], probabilities[-1]
    n = np.arange(
        max(1, math.floor(shots * least - spread(least))), min(shots, math.ceil(shots * most + spread(most))) + 1
    )
    p = np.array(probabilities)[:, None]
    log_choose = gammaln(shots + 1.0) - gammaln(n + 1.0) - gammaln(shots - n + 1.0)
    terms = np.sqrt(n) * np.exp(log_choose + n * np.log(p) + (shots - n) * np.log1p(-p))
    roots = terms.sum(axis=1)
    tilted = (terms * (n - shots * p)).sum(axis=1) / ((1.0 - p[:, 0]) * roots)
    return dict(zip(probabilities, zip(roots.tolist(), tilted.tolist(), strict=True), strict=True))


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
