"""Pairs between the QPUs of one device: how many come a second, how good they are, and what came for a shot.

What the links publish is set by whoever allocates entanglement, and rests in a file that ``QORCH_QPU_NETWORK`` names
(``python -m policies.allocators.pairs provision``); without one there are two QPUs and a link of round figures (ours).
Where that file tells what it was made from, too (``--live``), who places jobs asks the allocator anew for each.

A shot begins when all its pairs are there: each link makes them one after the other, in exponential gaps, all links at
once, and what is early waits in memory, w exp(-t/T). So a shot's wait is the latest of sums, and pairs differ.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import UnsupportedCircuit
from circuits.errors import InvalidParameter
from circuits.parameters import integer, real, refuse, text, validate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_FILE_BYTES = 1_000_000
SAMPLED = 4096
"""Shots by which waits and fidelities are foretold."""


@dataclass(frozen=True)
class PairLink:
    """What two QPUs of a device can count on.

    Attributes:
        rate_hz: pairs per second.   fidelity: of a fresh one, to Φ+; pairs are Werner states.
        coherence_s: T, of a pair in memory.   message_s: from a measurement to the other QPU's correction.
    """

    first: int = integer(0, low=0, high=63)
    second: int = integer(1, low=1, high=63)
    rate_hz: float = real(1_000.0, low=1e-6, high=1e9)
    fidelity: float = real(0.98, low=0.25, high=1.0)
    coherence_s: float = real(1.0, low=1e-9, high=1e9)
    message_s: float = real(5e-6, low=0.0, high=1e3)

    def __post_init__(self) -> None:
        validate(self)
        if self.first >= self.second:
            refuse(self, "first", f"less than second, {self.second}", self.first)


@dataclass(frozen=True)
class QPUNetwork:
    """QPUs that act as one device.

    Attributes:
        qubits: for data, of each QPU.   links: between them.   allocator: who set their rates.
        names: of the QPUs, as the allocator knows them.   made_from: what it serves, as JSON
            (:mod:`policies.envs.qnum.document`), so that it can be asked for quotes; empty: what links publish stands.
    """

    qubits: tuple[int, ...] = (4, 4)
    links: tuple[PairLink, ...] = (PairLink(),)
    allocator: str = text("ours", longest=80)
    names: tuple[str, ...] = ()
    made_from: str = text("", longest=MOST_FILE_BYTES)

    def __post_init__(self) -> None:
        validate(self)
        if self.made_from and len(self.names) != len(self.qubits):
            refuse(self, "names", f"one for each of {len(self.qubits)} QPUs", self.names)
        if not 2 <= len(self.qubits) <= 64 or any(type(one) is not int or not 1 <= one <= 20 for one in self.qubits):
            refuse(self, "qubits", "1 to 20 qubits for each of 2 to 64 QPUs", self.qubits)
        ends = [(link.first, link.second) for link in self.links]
        if len(set(ends)) < len(ends) or any(second >= len(self.qubits) for _, second in ends):
            refuse(self, "links", f"one for each two of {len(self.qubits)} QPUs at most", ends)

    def ends(self, src: str, dst: str) -> tuple[int, int] | None:
        """Numbers of two QPUs by their names, in order; None where one of them is of another network."""
        if not {src, dst} <= set(self.names):
            return None
        first, second = sorted((self.names.index(src), self.names.index(dst)))
        return first, second

    def link(self, ends: tuple[int, int]) -> PairLink:
        """Of two QPUs. Raises: UnsupportedCircuit: they share none."""
        for link in self.links:
            if (link.first, link.second) == ends:
                return link
        raise UnsupportedCircuit(
            f"QPUs {ends[0]} and {ends[1]} share no pairs, and the circuit has gates between them: choose another "
            "initial_layout, or provision a link"
        )


def network_here() -> QPUNetwork:
    """The network of ``QORCH_QPU_NETWORK``, or two QPUs of 4 qubits.

    Raises:
        InvalidParameter: the file cannot be read so; the message names it and the field.
    """
    named = os.environ.get("QORCH_QPU_NETWORK", "")
    if not named:
        return QPUNetwork()
    path = Path(named)
    if not path.is_file():
        raise InvalidParameter(f"QORCH_QPU_NETWORK: wanted a file, got {named[:200]!r}")
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int) -> QPUNetwork:
    import msgspec

    if path.stat().st_size > MOST_FILE_BYTES:
        raise InvalidParameter(f"{path}: wanted at most {MOST_FILE_BYTES} bytes, got {path.stat().st_size}")
    try:
        return msgspec.json.decode(path.read_bytes(), type=QPUNetwork)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"{path}: wanted a network of QPUs; {error}") from error
    except msgspec.DecodeError as error:
        raise InvalidParameter(f"{path}: wanted JSON; {error}") from error


@dataclass(frozen=True)
class Brought:
    """What one link brought for a run.

    Attributes:
        first, second: its QPUs, in order.   num_pairs: in all.   fidelity: their mean, each when it came.
        made_s: seconds that it made them for: what a job that needs no other link would have waited.
    """

    first: int
    second: int
    num_pairs: int
    made_s: float
    fidelity: float


@dataclass(frozen=True)
class Arrivals:
    """What came.

    Attributes:
        wait_s: of each shot, until its last pair was there.   float64 (shots,)
        fidelities: of each pair when its shot began.   float64 (shots, pairs)
        links: what each of them brought.
    """

    wait_s: NDArray[np.float64]
    fidelities: NDArray[np.float64]
    links: tuple[Brought, ...]


@dataclass(frozen=True)
class Stored:
    """Pairs of two QPUs, by their names, that are there before a run begins.

    Attributes:
        fidelity: their mean as it begins.
    """

    src: str
    dst: str
    num_pairs: int
    fidelity: float


_stored: ContextVar[list[Stored] | None] = ContextVar("stored", default=None)


@contextmanager
def put_aside(pairs: Sequence[Stored]) -> Iterator[None]:
    """Inside, runs find these pairs, until they are used up."""
    token = _stored.set(list(pairs))
    try:
        yield
    finally:
        _stored.reset(token)


def taken(network: QPUNetwork, ends: Sequence[tuple[int, int]], shots: int) -> dict[tuple[int, int], Stored]:
    """What so many shots find of what was put aside; they use it up."""
    found, there = {}, _stored.get() or []
    for place, one in enumerate(there):
        both = network.ends(one.src, one.dst)
        number = 0 if both is None else min(one.num_pairs, shots * ends.count(both))
        if both is not None and number:
            found[both] = replace(one, num_pairs=number)
            there[place] = replace(one, num_pairs=one.num_pairs - number)
    return found


def deliver(
    network: QPUNetwork,
    ends: Sequence[tuple[int, int]],
    shots: int,
    seed: int,
    there: Mapping[tuple[int, int], Stored] | None = None,
) -> Arrivals:
    """The pairs of so many shots. The same seed brings the same.

    Args:
        ends: the two QPUs of each pair that a shot needs, in the order of its circuit.
        there: what the first shots need not wait for; it ages until it is used.

    Raises:
        UnsupportedCircuit: two of them share no link.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    arrived_s = np.zeros((shots, len(ends)))
    made, coherence_s = np.ones((shots, len(ends))), np.ones(len(ends))
    stored = np.zeros((shots, len(ends)), dtype=bool)
    links = []
    for both in sorted(set(ends)):
        link, mine = network.link(both), [place for place, other in enumerate(ends) if other == both]
        gaps_s = rng.exponential(1.0 / link.rate_hz, (shots, len(mine)))
        made[:, mine], coherence_s[mine], fidelity = link.fidelity, link.coherence_s, link.fidelity
        if there and both in there:
            first = np.arange(gaps_s.size).reshape(gaps_s.shape) < there[both].num_pairs
            gaps_s[first], stored[:, mine] = 0.0, first
            made[:, mine] = np.where(first, there[both].fidelity, link.fidelity)
            fidelity = float(made[:, mine].mean())
        arrived_s[:, mine] = gaps_s.cumsum(axis=1)
        links.append(Brought(*both, shots * len(mine), float(arrived_s[:, mine[-1]].sum()), fidelity))
    wait_s = arrived_s.max(axis=1, initial=0.0)
    aged_s = np.where(stored, wait_s.cumsum()[:, None], wait_s[:, None] - arrived_s)
    fidelities = 0.25 + (made - 0.25) * np.exp(-aged_s / coherence_s)
    return Arrivals(wait_s, fidelities, tuple(links))


