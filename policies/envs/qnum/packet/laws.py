"""What sources and links work out, as pure functions of numbers: written once for the reference and the kernel.

Elasticities are d log f/d log W of the utilities (:mod:`policies.envs.qnum.utilities`). The primal-dual steps are the
paper's (second-hand: its eqs 14 to 17); scale-free gains, head-room and the damped price are ours. numba compiles these
functions as they stand, so none of them calls another one, and none raises to a power (libm and numba would differ).
"""

from __future__ import annotations

from math import exp, log, sqrt

from policies.envs.qnum.packet.settings import Law

UTILITY_CODES = ("neg", "skf", "de", "logneg")
"""A utility's number is its place here."""

LN2 = log(2.0)


def elasticity(utility: int, log_w: float, most: float) -> float:
    """Of a utility, d log f/d log W at W = exp(log_w); ``most`` where it is more, or the pair worth nothing."""
    w = exp(min(log_w, -1e-12))
    if utility == 0:
        worth, slope = 3.0 * w - 1.0, 3.0
    elif utility == 1:
        up, down = 1.0 + w, 1.0 - w
        worth = 1.0 + (up * log(0.5 * up) + down * log(0.5 * down)) / LN2
        slope = log(up / down) / LN2
    elif utility == 2:
        right, wrong = 0.25 + 0.75 * w, 0.75 * (1.0 - w)
        worth = 1.0 + (right * log(right) + wrong * log(wrong / 3.0)) / LN2
        slope = 0.75 * log(3.0 * right / wrong) / LN2
    else:
        worth, slope = log(0.5 * (3.0 * w + 1.0)) / LN2, 3.0 / (LN2 * (3.0 * w + 1.0))
    if worth <= 0.0 or w * slope > most * worth:
        return most
    return w * slope / worth


def wanted_rate(weight: float, alpha: float, price: float, least: float, most: float) -> float:
    """Rate at which the marginal utility ω R^-α is the route's price, within bounds; second-hand for α = 1 (eq. 15)."""
    if price * most <= weight * 1e-12:
        return most
    rate = weight / price
    if alpha != 1.0:
        rate = exp(log(rate) / alpha)
    return max(least, min(rate, most))


def slope_of_rate(hops: int, weight: float, alpha: float, rate: float) -> float:
    """How much a route's rate answers to its price, times its hops: h R²/ω for α = 1 (ours); headers declare it."""
    answer = rate * rate / weight
    if alpha != 1.0:
        answer = answer * exp((alpha - 1.0) * log(rate)) / alpha
    return hops * answer


def wanted_multiplier(law: Law, multiplier: float, log_w_min: float, log_w: float, hops: int) -> float:
    """Next multiplier of a flow's least quality: second-hand (eq. 16), its gain ours."""
    gain = law.quality_gain_hz * law.period_s * hops / max(log_w * log_w, 1e-6)
    return max(multiplier + gain * (log_w_min - log_w), 0.0)


def link_step(
    law: Law,
    d_hz: float,
    price: float,
    w: float,
    load_hz: float,
    weight: float,
    slopes: float,
    marginal: float,
    later: float,
    queue: float,
    decay_hz: float,
) -> tuple[float, float, float, float]:
    """Next price and Werner parameter of a link, the price to stamp, and the head-room in pairs per second.

    Price and Werner parameter move as in the paper (second-hand: eqs 14 and 17), the first before the second. Ours:
    gains over P = Σ h R²/ω and (1 - w)²/Σ ω; the head-room s with λ = A 2Γ/(s (s + 2Γ)), at which a longer queue costs
    as much in decoherence as capacity does in quality; and the damped price.

    Args:
        law, d_hz, price, w: of the link, before.   load_hz: y.   weight: Σ ω.   slopes: P, as headers declare it.
        marginal: Σ (ω a + μ) over its flows.   later: A, the part of flows that come with a stored pair.
        queue: waiting requests.   decay_hz: 2 Γ.
    """
    capacity = d_hz * (1.0 - w)
    scale = max(slopes, 0.5 * capacity * capacity / weight)
    room = law.least_room * capacity
    if law.aware == 1 and price > 0.0:
        wise = 0.5 * (sqrt(decay_hz * decay_hz + 4.0 * decay_hz * later / price) - decay_hz)
        room = max(room, min(wise, 0.9 * capacity))
    surplus = queue - law.queue_ref
    if law.aware == 1:
        surplus = max(0.0, surplus - law.queue_slack * load_hz / max(room, 1e-9))
    excess = load_hz - capacity + room + min(law.queue_gain_hz * surplus, 0.5 * capacity)
    price = max(price + law.price_gain_hz * law.period_s / scale * excess, 0.0)
    stamped = max(price + law.damping / scale * excess, 0.0)
    gain = law.werner_gain_hz * law.period_s * (1.0 - w) * (1.0 - w) / weight
    w = w + gain * (marginal / w - d_hz * stamped)
    w = max(0.05, min(w, 1.0 - law.least_capacity_hz / d_hz))
    return price, w, stamped, room


def admitted(price: float, weight: float, new: float, capacity_hz: float) -> float:
    """A link's price when it first hears of a flow: raised in proportion, so that all make room at once (ours)."""
    return new / capacity_hz if weight <= 0.0 or price <= 0.0 else price * (weight + new) / weight


def released(price: float, weight: float, gone: float) -> float:
    """A link's price when a flow has been silent for long: lowered in proportion (ours)."""
    return price * (weight - gone) / weight if weight - gone > 1e-9 * weight else 0.0


def stamped_quality(law: Law, w: float, room: float, decay_hz: float, latency_s: float) -> tuple[float, float]:
    """Log of the quality that a hop is expected to leave, as the first hop and as a later one (ours for -DA)."""
    first = log(w)
    if law.aware == 0:
        return first, first
    first -= decay_hz * latency_s
    return first, first + log(room / (room + decay_hz))


def marking(law: Law, chance: float, queue: float, before: float) -> float:
    """Probability to mark: PI-AQM (Hollot et al., related work, from memory), its constants ours."""
    chance += law.mark_gain * (queue - law.queue_ref) - law.mark_memory * (before - law.queue_ref)
    return max(0.0, min(chance, 1.0))


def timeout_s(smooth_s: float, spread_s: float, rate_hz: float) -> float:
    """Silence after which a source takes what is under way for lost: srtt + 4 rttvar (QTCP), and three sends (ours)."""
    return max(0.2, smooth_s + 4.0 * spread_s) + 3.0 / rate_hz if smooth_s > 0.0 else 1.0 + 3.0 / rate_hz


SOFT_S, SOFT_SENDS = 1.0, 10.0
"""A link forgets a flow after this long and as many of its sends (ours)."""
ASKING = 2
"""Timeouts in a row after which a source only asks whether its route is back: its headers declare nothing, and links
take it for gone, so that quality stays where it was on a link that has no other flow (ours)."""
START_WINDOW, START_THRESHOLD, MOST_WINDOW = 2.0, 1e9, 4096
"""Of AIMD: slow start from two, as far as it goes."""
