"""Entangled pairs as they can be had at this moment: allocators behind distributed devices, asked for each estimate.

Whoever places jobs keeps one allocator for each device that tells what its pairs are made from
(``backends.pairs.QPUNetwork.made_from``). What is reserved there is what the store says is placed and has not ended:
shares get their lease as they are placed, and before each batch those that are done, failed, cancelled or placed
elsewhere lose it. So nothing has to be undone, and a process that begins has the leases of the one before. Jobs that
come after others are announced (:mod:`orchestrator.coming`) until they are placed or ended, by the same look.

The networks are simulated, and their clock is that of emulated devices (``orchestrator.experiment``). What came of a
lease is heard through the log of measurements, as by the cost model.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from backends.backend import Device
from backends.pairs import PairNeed, QPUNetwork
from orchestrator.defects import DEFECTS
from orchestrator.entanglement import Clocked, Delivered, Lease, PairDemand, Promise
from orchestrator.errors import InvalidDemand, UnknownQuote
from orchestrator.job import Assignment
from orchestrator.telemetry import Observation

log = logging.getLogger("qorch.pairs")

LONGEST_S = 10.0
"""A network goes on by no more between two looks (ours): what is older than a memory's cutoff counts for nothing where
nobody waits, and where somebody does, quotes are too long rather than too short."""

Allocators = Callable[[QPUNetwork], Clocked]
"""Gives the allocator of a network that tells what it is made from."""


@dataclass(eq=False)
class _Live:
    """One device's network.

    Attributes:
        allocator: None where there is none for it.
        seen_at: moment of the last look.   now_s: the allocator's own clock.   leases: by share.
        announced: moment and demands by job.
    """

    network: QPUNetwork
    allocator: Clocked | None
    seen_at: float
    now_s: float = 0.0
    leases: dict[str, list[Lease]] = field(default_factory=dict)
    announced: dict[str, tuple[float, Sequence[PairDemand]]] = field(default_factory=dict)

    def follow(self, parts: Sequence[Assignment], moment: float) -> None:
        """Let time pass, give up leases of what has ended, reserve for what is new."""
        if self.allocator is None:
            return
        passed_s = max(0.0, moment - self.seen_at)
        if passed_s > LONGEST_S:  # the beginning is left out, so that what was announced is expected that much sooner
            self.seen_at, passed_s = moment - LONGEST_S, LONGEST_S
            for at, demands in self.announced.values():
                self._announce(at, demands)
        self.now_s += passed_s
        self.seen_at = moment
        self.allocator.advance(self.now_s)
        for gone in self.leases.keys() - {part.id for part in parts}:
            for lease in self.leases.pop(gone):
                self.allocator.release(lease)
        self.reserve(parts)

    def reserve(self, parts: Sequence[Assignment]) -> None:
        """For what is placed here and has no lease."""
        for part in parts:
            if self.allocator is not None and part.id not in self.leases:
                leases = (_reserved(self.allocator, promise) for promise in part.prior.pairs)
                self.leases[part.id] = [lease for lease in leases if lease is not None]

    def announce(self, job_id: str, at: float, demands: Sequence[PairDemand]) -> None:
        """For a job that is expected at that moment, instead of what was announced for it before."""
        if self.allocator is not None:
            self.announced[job_id] = at, demands
            self._announce(at, demands)

    def _announce(self, at: float, demands: Sequence[PairDemand]) -> None:
        assert self.allocator is not None
        self.allocator.announce(demands, self.now_s + max(0.0, at - self.seen_at))

    def withdraw(self, job_id: str) -> None:
        """Of a job that is placed, ended, or not expected here any more."""
        if self.allocator is not None and self.announced.pop(job_id, None) is not None:
            self.allocator.withdraw(job_id)

    def learn(self, seen: Observation) -> None:
        """Tell of a share's leases. A run that took other pairs than were asked for says nothing: it is no test."""
        brought = {(link.first, link.second): link for link in seen.measurement.links}
        for lease in self.leases.get(seen.assignment_id, ()):
            ends = self.network.ends(lease.demand.src, lease.demand.dst)
            came = None if ends is None else brought.get(ends)
            if self.allocator is not None and came is not None and came.num_pairs == lease.demand.num_pairs:
                told = Delivered(lease.lease_id, came.num_pairs, came.made_s, came.fidelity, complete=True)
                self.allocator.feedback(lease, told)


