"""What all allocators of pairs do alike: quotes and leases by name, who is in front of whom, announcements, feedback.

Between two QPUs there is a flow, whose leases are served in order of priority, then first come, first served. How long
that takes, and when pairs come, is for :mod:`~policies.allocators.pairs.table` and
:mod:`~policies.allocators.pairs.network` to say. The clock is moved by :meth:`Desk.advance`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from orchestrator.entanglement import Delivered, Lease, Pair, PairDemand, PairQuote
from orchestrator.errors import InvalidDemand, UnknownLease, UnknownQuote
from orchestrator.records import to_json
from policies.allocators.pairs.line import Rehearsal
from policies.envs.qnum.utilities import Array

VALID_S = 60.0
"""For which a quote can be reserved."""

KEPT = 10_000
"""Quotes that are remembered."""

TRUSTED_AFTER = 20.0
"""Leases whose mean error of fidelity counts as much as none (ours)."""

Ends = tuple[str, str]
"""Names of two QPUs, in order."""


@dataclass(eq=False)
class Held:
    """A lease, or an announcement that pairs are already put aside for, while it lasts."""

    lease: Lease
    begins_s: float
    pairs: list[Pair] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Pairs that are still to come."""
        return self.lease.demand.num_pairs - len(self.pairs)

    def waits(self, now_s: float) -> bool:
        """Whether the next pair could be its."""
        return self.missing > 0 and self.begins_s <= now_s < self.lease.expires_s

    def give(self, moment_s: float, fidelity: float) -> None:
        """A pair has come."""
        self.pairs.append(Pair(self.lease.lease_id, len(self.pairs), moment_s, fidelity))


@dataclass(kw_only=True, eq=False)
class Flow:
    """What two QPUs have in common.

    Attributes:
        held: in the order in which they are served.   errors: by how much fidelities came better than quoted.
    """

    held: list[Held] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def bias(self) -> float:
        """By how much fidelities are to be quoted better."""
        number = len(self.errors)
        return sum(self.errors) / (number + TRUSTED_AFTER) if number else 0.0


@dataclass(frozen=True)
class Outlook:
    """What a demand can count on; as in :class:`~orchestrator.entanglement.PairQuote`, times from its release on."""

    rate_hz: float
    p50_s: float
    p90_s: float
    before: float
    fidelity_mean: float
    fidelity_p10: float
    price: float = 0.0
    info_age_s: float = 0.0


F = TypeVar("F", bound=Flow)


