"""What federated training gives away: epsilon of Gaussian noise on clipped updates, by three accountants.

One record is all that one node holds; neighbouring runs differ by one node whose updates are replaced by zero. The
updates of a round are a sum of sensitivity C (:mod:`policies.allocators.dpem.federation`), divided by a number of
nodes that is public, with Gaussian noise of deviation sigma C.

Sources: Dong, Roth and Su, "Gaussian differential privacy", J. R. Stat. Soc. B 84 (2022), Corollaries 2.13 and 3.3,
exact where all nodes take part in every round; Rényi (Mironov 2017) and privacy loss distributions (Koskela et al.
2020) by the package ``dp-accounting``; noise shared between updates and the count that adapts C: Andrew et al.,
"Differentially private learning with adaptive clipping", NeurIPS 2021, Theorem 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.parameters import short

NOT_COVERED = (
    "the messages of the control plane: a claim says in clear who wants pairs with whom",
    "what a node's requests do to others: they meet in the network, and neighbours learn from what they met",
    "hyper-parameters and any constant that was chosen by looking at the nodes' data",
    "statistics by which features are scaled, where they come from the nodes' data",
    "what a node keeps to itself (embeddings of its pairs, its critic): never sent, but not noised either",
    "the aggregator, which sees every update before the noise: it is trusted with them (central privacy)",
    "poisoned updates: clipping bounds one, the trimmed mean some; noise stops none",
)
"""What epsilon says nothing about."""

MOST_EPSILON = 1e4
"""Larger ones are told as infinite: they promise nothing."""


@dataclass(frozen=True)
class Account:
    """What one training costs.

    Attributes:
        sigma: noise over sensitivity, of a whole round.   rounds: that were noised so.
        sampled: chance of each node to take part in a round.   delta: of (epsilon, delta).
        exact: by Gaussian differential privacy; NaN where nodes are sampled, which it does not cover exactly.
        renyi, pld: upper bounds by ``dp-accounting``.
    """

    sigma: float
    rounds: int
    sampled: float
    delta: float
    exact: float
    renyi: float
    pld: float


def gaussian_mu(sigma: float, rounds: int) -> float:
    """Of T rounds with all nodes: mu = sqrt(T) / sigma        [Dong et al. 2022, Cor. 3.3]; inf without noise."""
    return math.sqrt(rounds) / sigma if sigma > 0.0 else math.inf


def composed_mu(mus: Sequence[float]) -> float:
    """Of several trainings on the same nodes, such as agent and forecaster: the root of the sum of squares."""
    return math.hypot(*mus)


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Of an epsilon: Phi(-eps/mu + mu/2) - e^eps Phi(-eps/mu - mu/2)        [Dong et al. 2022, Cor. 2.13].

    Never below 0, where rounding would put the difference of two numbers that are nothing.
    """
    from scipy.stats import norm

    second = math.exp(epsilon + float(norm.logcdf(-epsilon / mu - mu / 2.0)))
    return max(0.0, float(norm.cdf(-epsilon / mu + mu / 2.0)) - second)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon at which mu gives delta; 0 if it never gives as much, infinite above :data:`MOST_EPSILON`."""
    from scipy.optimize import brentq

    _check_delta(delta)
    if mu == 0.0 or gaussian_delta(mu, 0.0) <= delta:
        return 0.0
    if not math.isfinite(mu) or gaussian_delta(mu, MOST_EPSILON) > delta:
        return math.inf
    return float(brentq(lambda epsilon: gaussian_delta(mu, epsilon) - delta, 0.0, MOST_EPSILON, xtol=1e-10))


def sigma_for(epsilon: float, delta: float, rounds: int) -> float:
    """The least noise with which so many rounds of all nodes cost at most epsilon, by the exact formula.

    Raises:
        InvalidParameter: epsilon, delta or rounds is out of range.
    """
    from scipy.optimize import brentq

    if not 0.0 < epsilon <= MOST_EPSILON:
        raise InvalidParameter(f"epsilon: wanted a number in (0, {MOST_EPSILON:g}], got {short(epsilon)}")
    _check_delta(delta)
    _check_rounds(rounds)
    mu = brentq(lambda log: gaussian_delta(math.exp(log), epsilon) - delta, math.log(1e-6), math.log(1e3), xtol=1e-12)
    return math.sqrt(rounds) / math.exp(mu)


def update_sigma(sigma: float, count_sigma: float) -> float:
    """Noise on the updates so that they and the noised count of adaptive clipping together cost as much as sigma.

    z_delta = (z^-2 - (2 s_b)^-2)^(-1/2)        [Andrew et al. 2021, Theorem 1]

    Args:
        sigma: z, of the whole round.   count_sigma: s_b, deviation of the noise on the count of nodes, in nodes.

    Raises:
        InvalidParameter: the count alone costs more than that.
    """
    if sigma == 0.0:
        return 0.0
    if 2.0 * count_sigma <= sigma:
        raise InvalidParameter(f"count_sigma: wanted more than sigma / 2 = {sigma / 2:g}, got {short(count_sigma)}")
    return float((sigma**-2 - (2.0 * count_sigma) ** -2) ** -0.5)


def account(sigma: float, rounds: int, delta: float, sampled: float = 1.0) -> Account:
    """Epsilon of a training by all accountants.

    Raises:
        InvalidParameter: an argument is out of range.
        DependencyNotInstalled: ``dp-accounting`` is missing.
    """
    if not 0.0 < sigma < math.inf:
        raise InvalidParameter(f"sigma: wanted a finite number above 0, got {short(sigma)}")
    _check_rounds(rounds)
    _check_delta(delta)
    if not 0.0 < sampled <= 1.0:
        raise InvalidParameter(f"sampled: wanted a number in (0, 1], got {short(sampled)}")
    exact = gaussian_epsilon(gaussian_mu(sigma, rounds), delta) if sampled == 1.0 else math.nan
    renyi, pld = (_composed(kind, sigma, rounds, sampled).get_epsilon(delta) for kind in ("rdp", "pld"))
    return Account(sigma, rounds, sampled, delta, exact, float(renyi), float(pld))


def together(trainings: Sequence[tuple[float, int, float]], delta: float) -> float:
    """Epsilon of several trainings on the same nodes, such as agent and forecaster; infinite if one has no noise.

    Exact where all nodes take part in every round, by privacy loss distributions elsewhere.

    Args:
        trainings: noise over sensitivity, rounds, and chance of a node to take part, of each.

    Raises:
        InvalidParameter: delta is out of range.
        DependencyNotInstalled: nodes are sampled, and ``dp-accounting`` is missing.
    """
    if all(sampled == 1.0 for *_, sampled in trainings):
        return gaussian_epsilon(composed_mu([gaussian_mu(sigma, rounds) for sigma, rounds, _ in trainings]), delta)
    if any(sigma == 0.0 for sigma, *_ in trainings):
        return math.inf
    accountant = None
    for sigma, rounds, sampled in trainings:
        accountant = _composed("pld", sigma, rounds, sampled, accountant)
    return float(accountant.get_epsilon(delta)) if accountant else 0.0


def _composed(kind: str, sigma: float, rounds: int, sampled: float, before: Any = None) -> Any:
    """An accountant that has seen the training, and what it had seen before."""
    try:
        import dp_accounting
        from dp_accounting import pld, rdp
    except ModuleNotFoundError as error:
        raise DependencyNotInstalled("epsilon by Rényi and privacy loss", "dp_accounting", "privacy") from error
    accountant = before or (rdp.RdpAccountant() if kind == "rdp" else pld.PLDAccountant())
    noised = dp_accounting.GaussianDpEvent(sigma)
    event = noised if sampled == 1.0 else dp_accounting.PoissonSampledDpEvent(sampled, noised)
    return accountant.compose(dp_accounting.SelfComposedDpEvent(event, rounds))


def _check_delta(delta: float) -> None:
    if not 0.0 < delta < 1.0:
        raise InvalidParameter(f"delta: wanted a number in (0, 1), got {short(delta)}")


def _check_rounds(rounds: int) -> None:
    if not 1 <= rounds <= 10**7:
        raise InvalidParameter(f"rounds: wanted an integer in [1, {10**7}], got {short(rounds)}")
