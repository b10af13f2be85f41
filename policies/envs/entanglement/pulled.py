"""Pulls of the reference, in plain Python: what :mod:`policies.envs.entanglement.pull` compiles."""

from __future__ import annotations

import math

from policies.envs.entanglement import state as states
from policies.envs.entanglement.hand import Asked, Decider, path_of
from policies.envs.entanglement.state import LEAST_HZ, NUM_PULL_FEATURES


class Pulls:
    """What links are worth to the requests that wait at them, as a decider's world stands."""

    def __init__(self, decider: Decider) -> None:
        self.decider, self.plan, self.world, self.slot = decider, decider.plan, decider.world, decider.world.slot
        self.ahead = [0] * self.plan.eta.size
        self.weights = [0.0] * self.plan.eta.size
        for one in self.world.pending:
            if one.action >= 0:
                self.add(one)
        self.weights = [
            0.0 if down else self.of_link(link, total)
            for link, (total, down) in enumerate(zip(self.weights, self.world.down, strict=True))
        ]

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
            *(1.0, math.log(1.0 + missing), float(missing == 0), (one.deadline - self.slot) * slot_s / 5.0),
            *(min(max(spare, -5.0), 10.0) / 5.0, float(spare < 0.0), math.log(1.0 + max(lacks)), len(links) / 4.0),
            *(math.log(1.0 + max(waits)), math.log(max(self.world.rates[links[at]], LEAST_HZ)), ages.get(at, 0.0) / 5),
        ]

    def strength(self, first: int, seen: list[float]) -> float:
        """Of a pull."""
        total, most = 0.0, states.PULL_MOST
        for place, value in enumerate(seen):
            total += float(self.world.rule.pull[first + place]) * value
        return math.exp(min(max(total, -most), most))

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
        """Its weight for both ends."""
        plan, weights = self.plan, self.world.rule.pull.tolist()
        stock, newest, _ = self.stored(link, 0)
        total = pulled + math.exp(weights[states.PULL_DEMAND]) * self.decider.expected(link)
        age = (self.slot - newest if stock > 0 else plan.cutoff) * plan.slot_s
        found = weights[states.PULL_POWER] * math.log(total + math.exp(weights[states.PULL_LEAST]))
        found += weights[states.PULL_AGE] * (age / 5.0)
        through = weights[states.PULL_ETA] * math.log(max(float(plan.eta[link]), 1e-9))
        found += through + weights[states.PULL_STOCK] * (stock / plan.memories)
        found += weights[states.PULL_FULL] * (stock == plan.memories)
        return math.exp(min(max(found, -100.0), 100.0))

    def lean(self, node: int, place: int) -> float:
        """How much a link is this end's business."""
        plan, weights = self.plan, self.world.rule.pull.tolist()
        link = int(plan.incident[place])
        makes, could = (float(plan.generation_hz[each]) for each in (node, int(plan.ends[link].sum()) - node))
        made = makes * float(self.world.shares[place])
        others = max(0.0, self.world.rates[link] / max(float(plan.eta[link]), 1e-9) - made)
        found = weights[states.PULL_MAKES] * math.log((makes + 0.1) / (makes + could + 0.2))
        found += weights[states.PULL_OTHERS] * math.log(1.0 + others)
        return math.exp(found + weights[states.PULL_MADE] * math.log((made + 0.1) / (made + others + 0.2)))