class Desk(ABC, Generic[F]):
    """Serves :class:`orchestrator.entanglement.EntanglementAllocator`.

    Args:
        source: its name.   flows: by the names of their QPUs, in order.
    """

    def __init__(self, source: str, flows: Mapping[Ends, F]) -> None:
        self.source, self.now_s, self._flows = source, 0.0, dict(flows)
        self._quotes: OrderedDict[str, tuple[PairDemand, PairQuote]] = OrderedDict()
        self._promised: OrderedDict[str, PairQuote] = OrderedDict()
        self._held: dict[str, tuple[F, Held]] = {}
        self._announced: dict[tuple[str, Ends], tuple[F, Held]] = {}
        self._num_leases = 0

    @property
    @abstractmethod
    def coherence_s(self) -> float:
        """T of a stored pair, w exp(-t/T)."""

    @abstractmethod
    def advance(self, to_s: float) -> None:
        """Let time pass until that moment."""

    @abstractmethod
    def provisioned(self) -> dict[Ends, Rehearsal]:
        """What each two QPUs can count on in the long run."""

    @abstractmethod
    def length_km(self, ends: Ends) -> float:
        """Of the route between two QPUs."""

    @abstractmethod
    def _outlook(self, flow: F, demand: PairDemand, ahead: int) -> Outlook:
        """For a demand with so many pairs of others in front; below 0 where some of its own are there."""

    def quote(self, demands: Sequence[PairDemand]) -> list[PairQuote]:
        """As the contract says."""
        found = []
        for demand in demands:
            quote = self._quoted(demand, self._flow(demand))
            _remember(self._quotes, quote.quote_id, (demand, quote))
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
        held = Held(lease, max(self.now_s, demand.release_s))
        self._take_over(held, (demand.job_id, ends_of(demand)))
        _queue(flow, held)
        self._held[lease.lease_id] = flow, held
        _remember(self._promised, lease.lease_id, quote)
        return lease

    def announce(self, demands: Sequence[PairDemand], from_s: float) -> None:
        """As the contract says; pairs are put aside from as long before as they take in 9 of 10 cases.

        What was put aside for the job by an earlier announcement stays.
        """
        for demand in demands:
            flow = self._flow(demand)
            p90_s = self._quoted(demand, flow).ready_p90_s
            begins_s = max(self.now_s, from_s - p90_s)
            later = replace(demand, release_s=begins_s, deadline_s=max(0.0, from_s - begins_s) + VALID_S)
            key = demand.job_id, ends_of(demand)
            before = self._forget(key)
            held = Held(self._lease("", "", later), begins_s, [] if before is None else before.pairs)
            self._announced[key] = flow, held
            _queue(flow, held)
            self._expect(flow, demand, from_s, p90_s)

    def withdraw(self, job_id: str) -> None:
        """As the contract says."""
        for key in [key for key in self._announced if key[0] == job_id]:
            self._forget(key)

    def poll(self, lease: Lease) -> list[Pair]:
        """As the contract says."""
        if lease.lease_id not in self._held:
            raise UnknownLease(lease.lease_id)
        return list(self._held[lease.lease_id][1].pairs)

    def release(self, lease: Lease) -> None:
        """As the contract says."""
        _drop(self._held.pop(lease.lease_id, None))

    def feedback(self, lease: Lease, outcome: Delivered) -> None:
        """As the contract says; what is off by chance counts little."""
        quote = self._promised.pop(lease.lease_id, None)
        if quote is not None:
            flow = self._flow(lease.demand)
            self._learn(flow, quote, outcome)
            if outcome.fidelity_mean is not None:
                flow.errors.append(outcome.fidelity_mean - quote.fidelity_mean)

    def _learn(self, flow: F, quote: PairQuote, outcome: Delivered) -> None:
        """What a wait teaches, beside the fidelity."""

    def _expect(self, flow: F, demand: PairDemand, from_s: float, p90_s: float) -> None:
        """What an announcement changes beside what is put aside."""

    def _quoted(self, demand: PairDemand, flow: F) -> PairQuote:
        _, own = self._announced.get((demand.job_id, ends_of(demand)), (None, None))
        ahead = sum(
            held.missing
            for held in flow.held
            if held is not own and held.waits(self.now_s) and held.lease.demand.priority >= demand.priority
        )
        stored = [] if own is None else self._aged(own, demand)
        more, later_s = ahead - len(stored), max(0.0, demand.release_s - self.now_s)
        found = self._outlook(flow, demand, more)
        fidelity_mean, fidelity_p10 = found.fidelity_mean, found.fidelity_p10
        if stored:
            weights = np.append(np.ones(len(stored)), demand.num_pairs - len(stored))
            fidelity_mean, _ = weighted(np.array([*stored, fidelity_mean]), weights)
            _, fidelity_p10 = weighted(np.array([*stored, fidelity_p10]), weights)
        digest = hashlib.sha256(f"{self.source} {self.now_s!r} {more} {to_json(demand)}".encode()).hexdigest()
        return PairQuote(
            quote_id=digest[:24],
            rate_hz=found.rate_hz,
            ready_p50_s=later_s + found.p50_s,
            ready_p90_s=later_s + found.p90_s,
            fidelity_mean=fidelity_mean,
            fidelity_p10=fidelity_p10,
            deliver_probability=found.before,
            price=found.price,
            info_age_s=found.info_age_s,
            valid_until_s=self.now_s + VALID_S,
            source=self.source,
            ahead=ahead,
            stored=len(stored),
            stored_fidelity=sum(stored) / len(stored) if stored else 0.0,
        )

    def _flow(self, demand: PairDemand) -> F:
        flow = self._flows.get(ends_of(demand))
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

    def _forget(self, key: tuple[str, Ends]) -> Held | None:
        """An announcement is one no more: what it was of has come, or never will. What is put aside for it."""
        before = self._announced.pop(key, None)
        _drop(before)
        return None if before is None else before[1]

    def _take_over(self, held: Held, key: tuple[str, Ends]) -> None:
        before = self._forget(key)
        if before is not None:
            for fidelity in self._aged(before, held.lease.demand):
                held.give(self.now_s, fidelity)

    def _aged(self, put_aside: Held, demand: PairDemand) -> list[float]:
        """Fidelities that pairs have by now, of those that are good enough."""
        found = []
        for pair in put_aside.pairs[: demand.num_pairs]:
            lost = float(np.exp((pair.ready_s - self.now_s) / self.coherence_s))
            found.append(0.25 + (pair.fidelity - 0.25) * lost)
        return [fidelity for fidelity in found if fidelity >= demand.min_fidelity]


def ends_of(demand: PairDemand) -> Ends:
    """Its QPUs, in order."""
    one, other = sorted((demand.src, demand.dst))
    return one, other


def weighted(values: Array, weights: Array) -> tuple[float, float]:
    """Mean and tenth percentile of fidelities, at most 1.   float64 (n,), any scale of weights."""
    shares, order = weights / weights.sum(), np.argsort(values)
    tenth = int(np.searchsorted(np.cumsum(shares[order]), 0.1))
    return min(1.0, float(values @ shares)), min(1.0, float(values[order[min(tenth, values.size - 1)]]))


def _queue(flow: Flow, held: Held) -> None:
    flow.held.append(held)
    flow.held.sort(key=lambda one: -one.lease.demand.priority)  # stable: else first come, first served


def _drop(known: tuple[Flow, Held] | None) -> None:
    if known is not None:
        known[0].held.remove(known[1])


V = TypeVar("V")


def _remember(kept: OrderedDict[str, V], name: str, value: V) -> None:
    kept[name] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)
