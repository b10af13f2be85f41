"""The world in plain Python, slot by slot: what the compiled loop must do, written again from the rules of SPEC.md.

Same seeds, same decisions, same events, number by number; hundreds of times as slow. It knows the hand rules and
scoring nets as the loop does; decisions from outside are given as a table, action of each request for each slot.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from policies.envs.entanglement import state as states
from policies.envs.entanglement import streams
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.hand import Asked, Decider, path_of
from policies.envs.entanglement.physics import purified
from policies.envs.entanglement.state import Rule
from policies.envs.entanglement.streams import uniforms

Event = tuple[int, int, int, int, float]
"""Slot, request, kind, link, value."""


@dataclass
class World:
    """Everything that changes; arrays and names as in :class:`policies.envs.entanglement.state.State`."""

    episode: Episode
    rule: Rule
    outside: Callable[[int, int], int] | None = None
    slot: int = 0
    pending: list[Asked] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        topology, num = self.episode.topology, self.episode.requests.num
        self.plan = states.plan(self.episode)
        self.pairs: list[deque[int]] = [deque() for _ in range(topology.num_links)]
        self.tokens = [max(1.0, hz) for hz in topology.swap_hz.tolist()]
        self.down = [0] * topology.num_links
        self.node_down = [0] * topology.num_nodes
        self.shares = topology.uniform_shares()
        self.tally = [0] * states.NUM_TALLIES
        self.blocked, self.harmed = [0] * num, [0] * num
        self.status, self.done_slot = [states.FUTURE] * num, [-1] * num
        self.fidelity = [0.0] * num
        self.come = self.failed = 0
        self.decider = Decider(self)
        self.set_rates()
        self.between()

    def note(self, request: int, kind: int, link: int = -1, value: float = 0.0) -> None:
        """An event of now."""
        self.events.append((self.slot, request, kind, link, value))

    def set_rates(self) -> None:
        """What links make with the present shares."""
        rates = self.episode.topology.link_rates(self.shares).tolist()
        self.rates = [0.0 if down else rate for rate, down in zip(rates, self.down, strict=True)]

    def between(self) -> None:
        """Faults, ages, deadlines and arrivals at the beginning of a slot."""
        self.break_down()
        for held in self.pairs:
            while held and self.slot - held[0] > self.plan.cutoff:
                held.popleft()
                self.tally[states.AGED] += 1
        for one in self.pending:
            if one.left and one.deadline <= self.slot:
                self.decider.want(one, -1)
                self.status[one.number], self.done_slot[one.number] = states.EXPIRED, self.slot
                self.note(one.number, states.EXPIRE)
        self.pending = [one for one in self.pending if self.status[one.number] == states.PENDING]
        plan = self.plan
        while self.come < plan.arrival.size and plan.arrival[self.come] <= self.slot:
            number = self.come
            deadline, wanted = int(plan.deadline[number]), int(plan.num_pairs[number])
            self.pending.append(Asked(number, deadline, wanted, decide=self.slot))
            self.status[number] = states.PENDING
            self.note(number, states.ARRIVE)
            self.come += 1
        self.pending.sort(key=lambda one: (one.deadline, one.number))

    def break_down(self) -> None:
        """Faults of now; a node's take its links along."""
        events, before = self.plan.events, self.failed
        while self.failed < len(events) and events[self.failed, 0] <= self.slot:
            _, kind, who, change = events[self.failed].tolist()
            self.failed += 1
            links = [who]
            if kind == 1:
                self.node_down[who] += change
                links = np.flatnonzero((self.episode.topology.ends == who).any(axis=1)).tolist()
            for link in links:
                self.down[link] += change
                if change > 0:
                    self.tally[states.LOST] += len(self.pairs[link])
                    self.pairs[link].clear()
        if self.failed > before:
            self.set_rates()

    def step(self) -> None:
        """A slot."""
        self.decider.look()
        for one in self.pending:
            if self.outside is not None:
                self.decider.turn(one, self.outside(self.slot, one.number))
            elif one.decide <= self.slot:
                one.decide = self.slot + self.plan.decide
                self.decider.turn(one, self.decider.action(one))
        if self.decider.share():
            self.set_rates()
        self.generate()
        self.execute()
        self.slot += 1
        self.between()

    def generate(self) -> None:
        """Swap tokens, and Poisson pairs of all links by inversion."""
        plan = self.plan
        for node, hz in enumerate(plan.swap_hz.tolist()):
            full = min(max(1.0, hz), self.tokens[node] + hz * plan.slot_s)
            self.tokens[node] = 0.0 if self.node_down[node] else full
        luck = uniforms(plan.keys[streams.GENERATION], self.slot, np.arange(len(self.pairs))).tolist()
        for link, held in enumerate(self.pairs):
            mean = self.rates[link] * plan.slot_s
            made, term = 0, math.exp(-mean)
            below = term
            while luck[link] >= max(below, 1.0 - mean) and made < 1000:
                made += 1
                term *= mean / made
                below += term
            self.tally[states.MADE] += made
            held.extend([self.slot] * made)
            while len(held) > plan.memories:
                held.popleft()
                self.tally[states.OVERFLOWN] += 1

    def execute(self) -> None:
        """Claims, then locks and swaps of those that could succeed alone, in order of deadlines."""
        self.locked: dict[int, int] = {}
        self.holder: dict[tuple[str, int], int] = {}
        self.busy: dict[int, int] = {}
        claims: dict[int, int] = {}
        able = []
        hold = uniforms(self.plan.keys[streams.HOLD], self.slot, np.arange(len(self.status))).tolist()
        for one in self.pending:
            if one.action < 0 or not (self.rule.hold == 1 or hold[one.number] * self.rule.hold < 1.0):
                continue
            for link in path_of(self.plan, one.number, one.action)[0]:
                claims[link] = claims.get(link, 0) + 1
            self.tally[states.PROBES] += 1
            if self.walk(one, lock=False) is None:
                able.append(one)
            else:
                self.note(one.number, states.SHORT)
        self.tally[states.ABLE] += len(able)
        for one in able:
            self.probe(one)
        self.tally[states.CLAIMED] += len(claims)
        self.tally[states.CONTENDED] += sum(num > 1 for num in claims.values())

    def walk(self, one: Asked, *, lock: bool) -> tuple[int, int] | None:
        """Whether a request finds all it needs, locking it or not; else the link where it ended and who was before."""
        links, nodes, rounds = path_of(self.plan, one.number, one.action)
        self.total, self.chance, rival = (len(links) - 1) * self.plan.log_visibility, 1.0, -1
        for hop, link in enumerate(links):
            if hop > 0:
                rival = self.holder.get(("node", nodes[hop]), rival)
                if self.tokens[nodes[hop]] - self.busy.get(nodes[hop], 0) < 1.0:
                    return link, rival
                if lock:
                    self.busy[nodes[hop]] = self.busy.get(nodes[hop], 0) + 1
                    self.holder["node", nodes[hop]] = one.number
            rival = self.holder.get(("link", link), rival)
            if len(self.pairs[link]) - self.locked.get(link, 0) <= rounds:
                return link, rival
            log_w, chance = self.pumped(link, rounds)
            self.total += log_w
            self.chance *= chance
            if lock:
                self.locked[link] = self.locked.get(link, 0) + rounds + 1
                self.holder["link", link] = one.number
        return None if self.total >= self.plan.log_min[one.number] else (-1, rival)

    def pumped(self, link: int, rounds: int) -> tuple[float, float]:
        """Logarithm of w, and probability, of the freshest pairs that nobody has locked."""
        free = list(self.pairs[link])[: len(self.pairs[link]) - self.locked.get(link, 0)][::-1]
        log_w = [float(self.plan.log_w[link] - self.plan.decay * (self.slot - born)) for born in free[: rounds + 1]]
        if rounds == 0:
            return log_w[0], 1.0
        found, chance = 0.25 + 0.75 * math.exp(log_w[0]), 1.0
        for other in log_w[1:]:
            found, likely = purified(found, 0.25 + 0.75 * math.exp(other))
            chance *= likely
        return math.log(max((4.0 * found - 1.0) / 3.0, 1e-300)), chance

    def probe(self, one: Asked) -> None:
        """Lock, purify, swap; a pair, or nothing."""
        ended = self.walk(one, lock=True)
        if ended is not None:
            self.tally[states.BLOCKED] += 1
            self.blocked[one.number] += 1
            if ended[1] >= 0:
                self.harmed[ended[1]] += 1
            self.note(one.number, states.BLOCK, ended[0])
            return
        links, nodes, rounds = path_of(self.plan, one.number, one.action)
        self.take(links, nodes, rounds)
        plan, success = self.plan, 1.0
        for _ in links[1:]:
            success *= plan.swap_success
        if rounds and uniforms(plan.keys[streams.PURIFICATION], self.slot, [one.number])[0] >= self.chance:
            self.tally[states.BURNT] += len(links)
            self.note(one.number, states.PURIFY_FAIL)
        elif uniforms(plan.keys[streams.SWAP], self.slot, [one.number])[0] >= success:
            self.tally[states.BURNT] += len(links)
            self.note(one.number, states.SWAP_FAIL)
        else:
            self.deliver(one, len(links))

    def take(self, links: list[int], nodes: list[int], rounds: int) -> None:
        """What was locked is used up."""
        for hop, link in enumerate(links):
            self.locked[link] -= rounds + 1
            held = list(self.pairs[link])
            cut = len(held) - self.locked[link]
            self.pairs[link] = deque(held[: cut - rounds - 1] + held[cut:])
            if hop > 0:
                self.busy[nodes[hop]] -= 1
                self.tokens[nodes[hop]] -= 1.0
        self.tally[states.PURIFIED] += len(links) * rounds

    def deliver(self, one: Asked, hops: int) -> None:
        """A pair end to end."""
        fidelity = 0.25 + 0.75 * math.exp(self.total)
        self.tally[states.USED] += hops
        self.fidelity[one.number] += fidelity
        self.note(one.number, states.DELIVER, -1, fidelity)
        self.decider.want(one, -1)
        one.left -= 1
        self.decider.want(one, 1)
        if one.left == 0:
            self.status[one.number], self.done_slot[one.number] = states.DELIVERED, self.slot + 1


def simulate(episode: Episode, rule: Rule, outside: Callable[[int, int], int] | None = None) -> World:
    """A whole episode.

    Args:
        outside: action of a request in a slot, instead of the rule's paths.
    """
    world = World(episode, rule, outside)
    while world.slot < world.plan.num_slots:
        world.step()
    return world
