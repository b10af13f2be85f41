"""Pairs as Werner states: ages, swaps along a path, purification.

Storage, swap and fidelity are those of :mod:`policies.envs.qnum.werner`, with ``coherence_s`` of the pair, half of one
memory's; purification is BBPSSW (Bennett et al. 1996) with the result made Werner again, and rounds pump: each takes
one more of the link's pairs.
"""

from __future__ import annotations

from typing import Any

from policies.envs.qnum.werner import fidelity, werner


def end_to_end(link_w: Any, visibility: float) -> float:
    """Werner parameter of a path: the product of its links' and of the swaps' noise, w^(h - 1)."""
    total = 1.0
    for w in link_w:
        total *= w
    return float(total * visibility ** (len(link_w) - 1))


def purified(one: Any, other: Any) -> tuple[Any, Any]:
    """Fidelity after BBPSSW of two Werner pairs, and its probability.

    F' = (F G + (1 - F)(1 - G)/9)/p with p = F G + (F (1 - G) + G (1 - F))/3 + 5 (1 - F)(1 - G)/9.

    Args:
        one, other: fidelities F and G.
    """
    off = (1.0 - one) * (1.0 - other)
    chance = one * other + (one * (1.0 - other) + other * (1.0 - one)) / 3.0 + 5.0 * off / 9.0
    return (one * other + off / 9.0) / chance, chance


def pumped(w: Any, rounds: int) -> Any:
    """Werner parameter of a link after rounds of purification with equal pairs."""
    kept = fidelity(w)
    for _ in range(rounds):
        kept, _ = purified(kept, fidelity(w))
    return werner(kept)
