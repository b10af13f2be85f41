"""Pairs from a network of ``Entanglement-v1``: a policy serves flows between QPUs beside whatever else is asked of it.

What a flow misses is one request of the network at a time, of at most 16 pairs and with the world's own deadline; what
has not come by then is asked anew. So the policy meets leases as it meets all requests, and its decisions are all that
they depend on. Quotes are what came of trials in moments like the present one; feedback stretches them, the median
and the ninth decile each by itself, so that 5 and 9 of 10 waits stay within what was said (ours; the step is that of
adaptive conformal inference, Gibbs and Candès 2021).

An announcement stands beside a forecast: its pairs are added to what its links expect, from twice the time that they
take until they are wanted. A lease without a deadline is as urgent as others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from orchestrator.entanglement import Delivered, PairDemand, PairQuote
from policies.allocators.pairs.desk import Desk, Ends, Flow, Held, Outlook, ends_of, weighted
from policies.allocators.pairs.line import Rehearsal
from policies.allocators.pairs.trials import NOTHING, PART, Trials, asked_anew, crowd, seen, tried
from policies.envs.entanglement import play
from policies.envs.entanglement.announced import Announced
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.guests import Guests
from policies.envs.entanglement.state import Rule

QUANTILES = (0.5, 0.9)
"""Of the waits that are quoted."""
STEP, MOST = 0.1, 3.0
"""Of the logarithm by which a quoted time is stretched: a wait beyond the ninth decile adds 0.09 to that, another takes
0.01 away; and how far it goes."""
USUAL, WATCHED = 0.5, 20
"""Share of the time in which a flow is taken to miss something before it was watched, and for how many of the world's
deadlines that counts (ours)."""
LEVEL = 0.05
"""Least fidelities are rounded up to multiples for trials, one set for each."""
AHEAD = 2.0
"""Of the time that announced pairs take: from so long before, links expect them (ours)."""


@dataclass(eq=False)
class _Asking(Flow):
    """A flow of the network.

    Attributes:
        pair: of the episode's demand.   row: of its request there, -1 for none.   again: slot at which that is over.
        asked: what it was asked for.   trials: by least fidelity.
        busy: slots in which it missed something.   turns: how often it began to.
    """

    pair: int
    length_km: float
    row: int = -1
    again: int = NOTHING
    asked: tuple[object, ...] = ()
    trials: dict[float, Trials] = field(default_factory=dict)
    busy: int = 0
    turns: int = 0

    @property
    def missing(self) -> int:
        """Pairs that its leases still want."""
        return sum(held.missing for held in self.held)


class PairNetwork(Desk[_Asking]):
    """Serves :class:`orchestrator.entanglement.EntanglementAllocator`."""

    def __init__(
        self,
        source: str,
        episode: Episode,
        rule: Rule,
        flows: Mapping[Ends, int],
        *,
        past: Episode | None = None,
        second_s: float = 1.0,
        length_km: Mapping[Ends, float] | None = None,
    ) -> None:
        """In front of a network that begins now.

        Args:
            source: its name.   episode: the network, and what others ask of it.   rule: who decides.
            flows: pair of the episode's demand by the names of two QPUs, in order.
            past: what others asked before, for trials; the episode itself if not given.
            second_s: what a second of the world is for those who ask.   length_km: of routes; that of the first
                candidate if not given.
        """
        paths, topology = episode.paths, episode.topology
        lengths = {
            ends: float(topology.length_km[paths.links[pair, 0, : paths.hops[pair, 0]]].sum())
            for ends, pair in flows.items()
        }
        super().__init__(source, {ends: _Asking(pair, (length_km or lengths)[ends]) for ends, pair in flows.items()})
        self._rule, self._past, self._second_s = rule, past or episode, second_s
        self._slot_s = episode.setting.slot_s * second_s
        self._guests = Guests(play.begin(episode, rule, trace=True))
        self._announcements: dict[tuple[str, Ends], Announced] = {}
        self._stretch = np.zeros(len(QUANTILES))  # of all flows: how busy a network is, all of them meet
        for flow in self._flows.values():
            self._trials(flow, 0.25)

    @property
    def coherence_s(self) -> float:
        """As :class:`Desk` says."""
        return self._past.setting.coherence_s * self._second_s

    def advance(self, to_s: float) -> None:
        """As :class:`Desk` says."""
        run, until = self._guests.run, math.floor(to_s / self._slot_s + 1e-9)
        while run.slot < until:
            for flow in self._flows.values():
                self._ask(flow)
            run.rule, begun = self._rule_now(), run.slot
            play.advance(run, min([until, *self._turns()]))
            for flow in self._flows.values():
                flow.busy += (run.slot - begun) * (flow.row >= 0)
            rows = {flow.row: flow for flow in self._flows.values()}
            for slot, row, fidelity in self._guests.came():
                self._hand_out(rows[row], (slot + 1) * self._slot_s, fidelity)
        self.now_s = max(self.now_s, to_s)

    def provisioned(self) -> dict[Ends, Rehearsal]:
        """As :class:`Desk` says."""
        return {ends: self._trials(flow, 0.25).busy.rehearsal(self._slot_s) for ends, flow in self._flows.items()}

    def length_km(self, ends: Ends) -> float:
        """As :class:`Desk` says."""
        return self._flows[ends].length_km

    def _ask(self, flow: _Asking) -> None:
        """Ask the network anew, if what the flow misses is no longer what was asked for."""
        now_s, slot = self._guests.run.slot * self._slot_s, self._guests.run.slot
        there = [held for held in flow.held if held.begins_s < now_s + self._slot_s and held.lease.expires_s > now_s]
        missing = sum(held.missing for held in there)
        first = next((held.lease.demand.min_fidelity for held in there if held.missing), 1.0)
        asked = (first, *there)
        if asked != flow.asked or slot >= flow.again:
            flow.asked = asked
            flow.turns += flow.row < 0 < missing
            flow.row, flow.again = asked_anew(self._guests, flow.pair, flow.row, missing, first, flow.again)

    def _turns(self) -> list[int]:
        """Slots at which somebody begins or ceases to wait, asks anew, or expects something else."""
        moments = [math.floor(held.begins_s / self._slot_s) for flow in self._flows.values() for held in flow.held]
        moments += [
            math.ceil(held.lease.expires_s / self._slot_s) for flow in self._flows.values() for held in flow.held
        ]
        moments += [flow.again for flow in self._flows.values()]
        moments += [slot for one in self._announcements.values() for slot in (one.begin, one.end)]
        return [slot for slot in moments if slot > self._guests.run.slot]

    @staticmethod
    def _hand_out(flow: _Asking, moment_s: float, fidelity: float) -> None:
        """A pair goes to the first that waits for one as good."""
        for held in flow.held:
            lease = held.lease
            in_time = held.begins_s <= moment_s <= lease.expires_s
            if held.missing and in_time and fidelity >= lease.demand.min_fidelity:
                held.give(moment_s, fidelity)
                break

    def _rule_now(self) -> Rule:
        """The policy, with what is announced beside what it expects."""
        slot = self._guests.run.slot
        self._announcements = {key: one for key, one in self._announcements.items() if one.end > slot}
        now = [one for one in self._announcements.values() if one.begin <= slot]
        if not now:
            return self._rule
        more, slot_s = np.zeros((1, self._guests.run.state.ewma.size)), self._guests.run.plan.slot_s
        for one in now:
            more[0, list(one.links)] += one.rate_hz(slot_s)
        return self._rule._replace(announced=more)

    def _expect(self, flow: _Asking, demand: PairDemand, from_s: float, p90_s: float) -> None:
        plan, run = self._guests.run.plan, self._guests.run
        begin = max(run.slot, math.floor((from_s - AHEAD * p90_s) / self._slot_s))
        end = max(begin + 1, math.ceil(from_s / self._slot_s))
        links = tuple(plan.links[flow.pair, 0, : plan.hops[flow.pair, 0]].tolist())
        self._announcements[demand.job_id, ends_of(demand)] = Announced(begin, end, links, demand.num_pairs)

    def _forget(self, key: tuple[str, Ends]) -> Held | None:
        self._announcements.pop(key, None)
        return super()._forget(key)

    def _learn(self, flow: _Asking, quote: PairQuote, outcome: Delivered) -> None:
        said = np.array([quote.ready_p50_s, quote.ready_p90_s])
        late = outcome.waited_s > said
        if outcome.complete or late.all():
            self._stretch = np.clip(self._stretch + STEP * (late - 1.0 + np.array(QUANTILES)), -MOST, MOST)

    def _trials(self, flow: _Asking, min_fidelity: float) -> Trials:
        """Of a flow; those of a least fidelity that nobody has asked for yet take a moment."""
        level = min(1.0, math.ceil(min_fidelity / LEVEL - 1e-9) * LEVEL)
        if level not in flow.trials:
            nothing = np.zeros((0, 1))
            usual = self._rule._replace(forecast=nothing, announced=nothing)  # what was expected is of another time
            others = [each.pair for each in self._flows.values() if each is not flow]
            flow.trials[level] = tried(self._past, usual, flow.pair, level, others)
        return flow.trials[level]

    def _crowded(self, flow: _Asking, slots: float) -> tuple[float, float]:
        """Mean and standard deviation of the share of the other flows that ask, over so long from now on.

        What they miss now keeps them busy, each for as long as so many pairs take among others; then each of them asks
        for the part of the time in which it was seen to, in stretches of the length that was seen.
        """
        others = [each for each in self._flows.values() if each is not flow]
        if not others:
            return 0.0, 0.0
        setting, watched = self._past.setting, self._guests.run.slot
        known = WATCHED * setting.slots(setting.deadline_s)
        share = variance = 0.0
        for each in others:
            usual = (USUAL * known + each.busy) / (known + watched)
            length = (USUAL * known + each.busy) / (WATCHED * USUAL + each.turns)
            surely = min(1.0, each.missing * self._trials(each, 0.25).busy.mean / slots)
            share += surely + (1.0 - surely) * usual
            variance += (1.0 - surely) ** 2 * usual * (1.0 - usual) * min(1.0, 2.0 * length / slots)
        return share / len(others), math.sqrt(variance) / len(others)

    def _outlook(self, flow: _Asking, demand: PairDemand, ahead: int) -> Outlook:
        trials, pairs = self._trials(flow, demand.min_fidelity), max(1, demand.num_pairs + ahead)
        others = [each.missing for each in self._flows.values() if each is not flow]
        now = np.append(seen(self._guests, flow.pair, flow.row), crowd(others))
        waits, first = trials.like(now, pairs, lambda slots: self._crowded(flow, slots))
        waits_s, order = np.sort(waits) * self._slot_s, np.linspace(0.0, 1.0, waits.size)
        p50_s, p90_s = np.maximum.accumulate(np.quantile(waits_s, QUANTILES) * np.exp(self._stretch))
        waits_s *= np.exp(np.interp(order, QUANTILES, self._stretch))
        before = 1.0 if demand.deadline_s is None else float(np.mean(waits_s <= demand.deadline_s))
        own = first[:, max(0, min(ahead, first.shape[1])) :]
        own = own[np.isfinite(own)]
        beyond = (pairs - max(PART, ahead) if pairs > PART else 0) + 1e-9
        share, _ = self._crowded(flow, max(1.0, float(np.median(waits))))
        kinds = (
            (own, own.size / len(first)),
            (trials.busy.steady, beyond * share),
            (trials.alone.steady, beyond * (1.0 - share)),
            (np.full(1, 0.25), 1e-12),  # where nothing ever came
        )
        fidelities = np.concatenate([each for each, _ in kinds])
        weights = np.concatenate([np.full(each.size, weight / max(1, each.size)) for each, weight in kinds])
        run = self._guests.run
        links = run.plan.links[flow.pair, 0, : run.plan.hops[flow.pair, 0]]
        return Outlook(
            trials.busy.rehearsal(self._slot_s).rate_hz,
            float(p50_s),
            float(p90_s),
            before,
            *weighted(fidelities + flow.bias(), weights),
            price=float(np.maximum(run.state.queue[links] - run.state.stock[links], 0).sum()),
            info_age_s=float(run.plan.delay[links.size]) * self._slot_s,
        )
