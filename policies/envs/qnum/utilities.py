"""What a pair's quality is worth: U(R, W) = weight (log R + log f(W)), f by name.

``neg`` is the paper's as transcribed (second-hand: log R + log(3 W - 1), four times the negativity); ``skf`` and ``de``
are related work's (Vardoyan and Wehner: secret-key fraction of BB84, and the hashing bound of distillation);
``logneg`` is ours, as are the extensions of :func:`rate_worth`. Logarithms of U are natural, those within f binary.

log f is concave in W for neg and logneg alone. For all four, log f(exp(-e^s)) is concave and falls in s (ours, checked
numerically), which is why the problem has one optimum: see :mod:`policies.allocators.optimum`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LN2 = float(np.log(2.0))


@dataclass(frozen=True)
class Utility:
    """A quality f(W) of an end-to-end Werner parameter, positive above ``least_w``, with two derivatives.

    Attributes:
        name: as a flow names it.   least_w: f is 0 there, and the flow worthless at or below.
        quality, slope, curvature: f, f' and f'' for W in (least_w, 1), element by element.   float64 (n,) each
        concave: whether log f is concave in W, so that the paper's global stability covers it.
    """

    name: str
    least_w: float
    quality: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    curvature: Callable[[Array], Array]
    concave: bool

    def log_quality(self, w: Array) -> Array:
        """The logarithm log f(W); minus infinity where the pair is worth nothing."""
        worth = self.quality(np.maximum(w, self.least_w))
        logarithms: Array = np.log(np.maximum(worth, 1e-300))
        found: Array = np.where((w > self.least_w) & (worth > 0.0), logarithms, -np.inf)
        return found

    def elasticity(self, w: Array) -> Array:
        """a(W) = d log f/d log W = W f'/f; infinite where the pair is worth nothing."""
        worth = self.quality(np.maximum(w, self.least_w))
        alive = (w > self.least_w) & (worth > 0.0)
        found: Array = np.where(alive, w * self.slope(w) / np.where(alive, worth, 1.0), np.inf)
        return found

    def elasticity_slope(self, w: Array) -> Array:
        """da/d log W = a + W² f''/f - a², for w above ``least_w``."""
        elasticity = self.elasticity(w)
        slope: Array = elasticity * (1.0 - elasticity) + w * w * self.curvature(w) / self.quality(w)
        return slope


def _entropy_term(x: Array) -> Array:
    return x * np.log(np.maximum(x, 1e-300)) / _LN2


def _secret_key(w: Array) -> Array:
    """1 - 2 h2((1 - W)/2)."""
    return 1.0 + 2.0 * (_entropy_term(0.5 * (1.0 + w)) + _entropy_term(0.5 * (1.0 - w)))


def _distillable(w: Array) -> Array:
    """1 + F log2 F + (1 - F) log2((1 - F)/3)."""
    wrong = 0.75 * (1.0 - w)
    worth: Array = 1.0 + _entropy_term(1.0 - wrong) + _entropy_term(wrong) - wrong * (np.log(3.0) / _LN2)
    return worth


def _odds(right: Array, wrong: Array) -> Array:
    odds: Array = np.log(right / np.maximum(wrong, 1e-300)) / _LN2
    return odds


_ALL = (
    Utility(
        "neg",
        1.0 / 3.0,
        lambda w: 3.0 * w - 1.0,
        lambda w: np.full_like(w, 3.0),
        lambda w: np.zeros_like(w),
        concave=True,
    ),
    Utility(
        "skf",
        0.7799442711232795,
        _secret_key,
        lambda w: _odds(1.0 + w, 1.0 - w),
        lambda w: 2.0 / (_LN2 * np.maximum((1.0 - w) * (1.0 + w), 1e-300)),
        concave=False,
    ),
    Utility(
        "de",
        0.7476138334463476,
        _distillable,
        lambda w: 0.75 * _odds(0.75 * (1.0 + 3.0 * w), 0.75 * (1.0 - w)),
        lambda w: 0.75 / (_LN2 * np.maximum((0.25 + 0.75 * w) * (1.0 - w), 1e-300)),
        concave=False,
    ),
    Utility(
        "logneg",
        1.0 / 3.0,
        lambda w: np.log(0.5 * (3.0 * w + 1.0)) / _LN2,
        lambda w: 3.0 / (_LN2 * (3.0 * w + 1.0)),
        lambda w: -9.0 / (_LN2 * (3.0 * w + 1.0) * (3.0 * w + 1.0)),
        concave=True,
    ),
)
UTILITIES: dict[str, Utility] = {each.name: each for each in _ALL}
"""By the name that a flow gives."""


def rate_worth(rate_hz: Array, alpha: Array) -> Array:
    """The part of utility that a rate brings, before its weight: log R, or alpha-fair R^(1-α)/(1-α) (ours).

    Args:
        rate_hz: > 0.   alpha: 1 for the logarithm of the paper, larger for more even rates.   float64 (n,) each
    """
    logarithm = np.log(rate_hz)
    power = 1.0 - alpha
    worth: Array = np.where(alpha == 1.0, logarithm, np.exp(power * logarithm) / np.where(alpha == 1.0, 1.0, power))
    return worth
