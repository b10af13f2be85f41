"""An allocator that is a table of rates: each flow has its own share of every link, and serves its leases in order.

Quotes come from the law of :mod:`policies.allocators.pairs.law`, with stock and leases of the moment; fidelities from
the stock and a rehearsal of the flow, corrected by what feedback says. The clock is moved by :meth:`PairTable.advance`.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from circuits.seeds import derive
from orchestrator.entanglement import Delivered, Lease, Pair, PairDemand, PairQuote
from orchestrator.errors import InvalidDemand, UnknownLease, UnknownQuote
from orchestrator.records import to_json
from policies.allocators.pairs.law import ready
from policies.allocators.pairs.line import Hardware, Line, Rehearsal, Route, line, rehearse

VALID_S = 60.0
"""For which a quote can be reserved."""

KEPT = 10_000
"""Quotes that are remembered."""

TRUSTED_AFTER = 20.0
"""Leases whose mean error of fidelity counts as much as none (ours)."""


@dataclass
class _Held:
    """A lease, or an announcement that pairs are already put aside for, while it lasts."""

    lease: Lease
    begins_s: float
    pairs: list[Pair] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return self.lease.demand.num_pairs - len(self.pairs)

    def waits(self, now_s: float) -> bool:
        return self.missing > 0 and self.begins_s <= now_s < self.lease.expires_s


@dataclass
class _Flow:
    route: Route
    line: Line
    rehearsal: Rehearsal
    held: list[_Held] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def bias(self) -> float:
        """By how much fidelities came better than they were quoted."""
        number = len(self.errors)
        return sum(self.errors) / (number + TRUSTED_AFTER) if number else 0.0


class PairTable:
    """Serves :class:`orchestrator.entanglement.EntanglementAllocator`."""

    def __init__(
        self, source: str, routes: Mapping[tuple[str, str], Route], hardware: Hardware | None = None, *, seed: int = 0
    ) -> None:
        """In front of links that begin empty, at moment 0.

        Args:
            source: its name.   routes: what the flow between two QPUs has, by their names in order.
            seed: of everything that is left to chance.
        """
        self.source = source
        self.hardware = hardware or Hardware()
        self.now_s = 0.0
        self._flows = {
            ends: _Flow(
                route,
                line(route, self.hardware, derive(seed, "pairs", *ends)),
                rehearse(route, self.hardware, seed=derive(0, "rehearsal", *ends)),
            )
            for ends, route in routes.items()
        }
        self._quotes: OrderedDict[str, tuple[PairDemand, PairQuote]] = OrderedDict()
        self._promised: OrderedDict[str, PairQuote] = OrderedDict()
        self._held: dict[str, tuple[_Flow, _Held]] = {}
        self._announced: dict[tuple[str, tuple[str, str]], tuple[_Flow, _Held]] = {}
        self._num_leases = 0

    def quote(self, demands: Sequence[PairDemand]) -> list[PairQuote]:
        """As the contract says."""
        found = []
        for demand in demands:
            flow = self._flow(demand)
            quote = self._quoted(demand, flow)
            self._quotes[quote.quote_id] = demand, quote
            while len(self._quotes) > KEPT:
                self._quotes.popitem(last=False)
            found.append(quote)
        return found

    def reserve(self, quote_id: str) -> Lease:
        """As the contract says; what was put aside for an announcement of the same job goes with it."""
        demand, quote = self._quotes.pop(quote_id, (None, None))
        if demand is None or quote is None or quote.valid_until_s < self.now_s:
            raise UnknownQuote(quote_id)
        self._num_leases += 1
        lease = self._lease(f"{self.source}-{self._num_leases}", quote_id, demand)
        flow = self._flow(demand)
        held = _Held(lease, max(self.now_s, demand.release_s))
        self._take_over(held, (demand.job_id, _ends(demand)))
        self._hold(flow, held)
        self._held[lease.lease_id] = flow, held
        self._promised[lease.lease_id] = quote
        while len(self._promised) > KEPT:
            self._promised.popitem(last=False)
        return lease

    def announce(self, demands: Sequence[PairDemand], from_s: float) -> None:
        """As the contract says; pairs are put aside from as long before as they take in 9 of 10 cases."""
        for demand in demands:
            flow = self._flow(demand)
            begins_s = max(self.now_s, from_s - self._quoted(demand, flow).ready_p90_s)
            later = replace(demand, release_s=begins_s, deadline_s=max(0.0, from_s - begins_s) + VALID_S)
            held = _Held(self._lease("", "", later), begins_s)
            key = demand.job_id, _ends(demand)
            self._drop(self._announced.pop(key, None))
            self._announced[key] = flow, held
            self._hold(flow, held)

    def poll(self, lease: Lease) -> list[Pair]:
        """As the contract says."""
        if lease.lease_id not in self._held:
            raise UnknownLease(lease.lease_id)
        return list(self._held[lease.lease_id][1].pairs)

    def release(self, lease: Lease) -> None:
        """As the contract says."""
        self._drop(self._held.pop(lease.lease_id, None))

    def feedback(self, lease: Lease, outcome: Delivered) -> None:
        """As the contract says; what is off by chance counts little."""
        quote = self._promised.pop(lease.lease_id, None)
        if quote is not None and outcome.fidelity_mean is not None:
            self._flow(lease.demand).errors.append(outcome.fidelity_mean - quote.fidelity_mean)

    def advance(self, to_s: float) -> None:
        """Let time pass until that moment."""
        for flow in self._flows.values():
            while flow.line.now_s < to_s:
                self._advance(flow, to_s)
        self.now_s = max(self.now_s, to_s)

    def provisioned(self) -> dict[tuple[str, str], Rehearsal]:
        """What each two QPUs can count on in the long run."""
        return {ends: flow.rehearsal for ends, flow in self._flows.items()}

    def length_km(self, ends: tuple[str, str]) -> float:
        """Of the route between two QPUs."""
        return self._flows[ends].route.length_km

    def _advance(self, flow: _Flow, to_s: float) -> None:
        """To the next pair, or to the next moment at which somebody begins or stops to wait."""
        line = flow.line
        turns = [moment for held in flow.held for moment in (held.begins_s, held.lease.expires_s)]
        until_s = min([to_s, *(moment for moment in turns if moment > line.now_s)])
        if not any(held.waits(line.now_s) for held in flow.held):
            line.rest(until_s)
            return
        pair = line.next_pair(until_s)
        if pair is not None:
            moment_s, fidelity = pair
            for held in flow.held:
                lease = held.lease
                if held.waits(moment_s) and fidelity >= lease.demand.min_fidelity:
                    held.pairs.append(Pair(lease.lease_id, len(held.pairs), moment_s, fidelity))
                    break

    def _quoted(self, demand: PairDemand, flow: _Flow) -> PairQuote:
        later = np.array(flow.rehearsal.fidelities)
        good = max(float(np.mean(later >= demand.min_fidelity)), 1e-9)
        _, own = self._announced.get((demand.job_id, _ends(demand)), (None, None))
        ahead = sum(
            held.missing
            for held in flow.held
            if held is not own and held.waits(self.now_s) and held.lease.demand.priority >= demand.priority
        ) - (len(own.pairs) if own is not None else 0)
        pairs = max(1, demand.num_pairs + ahead)
        later_s = max(0.0, demand.release_s - self.now_s)
        mean, tenth = self._expected(flow, demand, pairs)
        at = ready(
            flow.route, self.hardware, flow.rehearsal, pairs, flow.line.live(), good=good, deadline_s=demand.deadline_s
        )
        digest = hashlib.sha256(f"{self.source} {self.now_s!r} {pairs} {to_json(demand)}".encode()).hexdigest()
        return PairQuote(
            quote_id=digest[:24],
            rate_hz=flow.rehearsal.rate_hz * good,
            ready_p50_s=later_s + at.p50_s,
            ready_p90_s=later_s + at.p90_s,
            fidelity_mean=mean,
            fidelity_p10=tenth,
            deliver_probability=at.before,
            price=flow.route.price,
            valid_until_s=self.now_s + VALID_S,
            source=self.source,
        )

    def _expected(self, flow: _Flow, demand: PairDemand, pairs: int) -> tuple[float, float]:
        """Mean and tenth percentile of the fidelities of the last ``num_pairs`` of so many.

        The j-th pair of the stock is one of them if its swaps work and neither fewer nor more than are wanted by others
        came before it: a binomial law. The rest is as in the rehearsal.
        """
        success = self.hardware.swap_success**flow.route.num_swaps
        stock = np.array([each for each in flow.line.in_stock() if each >= demand.min_fidelity])
        later = np.array([each for each in flow.rehearsal.fidelities if each >= demand.min_fidelity] or [0.25])
        before = np.arange(stock.size)
        others = pairs - demand.num_pairs
        weights = success * (_at_most(pairs - 1, before, success) - _at_most(others - 1, before, success))
        rest = max(0.0, demand.num_pairs - float(weights.sum()))
        values = np.concatenate((stock, later)) + flow.bias()
        shares = np.concatenate((weights, np.full(later.size, rest / later.size))) / (weights.sum() + rest)
        order = np.argsort(values)
        tenth = int(np.searchsorted(np.cumsum(shares[order]), 0.1))
        return min(1.0, float(values @ shares)), min(1.0, float(values[order[min(tenth, values.size - 1)]]))

    def _flow(self, demand: PairDemand) -> _Flow:
        flow = self._flows.get(_ends(demand))
        if flow is None:
            known = sorted({name for ends in self._flows for name in ends})
            wrong = "dst" if demand.src in known else "src"
            raise InvalidDemand(
                f"{wrong}: wanted two QPUs that a flow joins ({', '.join(known)}), got {demand.src!r:.80} and "
                f"{demand.dst!r:.80}"
            )
        return flow

    def _lease(self, lease_id: str, quote_id: str, demand: PairDemand) -> Lease:
        begins_s = max(self.now_s, demand.release_s)
        expires_s = 1e18 if demand.deadline_s is None else begins_s + demand.deadline_s
        return Lease(lease_id, quote_id, demand, self.now_s, expires_s)

    def _hold(self, flow: _Flow, held: _Held) -> None:
        flow.held.append(held)
        flow.held.sort(key=lambda one: -one.lease.demand.priority)  # stable: else first come, first served

    def _take_over(self, held: _Held, key: tuple[str, tuple[str, str]]) -> None:
        before = self._announced.pop(key, None)
        self._drop(before)
        if before is not None:
            for pair in before[1].pairs[: held.lease.demand.num_pairs]:
                lost = float(np.exp((pair.ready_s - self.now_s) / self.hardware.coherence_s))
                fidelity = 0.25 + (pair.fidelity - 0.25) * lost
                if fidelity >= held.lease.demand.min_fidelity:
                    held.pairs.append(Pair(held.lease.lease_id, len(held.pairs), self.now_s, fidelity))

    @staticmethod
    def _drop(known: tuple[_Flow, _Held] | None) -> None:
        if known is not None:
            known[0].held.remove(known[1])


def _ends(demand: PairDemand) -> tuple[str, str]:
    one, other = sorted((demand.src, demand.dst))
    return one, other


def _at_most(most: int, tries: NDArray[np.int64], success: float) -> NDArray[np.float64]:
    """Chance of no more successes than that in so many tries."""
    if most < 0:
        return np.zeros(tries.size)
    found: NDArray[np.float64] = bdtr(np.minimum(most, tries), tries, success)
    return found