def _reserved(allocator: Clocked, promise: Promise) -> Lease | None:
    """The quote of the decision, or one of now where that is forgotten, as by another process.

    None where the network was another one when the share was placed.
    """
    try:
        return allocator.reserve(promise.quote.quote_id)
    except UnknownQuote:
        try:
            (quote,) = allocator.quote([promise.demand])
        except InvalidDemand:
            return None
        return allocator.reserve(quote.quote_id)


class PairOffice:
    """Asks, reserves and tells. Safe to use from several threads."""

    def __init__(self, allocators: Allocators) -> None:
        self._allocators = allocators
        self._live: dict[str, _Live] = {}
        self._expected: dict[str, float] = {}  # moments of jobs that were looked at, announced or not
        self._lock = threading.Lock()

    def follow(
        self,
        devices: Mapping[str, Device],
        moment: float,
        held: Callable[[Sequence[str]], Sequence[Assignment]],
        unplaced: Callable[[Sequence[str]], Collection[str]],
    ) -> None:
        """As it is now.

        Args:
            moment: of emulated devices.   held: gives what waits or runs on some backends, in order of its placement.
            unplaced: gives those of some jobs that are still to get their first place.
        """
        networks = {name: one.network for name, one in devices.items() if one.network and one.network.made_from}
        if not networks:
            return
        parts = held(sorted(networks))
        with self._lock:
            known = sorted({*self._expected, *(job_id for each in self._live.values() for job_id in each.announced)})
        gone = set(known) - set(unplaced(known)) if known else set()
        with self._lock:
            for job_id in gone:
                self._expected.pop(job_id, None)
                for each in self._live.values():
                    each.withdraw(job_id)
            for name, network in networks.items():
                live = self._live.get(name)
                if live is None or live.network != network:
                    live = self._live[name] = _Live(network, self._allocator(name, network), moment)
                    self._expected.clear()  # it is to be told of all
                live.follow([part for part in parts if part.backend == name], moment)

    def _allocator(self, name: str, network: QPUNetwork) -> Clocked | None:
        try:
            made, names = self._allocators(network), network.names
            made.quote([PairDemand("", names[link.first], names[link.second], 1) for link in network.links])
            return made
        except (InvalidDemand, *DEFECTS) as error:  # of one device's file: others are placed on
            log.error("%s is estimated by what its links publish, nobody can be asked for its pairs: %s", name, error)
            return None

    def promises(self, device: Device, job_id: str, needs: Sequence[PairNeed], shots: int) -> tuple[Promise, ...]:
        """What a job could count on if it were placed there now; empty where nobody can be asked."""
        live = self._live.get(device.name)
        if live is None or live.allocator is None or live.network != device.network:
            return ()
        names = live.network.names
        demands = [PairDemand(job_id, names[one.first], names[one.second], shots * one.num) for one in needs]
        with self._lock:
            quotes = live.allocator.quote(demands)
        return tuple(map(Promise, demands, quotes))

    def news(self, job_id: str, at: float) -> bool:
        """Whether it is new that the job is expected at that moment."""
        return self._expected.get(job_id) != at

    def expect(self, job_id: str, at: float, backend: str, demands: Sequence[PairDemand]) -> None:
        """Announce what a job will want at that moment, instead of what was announced for it before.

        Args:
            demands: of that backend; empty where it is not known that it will want any.
        """
        with self._lock:
            self._expected[job_id] = at
            for name, live in self._live.items():
                if name == backend and demands:
                    live.announce(job_id, at, demands)
                else:
                    live.withdraw(job_id)

    def reserve(self, parts: Sequence[Assignment]) -> None:
        """For what is about to be placed; the next look gives up what was not."""
        with self._lock:
            for part in parts:
                if part.backend in self._live:
                    self._live[part.backend].reserve([part])

    def learn(self, seen: Sequence[Observation]) -> None:
        """Tell allocators what came of these shares, link by link."""
        with self._lock:
            for one in seen:
                live = self._live.get(one.backend)
                if live is not None:
                    live.learn(one)
