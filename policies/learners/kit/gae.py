"""Generalised advantage estimation over worlds that never end.

Source: MEQC, eq. (26), after Schulman et al., arXiv 1506.02438. Deviations: the paper's last exponent, T - t + 1, is
T - t - 1, since terms are numbered from 0; its delta_t mixes the values of two critics, of which each has its own here.
"""

from __future__ import annotations

from torch import Tensor


def advantages(rewards: Tensor, values: Tensor, discount: float, smoothing: float) -> Tensor:
    """How much better every step went than its critic expected.

    A_t = sum_{i=0}^{T-t-1} (gamma lambda)^i delta_{t+i},  delta_t = r_t + gamma V_{t+1} - V_t        [MEQC, eq. 26]

    All T sums at once, in log2(T) steps: 2^(k+1) terms from t are 2^k terms from t and 2^k terms from t + 2^k.

    Args:
        rewards: of each step, (..., T).   values: of each step and of the one after the last, (..., T + 1).
        discount: gamma.   smoothing: lambda.

    Returns:
        (..., T).
    """
    sums = rewards + discount * values[..., 1:] - values[..., :-1]
    reach, factor = 1, discount * smoothing
    while reach < sums.shape[-1]:
        further = sums.clone()
        further[..., :-reach] += factor * sums[..., reach:]
        sums, reach, factor = further, 2 * reach, factor * factor
    return sums
