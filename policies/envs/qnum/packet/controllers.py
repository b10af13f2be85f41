"""Sources and links of the reference, each an object that sees its own messages and nothing else.

QPrimalDual's places are the paper's: sources hold rates and quality multipliers, links hold prices and Werner
parameters. What they work out is in :mod:`policies.envs.qnum.packet.laws`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from policies.envs.qnum.packet import laws
from policies.envs.qnum.packet.draws import threshold
from policies.envs.qnum.packet.settings import Law


class Facts(NamedTuple):
    """What a flow says of itself when it joins.

    Attributes:
        flow: its number.   hops: of its route.   utility: its code.   weight: ω.   quality_weight: ω θ.
        alpha: of its rate.   log_w_min: K.   most_rate_hz: never to be exceeded.
    """

    flow: int
    hops: int
    utility: int
    weight: float
    quality_weight: float
    alpha: float
    log_w_min: float
    most_rate_hz: float


class Source:
    """Where a flow begins: sets its rate from prices, or its window from marks."""

    __slots__ = (
        *("facts", "law", "start_hz", "active", "rate_hz", "price", "log_w", "multiplier", "marginal", "slope"),
        *("sent", "acked", "heard_s", "smooth_s", "spread_s", "window", "threshold", "calm", "inferred", "timeouts"),
        *("silent", "stated_hz"),
    )

    def __init__(self, facts: Facts, law: Law, start_hz: float) -> None:
        self.facts, self.law, self.start_hz = facts, law, start_hz
        self.active = False
        self.sent = self.acked = self.inferred = self.timeouts = 0
        self.join(0.0)

    def join(self, now: float) -> None:
        """Begin anew, knowing nothing."""
        self.rate_hz, self.price, self.log_w, self.multiplier = self.start_hz, 0.0, 0.0, 0.0
        self.acked, self.heard_s, self.smooth_s, self.spread_s = self.sent, now, 0.0, 0.0
        self.window, self.threshold, self.calm = laws.START_WINDOW, laws.START_THRESHOLD, self.sent
        self.silent = 0
        self.declare()

    def declare(self) -> None:
        """What the next headers say; no rate while the route is silent."""
        facts = self.facts
        self.stated_hz = self.rate_hz if self.silent < laws.ASKING else 0.0
        self.slope = laws.slope_of_rate(facts.hops, facts.weight, facts.alpha, self.rate_hz)
        self.marginal = self.multiplier
        if self.law.local == 0:
            elastic = laws.elasticity(facts.utility, self.log_w, self.law.most_elastic)
            self.marginal += facts.quality_weight * elastic

    def hear(
        self, now: float, seq: int, born: float, price: float, log_w: float, marked: bool, asked: bool = False
    ) -> None:
        """An ACK with the route's price and quality; of one that only asked, that the route is back."""
        gap = 0
        if seq > self.acked:
            gap = seq - self.acked - 1
            self.inferred += gap
            self.acked = seq
        self.heard_s = now
        sample = now - born
        if self.smooth_s == 0.0:
            self.smooth_s, self.spread_s = sample, 0.5 * sample
        else:
            self.spread_s += 0.25 * (abs(sample - self.smooth_s) - self.spread_s)
            self.smooth_s += 0.125 * (sample - self.smooth_s)
        if self.law.window == 1:
            self._adapt(seq, marked or gap > 0)
        elif self.law.frozen == 0:
            self._answer(price, log_w, asked)

    def _answer(self, price: float, log_w: float, asked: bool) -> None:
        """Send at the rate that the route's price allows; from the start's on where nobody declared one."""
        facts, law = self.facts, self.law
        if not asked:
            self.price, self.log_w = price, log_w
            self.rate_hz = laws.wanted_rate(facts.weight, facts.alpha, price, law.least_rate_hz, facts.most_rate_hz)
        elif self.silent > 0:
            self.rate_hz = self.start_hz
        self.silent = 0
        self.declare()

    def _adapt(self, seq: int, congested: bool) -> None:
        """AIMD: one more each round trip, half when marked or lost, at most once for what was under way."""
        if congested:
            if seq > self.calm:
                self.window = self.threshold = max(1.0, 0.5 * self.window)
                self.calm = self.sent
        elif self.window < self.threshold:
            self.window = min(self.window + 1.0, laws.MOST_WINDOW)
        else:
            self.window = min(self.window + 1.0 / self.window, laws.MOST_WINDOW)

    def update(self, now: float) -> None:
        """Move the multiplier of least quality, and notice silence."""
        facts, law = self.facts, self.law
        if not self.active:
            return
        if self.log_w < 0.0 and facts.log_w_min > -math.inf:
            self.multiplier = laws.wanted_multiplier(law, self.multiplier, facts.log_w_min, self.log_w, facts.hops)
            self.declare()
        silence_s = laws.timeout_s(self.smooth_s, self.spread_s, self.rate_hz)
        if self.sent > self.acked and now - self.heard_s > silence_s:
            self.timeouts += 1
            self.heard_s = now
            if law.window == 1:
                self.threshold, self.window = max(1.0, 0.5 * self.window), 1.0
                self.acked = self.calm = self.sent
            elif law.frozen == 0:
                self.silent += 1
                self.rate_hz = max(law.least_rate_hz, 0.5 * self.rate_hz)
                self.declare()


