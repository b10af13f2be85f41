"""Decisions of the reference, in plain Python: what :mod:`policies.envs.entanglement.rules` compiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from policies.envs.entanglement import state as states
from policies.envs.entanglement import streams
from policies.envs.entanglement.state import FULL, HOP_S, LEAST_DEMAND, LEAST_HZ, SHORTAGE, WAIT, Head, Plan, Rule
from policies.envs.entanglement.streams import uniforms
from policies.envs.entanglement.topology import Reals


@dataclass
class Asked:
    """A request that waits.

    Attributes:
        left: pairs still wanted.   action: of now.   decide: slot of its next decision.
    """

    number: int
    deadline: int
    left: int
    action: int = WAIT
    decide: int = 0


class World(Protocol):
    """What a decider looks at: as in :class:`policies.envs.entanglement.reference.World`."""

    plan: Plan
    rule: Rule
    slot: int
    pairs: Any  # of each link, slots in which they were made, oldest first
    pending: list[Asked]
    tokens: list[float]
    rates: list[float]
    down: list[int]
    shares: Reals


def path_of(plan: Plan, number: int, action: int) -> tuple[list[int], list[int], int]:
    """Links, nodes and rounds of a request's action."""
    pair, path = int(plan.pair[number]), action % plan.num_paths
    hops = int(plan.hops[pair, path])
    return plan.links[pair, path, :hops].tolist(), plan.nodes[pair, path, : hops + 1].tolist(), action // plan.num_paths


