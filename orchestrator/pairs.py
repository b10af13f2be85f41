"""Entangled pairs as they can be had at this moment: allocators behind distributed devices, asked for each estimate.

Whoever places jobs keeps one allocator for each device that tells what its pairs are made from
(``backends.pairs.QPUNetwork.made_from``). What is reserved there is what the store says is placed and has not ended:
shares get their lease as they are placed, and before each batch those that are done, failed, cancelled or placed
elsewhere lose it. So nothing has to be undone, and a process that begins has the leases of the one before.

The networks are simulated, and their clock is that of emulated devices (``orchestrator.experiment``). What came of a
lease is heard through the log of measurements, as by the cost model.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
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
    """

    network: QPUNetwork
    allocator: Clocked | None
    seen_at: float
    now_s: float = 0.0
    leases: dict[str, list[Lease]] = field(default_factory=dict)

    def follow(self, parts: Sequence[Assignment], moment: float) -> None:
        """Let time pass, give up leases of what has ended, reserve for what is new."""
        if self.allocator is None:
            return
        self.now_s += min(LONGEST_S, max(0.0, moment - self.seen_at))
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
        self._lock = threading.Lock()

    def follow(
        self, devices: Mapping[str, Device], moment: float, held: Callable[[Sequence[str]], Sequence[Assignment]]
    ) -> None:
        """As it is now.

        Args:
            moment: of emulated devices.   held: gives what waits or runs on some backends, in order of its placement.
        """
        networks = {name: one.network for name, one in devices.items() if one.network and one.network.made_from}
        if not networks:
            return
        parts = held(sorted(networks))
        with self._lock:
            for name, network in networks.items():
                live = self._live.get(name)
                if live is None or live.network != network:
                    live = self._live[name] = _Live(network, self._allocator(name, network), moment)
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