class LinkController:
    """Where a link's price and Werner parameter live, with soft state of the flows that it heard of."""

    __slots__ = (
        *("law", "d_hz", "latency_s", "decay_hz", "w", "price", "stamp", "room", "soft", "weight", "arrivals"),
        *("first_quality", "later_quality", "mark", "mark_above", "queue_before", "sums", "sure_until_s"),
    )

    def __init__(self, law: Law, d_hz: float, latency_s: float, decay_hz: float, w: float) -> None:
        self.law, self.d_hz, self.latency_s, self.decay_hz, self.w = law, d_hz, latency_s, decay_hz, w
        self.price = self.stamp = self.weight = self.mark = self.queue_before = 0.0
        self.room = max(law.least_room, 1e-3) * d_hz * (1.0 - w)
        self.arrivals = 0
        self.mark_above = self.sure_until_s = math.inf
        self.sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self.soft: dict[int, tuple[float, float, float, float, bool, Facts]] = {}
        self._stamps()

    def _stamps(self) -> None:
        both = laws.stamped_quality(self.law, self.w, max(self.room, 1e-9), self.decay_hz, self.latency_s)
        self.first_quality, self.later_quality = both

    def declare(self, now: float, facts: Facts, first: bool, rate_hz: float, slope: float, marginal: float) -> None:
        """A header passes."""
        self.arrivals += 1
        if rate_hz == 0.0:
            self.forget(facts.flow)
            return
        if facts.flow not in self.soft:
            self.price = laws.admitted(self.price, self.weight, facts.weight, self.d_hz * (1.0 - self.w))
            self.stamp = self.price
            self.weight += facts.weight
        until_s = now + laws.SOFT_S + laws.SOFT_SENDS / rate_hz
        self.soft[facts.flow] = (until_s, rate_hz, slope, marginal, first, facts)

    def forget(self, flow: int) -> None:
        """A flow is gone, or nothing comes through for it."""
        if flow in self.soft:
            weight = self.soft.pop(flow)[5].weight
            self.price = laws.released(self.price, self.weight, weight)
            self.weight -= weight

    def update(self, now: float, queue: int) -> None:
        """One step of the price, then of the Werner parameter."""
        law = self.law
        if law.window == 1:
            self.mark = laws.marking(law, self.mark, queue, self.queue_before)
            self.mark_above, self.queue_before = threshold(self.mark), float(queue)
        if law.frozen == 1:
            return
        if law.local == 1 or self.arrivals > 0 or now > self.sure_until_s:
            self._add_up(now)
        load_hz, weight, slopes, marginal, later = self.sums
        if law.measured == 1:
            load_hz = self.arrivals / law.period_s
        self.arrivals = 0
        if weight > 0.0:
            self.price, self.w, self.stamp, self.room = laws.link_step(
                law, self.d_hz, self.price, self.w, load_hz, weight, slopes, marginal, later, queue, self.decay_hz
            )
            self._stamps()

    def _add_up(self, now: float) -> None:
        """What headers declare, over flows; it holds until another header comes or a flow is silent for long."""
        law, load_hz, weight, slopes, marginal, later, sure_until_s = self.law, 0.0, 0.0, 0.0, 0.0, 0.0, math.inf
        for flow in sorted(self.soft):
            until_s, rate_hz, slope, worth, first, facts = self.soft[flow]
            if until_s < now:
                self.forget(flow)
                continue
            if law.local == 1:
                log_w = self.first_quality + (facts.hops - 1) * self.later_quality
                worth += facts.quality_weight * laws.elasticity(facts.utility, log_w, law.most_elastic)
            load_hz += rate_hz
            weight += facts.weight
            slopes += slope
            marginal += worth
            if not first:
                later += worth
            if until_s < sure_until_s:
                sure_until_s = until_s
        self.weight, self.sure_until_s = weight, sure_until_s
        self.sums = load_hz, weight, slopes, marginal, later
