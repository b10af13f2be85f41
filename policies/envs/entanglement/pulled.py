"""Pulls of the reference, in plain Python: what :mod:`policies.envs.entanglement.pull` compiles."""

from __future__ import annotations

from policies.envs.entanglement import state as states
from policies.envs.entanglement.elementary import exponential as exp
from policies.envs.entanglement.elementary import logarithm as log
from policies.envs.entanglement.hand import Asked, Decider, path_of
from policies.envs.entanglement.state import LEAST_HZ, NUM_PULL_FEATURES


class Pulls:
    """What links are worth to the requests that wait at them, as a decider's world stands.

    Attributes:
        weights: logarithm of each link's.   shares: weight of every share.
    """

    def __init__(self, decider: Decider) -> None:
        self.decider, self.plan, self.world, self.slot = decider, decider.plan, decider.world, decider.world.slot
        self.ahead = [0] * self.plan.eta.size
        self.weights = [0.0] * self.plan.eta.size
        for one in self.world.pending:
            if one.action >= 0:
                self.add(one)
        self.weights = [self.of_link(link, total) for link, total in enumerate(self.weights)]
        self.shares = [self.of_share(place, link) for place, link in enumerate(self.plan.incident.tolist())]

    def stored(self, link: int, away: int) -> tuple[int, int, float]:
        """Pairs, slot of the freshest, and rate of a link so many hops away."""
        old = int(self.plan.delay[away])
        if old == 0:
            held = self.world.pairs[link]
            return len(held), held[-1] if held else self.slot, self.world.rates[link]
        stocks, _, rates, _, newest = self.decider.past[max(0, self.slot - old)]
        return stocks[link], newest[link], rates[link]

    def features(self, one: Asked, at: int) -> list[float]:
        """What the link at a hop of a request's path knows of it (11 features)."""
        plan, slot_s = self.plan, self.plan.slot_s
        links, nodes, rounds = path_of(plan, one.number, one.action)
        fresh = plan.log_fresh[plan.pair[one.number], one.action % plan.num_paths, rounds]
        spare = float((fresh - plan.log_min[one.number]) / plan.decay * slot_s)
        ages, waits, lacks, missing = {}, [0.0], [0.0], 0
        for hop, link in enumerate(links):
            away = abs(hop - at)
            stock, newest, rate = self.stored(link, away)
            if stock - self.ahead[link] > rounds:
                ages[hop] = (self.slot - newest) * slot_s
                spare -= ages[hop]
            elif hop != at:
                missing += 1
                waits.append(1.0 / max(rate, LEAST_HZ))
            if hop > 0:
                old, node = int(plan.delay[away]), nodes[hop]
                tokens = self.decider.past[max(0, self.slot - old)][3][node] if old else self.world.tokens[node]
                lacks.append((1.0 - tokens) / max(float(plan.swap_hz[node]), LEAST_HZ))
        return [
            *(1.0, log(1.0 + missing), float(missing == 0), (one.deadline - self.slot) * slot_s / 5.0),
            *(min(max(spare, -5.0), 10.0) / 5.0, float(spare < 0.0), log(1.0 + max(lacks)), len(links) / 4.0),
            *(log(1.0 + max(waits)), log(max(self.world.rates[links[at]], LEAST_HZ)), ages.get(at, 0.0) / 5),
        ]

    def strength(self, first: int, seen: list[float]) -> float:
        """Of a pull."""
        total = 0.0
        for place, value in enumerate(seen):
            total += float(self.world.rule.pull[first + place]) * value
        return float(exp(total, states.PULL_MOST))

    def add(self, one: Asked) -> None:
        """A request's pulls."""
        links, _, rounds = path_of(self.plan, one.number, one.action)
        wanted = one.left * (rounds + 1)
        for hop, link in enumerate(links):
            seen = self.features(one, hop)
            short = min(max(wanted - len(self.world.pairs[link]) + self.ahead[link], 0), wanted)
            if short > 0:
                self.weights[link] += short * self.strength(0, seen)
            if short < wanted:
                self.weights[link] += (wanted - short) * self.strength(NUM_PULL_FEATURES, seen)
        for link in links:
            self.ahead[link] += wanted

    def of_link(self, link: int, pulled: float) -> float:
        """Logarithm of its weight for both ends."""
        if self.world.down[link]:
            return states.NOTHING
        plan, weights = self.plan, self.world.rule.pull.tolist()
        stock, newest, _ = self.stored(link, 0)
        total = pulled + float(exp(weights[states.PULL_DEMAND])) * self.decider.expected(link)
        age = (self.slot - newest if stock > 0 else plan.cutoff) * plan.slot_s
        found = weights[states.PULL_POWER] * float(log(total + exp(weights[states.PULL_LEAST])))
        found += weights[states.PULL_AGE] * (age / 5.0)
        through = weights[states.PULL_ETA] * float(plan.log_eta[link])
        found += through + weights[states.PULL_STOCK] * (stock / plan.memories)
        found += weights[states.PULL_FULL] * (stock == plan.memories)
        return float(min(max(found, -100.0), 100.0))

    def of_share(self, place: int, link: int) -> float:
        """Its link's weight, by how much that is this end's business."""
        if self.weights[link] == states.NOTHING:
            return 0.0
        plan, weights = self.plan, self.world.rule.pull.tolist()
        made, others = (float(plan.makes[each] * self.world.shares[each]) for each in (place, int(plan.twin[place])))
        found = weights[states.PULL_MAKES] * float(plan.log_makes[place])
        found += weights[states.PULL_OTHERS] * float(log(1.0 + others))
        found += weights[states.PULL_MADE] * float(log((made + 0.1) / (made + others + 0.2)))
        return float(exp(self.weights[link] + found))
