"""The laws of QPrimalDual's controllers, element by element, for one controller or for arrays of them.

Updates (14) to (17) of the paper, in this order and each with the newest values, are second-hand: transcribed by
others, for the utility ``neg`` alone, with their gains (:data:`TRANSCRIBED`). Those suit small networks whose links
make about 5 000 pairs/s. What makes one set of gains fit every network is ours (:data:`SCALE_FREE`):

* Gains are in units that flows and links declare: how rates answer prices (P), how qualities answer (H), how much
  room a route has. All sums are local to a link, or run along a route in the header of a message.
* The Werner controller works against the price with a proportional part (PI), without which the loop of price and
  quality rings; minimum quality goes on with part of its last step.
* It is at most as quick as Newton's step, and where nobody wants a link's pairs it gives them away no further than to
  what is asked for.
* A flow near the W at which it is worthless has a marginal utility so steep that it declares part of it at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from policies.envs.qnum.utilities import UTILITIES, Array

LEAST_W, MOST_W = 0.05, 1.0 - 1e-9
"""Bounds of a link's Werner parameter (ours; the paper's are 0 and 1, at which logarithm or rate end)."""

MOST_ELASTICITY = 1e4
"""Of a flow that is worth nothing yet: enough to bring it to life (ours)."""

_DEAD_STEP = 0.02
"""By how much log W of such a flow is meant to rise at a time (ours)."""

FLOOR = 0.25
"""Of P, over c²/n, where flows take much less than a link makes (ours)."""


@dataclass(frozen=True)
class Gains:
    """How quickly controllers move: in pairs and seconds if not ``scale_free``, without unit if so.

    Attributes:
        price: κ_λ of eq. (14).   werner: κ_w of eq. (17).   quality: κ_μ of eq. (16).
        proportional: of the price that the Werner controller sees; 0 for eq. (14) as it stands.
        quality_proportional: of μ.   momentum: share of its last step that μ goes on with.
        steepest: share of the room by which a marginal utility may move.
        scale_free: whether gains are relative.
    """

    price: float
    werner: float
    quality: float
    proportional: float = 0.0
    quality_proportional: float = 0.0
    momentum: float = 0.0
    steepest: float = np.inf
    scale_free: bool = True

    def slowed(self, delay: int) -> Gains:
        """For messages that take so many iterations each way (ours): what hears of itself late moves the less.

        The proportional part stays as it is: price and quality of a link know each other at once. μ waits longest: it
        acts through qualities and rates, which are late themselves; it goes as far in the end, without momentum. A
        marginal utility near worthlessness moves in the smallest steps, or it goes round in circles.
        """
        if delay == 0 or not self.scale_free:
            return self
        slower, slowest, steepest = (1.0 / (1.0 + rounds * delay) for rounds in (2.0, 3.0, 6.0))
        return replace(
            self,
            price=self.price * slower,
            werner=self.werner * slower,
            quality=self.quality / (1.0 - self.momentum) * slowest,
            momentum=0.0,
            quality_proportional=self.quality_proportional * slowest,
            steepest=self.steepest * steepest,
        )


TRANSCRIBED = Gains(5e-6, 5e-5, 1e-2, scale_free=False)
"""Second-hand for the paper; with every link at w = 0.967 at the start."""

SCALE_FREE = Gains(0.5, 1.0, 0.8, proportional=1.0, quality_proportional=0.4, momentum=0.5, steepest=10.0)
"""Ours; one set for all networks."""

PLAIN = Gains(0.1, 0.1, 0.1, quality_proportional=0.2, steepest=1.0)
"""Ours; scale-free without the proportional part, hence slower."""

START_W = 0.967
"""Of every link (second-hand)."""


def new_price(price: Array, excess: Array, stiffness: Array, gains: Gains) -> tuple[Array, Array]:
    """Eq. (14): λ, and what the Werner controller sees of it.

    Args:
        price: λ.   excess: Σ R - d (1 - w).   stiffness: P.   float64 (n,) or () each
    """
    unit = stiffness if gains.scale_free else np.ones_like(stiffness)
    moved = np.maximum(price + gains.price / unit * excess, 0.0)
    return moved, np.maximum(moved + gains.proportional / unit * excess, 0.0)


def price_stiffness(declared: Array, made: Array, num_sharing: Array) -> Array:
    """P of a link: by how much flows change their rates with its price, bounded from below."""
    stiff: Array = np.maximum(declared, FLOOR * made * made / num_sharing)
    return stiff


def demand(path_price: Array, weight: Array, alpha: Array, least: Array, most: Array) -> Array:
    """Eq. (15): the rate whose marginal utility is the price of the path, between bounds."""
    rate: Array = np.exp(np.log(weight / np.maximum(path_price, 1e-300)) / alpha)
    return np.minimum(np.maximum(rate, least), most)


def declared_stiffness(rate: Array, weight: Array, alpha: Array, hops: Array) -> Array:
    """What a flow adds to P on each of its links, h |dR/dΛ|."""
    bent: Array = hops * np.exp((alpha + 1.0) * np.log(rate)) / (alpha * weight)
    return bent


def werner_gain(declared: tuple[Array, Array], at: tuple[Array, Array, Array], w: Array, gains: Gains) -> Array:
    """Of eq. (17), for a link.

    Args:
        declared: sums over flows of marginal utilities and of their bends, S and H: the newest, since a minimum
            quality that comes into force bends much more than what was declared before.
        at: excess, P, and d.
    """
    (marginal, bend), (excess, stiffness, d_hz) = declared, at
    if not gains.scale_free:
        return np.full_like(w, gains.werner)
    loop = d_hz * d_hz / stiffness
    idle = marginal * d_hz / (w * np.maximum(-excess, 1e-300))
    against = np.where(excess < 0.0, np.minimum(loop, idle), loop)
    gain: Array = gains.werner / np.maximum(against + bend / (w * w), 1e-300)
    return gain


def new_werner(w: Array, price: Array, marginal: Array, d_hz: Array, gain: Array) -> Array:
    """Eq. (17): towards where more quality would cost as much rate as it is worth."""
    moved: Array = w + gain * (marginal / w - d_hz * price)
    return np.minimum(np.maximum(moved, LEAST_W), MOST_W)


def in_force(mu: Array) -> Array:
    """1 where a minimum quality pushes, 0 elsewhere.

    Args:
        mu: as declared.
    """
    return (mu > 0.0).astype(np.float64)


def crowding(stiffness: Array, num_pushing: Array, d_hz: Array, w: Array) -> Array:
    """What a link adds to a route's crowding, m P/(d w)²: how far log w moves with what flows declare (ours).

    At rest, log W of flows whose minimum is in force answers their μ by at most Σ P/(d w)² over the links they share;
    the rows of that matrix add up to what is collected here. Flows whose minimum is not in force do not push, but all
    do with their marginal utilities: there are two sums.

    Args:
        num_pushing: flows, or those whose minimum is in force; it counts as 1 if there is none.
    """
    crowd: Array = np.maximum(num_pushing, 1.0) * stiffness / (d_hz * d_hz * w * w)
    return crowd


def new_quality_price(mu: Array, before: Array, shortfall: Array, room: Array, gains: Gains) -> tuple[Array, Array]:
    """Eq. (16): μ, and what the source declares of it. Momentum is ours (Polyak's heavy ball).

    Two long flows over nearly the same links settle slowly between themselves; momentum helps there, where a gain that
    is as large in the end would unsettle what answers at once.

    Args:
        mu: of the flow.   before: the one before it.   shortfall: K - Σ log w, minus infinity for none.
        room: one over the route's crowding.
    """
    unit = room if gains.scale_free else np.ones_like(room)
    missed = np.maximum(shortfall, -1e3)
    step = gains.momentum * (mu - before) + gains.quality * unit * missed
    moved = np.where(np.isfinite(shortfall), np.maximum(mu + step, 0.0), 0.0)
    seen = np.maximum(moved + gains.quality_proportional * unit * missed, 0.0)
    return moved, np.where(np.isfinite(shortfall), seen, 0.0)


def new_marginal(old: Array, elasticity: Array, weight: Array, room: Array, gains: Gains) -> tuple[Array, Array]:
    """Marginal utility of log W that a source declares, ω θ a, and how much it bends.

    Args:
        old: what it declared before.   elasticity: a.   weight: ω θ.   room: one over the route's crowding.
    """
    capped = np.minimum(elasticity, MOST_ELASTICITY)
    steep = weight * np.where(elasticity < MOST_ELASTICITY, capped * capped, MOST_ELASTICITY / _DEAD_STEP)
    share = np.minimum(1.0, gains.steepest * room / steep) if gains.scale_free else np.ones_like(steep)
    return old + share * (weight * capped - old), share * steep


def declared_bend(marginal: Array, bend: Array, mu: Array, at: tuple[Array, Array], gains: Gains) -> Array:
    """What a flow adds to H on each of its links: its own curvature, and that of its minimum quality.

    Args:
        marginal: ω θ a + μ as declared.   bend: of the utility.   mu: as declared.   at: hops, and room of the route.
    """
    hops, room = at
    held = np.where(mu > 0.0, gains.quality_proportional * room, 0.0)
    bent: Array = marginal + hops * (bend + held)
    return bent


def elasticity(utility: str, log_w: Array) -> Array:
    """a(W) of one utility."""
    return UTILITIES[utility].elasticity(np.exp(log_w))


def first_price(declared: Array, w: Array, d_hz: Array) -> Array:
    """λ at the start, Σ (ω/h)/c (ours): what it is if each flow takes its share of each of its links."""
    price: Array = declared / (d_hz * (1.0 - w))
    return price