def together(parts: Iterable[Brought]) -> tuple[Brought, ...]:
    """What each link brought for several runs of one network."""
    found: dict[tuple[int, int], Brought] = {}
    for one in parts:
        ends = (one.first, one.second)
        if (before := found.get(ends)) is not None:
            number = before.num_pairs + one.num_pairs
            fidelity = (before.num_pairs * before.fidelity + one.num_pairs * one.fidelity) / number
            one = Brought(*ends, number, before.made_s + one.made_s, fidelity)
        found[ends] = one
    return tuple(found[ends] for ends in sorted(found))


@dataclass(frozen=True)
class PairNeed:
    """What a shot needs of a link: so many pairs, and their mean fidelity when the shot begins."""

    first: int
    second: int
    num: int
    fidelity: float


@dataclass(frozen=True)
class Foretold:
    """What to expect of a shot's pairs.

    Attributes:
        wait_s: mean wait of a shot.   wait_sd_s: its standard deviation.
        fidelities: mean of each pair, when its shot begins.   needs: the same link by link.
    """

    wait_s: float
    wait_sd_s: float
    fidelities: tuple[float, ...]
    needs: tuple[PairNeed, ...] = ()


def foretell(network: QPUNetwork, ends: Sequence[tuple[int, int]]) -> Foretold:
    """By many shots drawn from the same law, with a seed of their own; the wait is off by some 1 %."""
    if not ends:
        return Foretold(0.0, 0.0, ())
    drawn = deliver(network, ends, SAMPLED, seed=1)
    means = drawn.fidelities.mean(axis=0)
    links = {both: [place for place, other in enumerate(ends) if other == both] for both in sorted(set(ends))}
    needs = (PairNeed(*both, len(mine), float(means[mine].mean())) for both, mine in links.items())
    return Foretold(float(drawn.wait_s.mean()), float(drawn.wait_s.std(ddof=1)), tuple(means.tolist()), tuple(needs))


def behind_s(network: QPUNetwork, ahead: Mapping[tuple[int, int], int], seed: int) -> dict[tuple[int, int], float]:
    """Seconds until each link has made the pairs that are others' before the first is one's own; drawn, as in a run.

    Args:
        ahead: pairs by the numbers of their QPUs, in order.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    return {both: float(rng.gamma(num)) / network.link(both).rate_hz for both, num in sorted(ahead.items()) if num}


def ready_p90_s(wait_s: float, wait_sd_s: float, shots: int) -> float:
    """Seconds within which the pairs of so many shots, one after the other, are there in 9 of 10 cases.

    Sums of shots are taken as gamma variables of the same mean and variance (ours): exact where one link makes all.
    """
    if wait_s <= 0.0:
        return 0.0
    from scipy.special import gammaincinv

    shape = shots * (wait_s / wait_sd_s) ** 2 if wait_sd_s > 0.0 else math.inf
    return shots * wait_s * (float(gammaincinv(shape, 0.9)) / shape if shape < 1e8 else 1.0)
