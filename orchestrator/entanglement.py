"""Entangled pairs for distributed circuits: what is asked of an allocator, what it promises, what it delivers.

An :class:`EntanglementAllocator` stands in front of a network that makes pairs. Whoever places a distributed job asks
for quotes, which cost nothing; whoever runs one reserves a quote, polls the lease until its pairs are there, and says
what came of it, so that quotes can be held against what was delivered. Moments are seconds on the allocator's clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from orchestrator.errors import InvalidDemand


@dataclass(frozen=True)
class PairDemand:
    """Pairs that a job wants between two QPUs.

    Attributes:
        src, dst: names of the QPUs.
        num_pairs: how many in all.   min_fidelity: of each, in [0.25, 1]; 0.25 for any.
        release_s: moment from which they are wanted.   deadline_s: seconds after which they are worth nothing.
        spacing_s: between the moments at which one pair and the next are used; 0 for all at once.
        priority: larger is served first.
    """

    job_id: str
    src: str
    dst: str
    num_pairs: int
    min_fidelity: float = 0.25
    release_s: float = 0.0
    deadline_s: float | None = None
    spacing_s: float = 0.0
    priority: float = 0.0

    def __post_init__(self) -> None:
        if type(self.num_pairs) is not int or self.num_pairs < 1:
            raise InvalidDemand(f"num_pairs: wanted an integer of at least 1, got {self.num_pairs!r:.80}")
        for name, low, high in (
            ("min_fidelity", 0.25, 1.0),
            ("release_s", 0.0, math.inf),
            ("deadline_s", 0.0, math.inf),
            ("spacing_s", 0.0, math.inf),
            ("priority", -math.inf, math.inf),
        ):
            value = getattr(self, name)
            if name == "deadline_s" and value is None:
                continue
            if not isinstance(value, int | float) or not low <= value <= high:
                raise InvalidDemand(f"{name}: wanted a number in [{low:g}, {high:g}], got {value!r:.80}")
        if self.src == self.dst:
            raise InvalidDemand(f"dst: wanted another QPU than src, got {self.dst!r:.80} twice")


@dataclass(frozen=True)
class PairQuote:
    """What an allocator expects to be able to do for a demand. It binds nobody until it is reserved.

    Attributes:
        rate_hz: pairs per second, in the long run.
        ready_p50_s, ready_p90_s: seconds within which all pairs are there in 5, in 9 of 10 cases.
        fidelity_mean: of the pairs, each at the moment it is there.   fidelity_p10: 9 of 10 are better.
        deliver_probability: that all are there before the deadline, good enough.
        price: what a pair costs the others, in the allocator's own unit; 0 where it has no prices.
        info_age_s: age of what this rests on.   valid_until_s: moment after which it is forgotten.
        source: the allocator.   ahead: pairs that are promised to others and come first.
        stored: pairs that were put aside for it, as it was announced.   stored_fidelity: their mean now; 0 of none.
    """

    quote_id: str
    rate_hz: float
    ready_p50_s: float
    ready_p90_s: float
    fidelity_mean: float
    fidelity_p10: float
    deliver_probability: float
    price: float = 0.0
    info_age_s: float = 0.0
    valid_until_s: float = 0.0
    source: str = ""
    ahead: int = 0
    stored: int = 0
    stored_fidelity: float = 0.0


@dataclass(frozen=True)
class Promise:
    """What was asked for, and what was quoted: the quote on which an estimate rests."""

    demand: PairDemand
    quote: PairQuote


@dataclass(frozen=True)
class Lease:
    """A reserved quote: from now on pairs are put aside for it."""

    lease_id: str
    quote_id: str
    demand: PairDemand
    granted_s: float
    expires_s: float


@dataclass(frozen=True)
class Pair:
    """One delivered pair.

    Attributes:
        ready_s: moment at which it was there for this lease.   fidelity: at that moment.
    """

    lease_id: str
    number: int
    ready_s: float
    fidelity: float


@dataclass(frozen=True)
class Delivered:
    """What came of a lease: what quotes are judged by.

    Attributes:
        waited_s: until the last pair was there; of a lease that was given up, until then.
        fidelity_mean: of the pairs that came; None if none did.   complete: whether all came in time.
    """

    lease_id: str
    num_pairs: int
    waited_s: float
    fidelity_mean: float | None
    complete: bool


@runtime_checkable
class EntanglementAllocator(Protocol):
    """Decides who gets which pairs of a network."""

    def quote(self, demands: Sequence[PairDemand]) -> list[PairQuote]:
        """What each demand could count on if it were reserved now, in order. Changes nothing; below 5 ms each.

        Raises:
            InvalidDemand: a QPU is unknown, or cannot be reached; the message names the field.
        """
        ...

    def reserve(self, quote_id: str) -> Lease:
        """Put the pairs of a quote aside as they come; a quote can be reserved once.

        Raises:
            UnknownQuote: it was never given, or is no longer valid: ask again.
        """
        ...

    def announce(self, demands: Sequence[PairDemand], from_s: float) -> None:
        """Demand that is known to come from that moment on: it replaces a forecast, and binds nobody."""
        ...

    def withdraw(self, job_id: str) -> None:
        """What was announced for a job does not come. Does no harm where nothing was."""
        ...

    def poll(self, lease: Lease) -> list[Pair]:
        """The pairs that are there by now, in the order in which they came.

        Raises:
            UnknownLease: it was released, or never granted.
        """
        ...

    def release(self, lease: Lease) -> None:
        """Give up what is left of a lease. Once is enough, twice does no harm."""
        ...

    def feedback(self, lease: Lease, outcome: Delivered) -> None:
        """Say what came of a lease, so that later quotes are better."""
        ...


@runtime_checkable
class Clocked(EntanglementAllocator, Protocol):
    """An allocator of a network that is simulated: its clock, which begins at 0, is moved by whoever keeps it."""

    def advance(self, to_s: float) -> None:
        """Let time pass until that moment."""
        ...


def shots_demands(
    job_id: str,
    needs: dict[tuple[int, int], list[float]],
    qpus: Sequence[str],
    shots: int,
    *,
    min_fidelity: float = 0.25,
    deadline_s: float | None = None,
    priority: float = 0.0,
) -> list[PairDemand]:
    """The demand of a job that repeats a distributed circuit: every shot uses up its own pairs.

    Args:
        needs: two QPUs by number -> moments of a shot at which they need a pair (``circuits.distributed.schedule``).
        qpus: their names.   shots: repetitions.
    """
    return [
        PairDemand(
            job_id,
            qpus[one],
            qpus[other],
            num_pairs=shots * len(moments),
            min_fidelity=min_fidelity,
            release_s=moments[0],
            deadline_s=deadline_s,
            spacing_s=(moments[-1] - moments[0]) / (len(moments) - 1) if len(moments) > 1 else 0.0,
            priority=priority,
        )
        for (one, other), moments in needs.items()
    ]