class Decider:
    """What nodes know and decide in a world of the reference."""

    def __init__(self, world: World) -> None:
        self.world, self.plan, self.rule = world, world.plan, world.rule
        num_links = self.plan.eta.size
        self.queue, self.joined, self.ewma = [0] * num_links, [0] * num_links, [0.0] * num_links
        self.past: Any = []

    def look(self) -> None:
        """Remember the present, for those who hear of it later."""
        world = self.world
        rates = [float(np.float32(rate)) for rate in world.rates]
        tokens = [float(np.float32(each)) for each in world.tokens]
        newest = [held[-1] if held else world.slot for held in world.pairs]
        self.past.append(
            ([len(held) for held in world.pairs], [min(255, q) for q in self.queue], rates, tokens, newest)
        )

    def want(self, one: Asked, sign: int) -> None:
        """Queue a request's pairs at the links of its path, or take them away."""
        if one.action >= 0:
            links, _, rounds = path_of(self.plan, one.number, one.action)
            for link in links:
                self.queue[link] += sign * one.left * (rounds + 1)

    def turn(self, one: Asked, action: int) -> None:
        """A request's action from now on."""
        self.want(one, -1)
        one.action = action
        self.want(one, 1)
        if self.world.slot == self.plan.arrival[one.number] and action >= 0:
            for link in path_of(self.plan, one.number, action)[0]:
                self.joined[link] += one.left

    def action(self, one: Asked) -> int:
        """Of a local rule."""
        fair = [self.least_rounds(one, path) for path in range(self.plan.num_paths)]
        known = [action for action in fair if action != WAIT]
        if self.rule.path == states.SCORING:
            return self.scored(one)
        if not known:
            return WAIT
        if self.rule.path == states.SHORTEST:
            return known[0]
        if self.rule.path == states.RANDOM:
            luck = uniforms(self.plan.keys[streams.TIE], self.world.slot, [one.number])[0]
            return known[int(luck * len(known))]
        costs = [self.survey(one, action)[1] for action in known]
        return known[costs.index(min(costs))]

    def usable(self, one: Asked, action: int) -> bool:
        """Whether fresh pairs would be good enough."""
        path, rounds = action % self.plan.num_paths, action // self.plan.num_paths
        return bool(self.plan.log_fresh[self.plan.pair[one.number], path, rounds] >= self.plan.log_min[one.number])

    def least_rounds(self, one: Asked, path: int) -> int:
        """The action of a path with the fewest rounds that is good enough."""
        for rounds in range(self.plan.most_rounds + 1):
            if self.usable(one, path + rounds * self.plan.num_paths):
                return path + rounds * self.plan.num_paths
        return WAIT

    def news(self, one: Asked, link: int, hop: int) -> tuple[int, int, float]:
        """Stock, queue and rate of a link so many hops away, without the request's own pairs."""
        own, old = 0, int(self.plan.delay[hop])
        if one.action >= 0:
            links, _, rounds = path_of(self.plan, one.number, one.action)
            own = one.left * (rounds + 1) if link in links else 0
        if old == 0:
            return len(self.world.pairs[link]), self.queue[link] - own, self.world.rates[link]
        stocks, queues, rates, _, _ = self.past[max(0, self.world.slot - old)]
        return stocks[link], max(0, queues[link] - own), rates[link]

    def expected(self, link: int) -> float:
        """Demand for a link: forecast, or its running mean, and what is announced."""
        now = self.world.slot // self.plan.share_every
        usual, more = (
            float(table[min(now, table.shape[0] - 1), link]) if table.shape[0] else nothing
            for table, nothing in ((self.rule.forecast, self.ewma[link]), (self.rule.announced, 0.0))
        )
        return usual + more

    def survey(self, one: Asked, action: int) -> tuple[list[float], float]:
        """Features of an action (14 of them), and what it costs by the hand rule."""
        plan, slot = self.plan, self.world.slot
        links, nodes, rounds = path_of(self.plan, one.number, action)
        told = [self.news(one, link, hop) for hop, link in enumerate(links)]
        stocks, queues, rates = zip(*told, strict=True)
        waits = [0.0] + [(q + rounds + 1 - stock) / max(rate, LEAST_HZ) for stock, q, rate in told]
        tokens = [2.0]
        for hop, node in enumerate(nodes[1:-1], start=1):
            old = int(plan.delay[hop])
            tokens.append(self.past[max(0, slot - old)][3][node] if old else self.world.tokens[node])
            waits.append((1.0 - tokens[-1]) / max(float(plan.swap_hz[node]), LEAST_HZ))
        hops, wait = len(links), max(waits)
        pair, path = plan.pair[one.number], action % plan.num_paths
        margin = (plan.log_fresh[pair, path, rounds] - plan.log_min[one.number]) / plan.decay * plan.slot_s
        wanted = max(0.0, *(self.expected(link) for link in links))
        length = 0.0
        for link in links:
            length += float(plan.length_km[link])
        seen = [
            *(hops / 8.0, length / 100.0),
            *((min(stocks) - rounds - 1) / plan.memories, sum(stocks) / (hops * plan.memories)),
            sum(stock > rounds for stock in stocks) / hops,
            *(max(queues) / 8.0, sum(queues) / (8.0 * hops), min(tokens) / 2.0),
            *(min(wait, 10.0) / 10.0, min(rates) / 5.0, min(margin, 20.0) / 10.0),
            (one.deadline - slot) * plan.slot_s / 5.0,
            *(wanted / 2.0, float(action == one.action)),
        ]
        return seen, wait + HOP_S * hops

    def scored(self, one: Asked) -> int:
        """By a net: the best action, or one drawn by its probability."""
        plan, slot = self.plan, self.world.slot
        actions = [action for action in range(plan.num_paths * (plan.most_rounds + 1)) if self.usable(one, action)]
        waiting = [0.0] * states.NUM_PATH_FEATURES
        waiting[11], waiting[13] = (one.deadline - slot) * plan.slot_s / 5.0, float(one.action == WAIT)
        node = int(plan.nodes[plan.pair[one.number], 0, 0])
        rows = [*(self.survey(one, action)[0] for action in actions), waiting]
        scores = [score(self.rule.path_head, node, row) for row in rows]
        best = max(scores)
        pick = scores.index(best)
        if not self.rule.greedy:
            odds = [math.exp(each - best) for each in scores]
            total = 0.0
            for each in odds:
                total += each
            luck, below = uniforms(plan.keys[streams.TIE], slot, [one.number])[0] * total, 0.0
            for place, each in enumerate(odds):
                if each > 0.0 and below <= luck:
                    pick = place
                below += each
        return [*actions, WAIT][pick]

    def share(self) -> bool:
        """New shares, where the rule has them now."""
        plan, world = self.plan, self.world
        if world.slot % plan.share_every:
            return False
        span_s = plan.share_every * plan.slot_s
        for link, come in enumerate(self.joined):
            self.ewma[link] = plan.keep * self.ewma[link] + (1.0 - plan.keep) * come / span_s
            self.joined[link] = 0
        if self.rule.share not in (states.S_LOCAL, states.S_LEARNED, states.S_PULL):
            return False
        if self.rule.share == states.S_PULL:
            from policies.envs.entanglement.pulled import Pulls

            self.pulls = Pulls(self)
        for node in range(plan.swap_hz.size):
            self.share_of_node(node)
        return True

    def share_of_node(self, node: int) -> None:
        """By the hand rule, or by a learned correction of it."""
        plan, first, last = self.plan, self.plan.first[node], self.plan.first[node + 1]
        total, weights = 0.0, []
        for place in range(first, last):
            link = int(plan.incident[place])
            weight = self.pulls.shares[place] if self.rule.share == states.S_PULL else self.weight(link)
            if self.rule.share == states.S_LEARNED and weight > 0.0:
                added = score(self.rule.share_head, node, self.link_features(node, link))
                if self.rule.noise > 0.0:
                    one, two = uniforms(plan.keys[streams.EXPLORE], self.world.slot, [2 * place, 2 * place + 1])
                    normal = math.sqrt(-2.0 * math.log(1.0 - one)) * math.cos(2.0 * math.pi * two)
                    added += self.rule.noise * normal
                weight *= math.exp(min(max(added, -30.0), 30.0))
            weights.append(weight)
            total += weight
        for place, weight in zip(range(first, last), weights, strict=True):
            self.world.shares[place] = weight / total if total > 0.0 else 1.0 / (last - first)

    def weight(self, link: int) -> float:
        """How much the hand rule wants of a link."""
        if self.world.down[link]:
            return 0.0
        stock, short = len(self.world.pairs[link]), max(0, self.queue[link] - len(self.world.pairs[link]))
        weight = (SHORTAGE * short + self.expected(link) + LEAST_DEMAND) / max(float(self.plan.eta[link]), 1e-9)
        return weight * FULL if stock == self.plan.memories else weight

    def link_features(self, node: int, link: int) -> list[float]:
        """What a node sees of one of its links (9 features)."""
        plan, stock, queue = self.plan, len(self.world.pairs[link]), self.queue[link]
        return [
            *(stock / plan.memories, queue / 8.0, max(0, queue - stock) / 8.0),
            *(self.ewma[link] / 2.0, self.expected(link) / 2.0, float(plan.eta[link])),
            *(self.world.rates[link] / 5.0, float(stock == plan.memories), float(plan.generation_hz[node]) / 10.0),
        ]


def score(head: Head, agent: int, given: list[float]) -> float:
    """What a net says of features; float32, summed input by input."""
    who = agent if head.b3.size > 1 else 0
    layer: Any = np.array(given, dtype=np.float32)
    for weights, biases in ((head.w1[who], head.b1[who]), (head.w2[who], head.b2[who])):
        if biases.size:
            found = biases.copy()
            for value, row in zip(layer, weights, strict=True):
                found += value * row
            layer = np.maximum(found, np.float32(0.0))
    total = head.b3[who]
    for value, weight in zip(layer, head.w3[who], strict=True):
        total += value * weight
    return float(total)
