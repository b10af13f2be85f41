"""How often a provider may be asked: a bucket of tokens for each, shared by everybody who asks it.

The generic cell rate algorithm: of each bucket one number is kept, the time at which it will be full again. A call that
finds too few tokens takes none and is told how long to stay away; nobody sleeps here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from orchestrator import checks


@dataclass(frozen=True)
class Rate:
    """What a bucket lets through: ``per_s`` tokens a second in the long run, ``burst`` at once when it is full."""

    per_s: float
    burst: float

    def __post_init__(self) -> None:
        checks.number("a rate's tokens per second", self.per_s, 1e-6, 1e6)
        checks.number("a rate's burst", self.burst, 1.0, 1e6)


RATES: dict[str, Rate] = {
    "braket": Rate(20.0, 40.0),  # CreateQuantumTask (second-hand: Amazon Braket quotas, adjustable; read 2026-11-21)
    "ibm": Rate(5.0, 10.0),  # ours: IBM states no figure that we could find
}
"""By provider; the most careful of its limits, since the calls share a bucket."""

OTHERS = Rate(5.0, 10.0)
"""Of any other provider (ours)."""


def rate_of(provider: str) -> Rate:
    """How often a provider may be asked."""
    return RATES.get(provider, OTHERS)


class Bucket(Protocol):
    """See the module's docstring. Safe to call from several threads."""

    def take(self, key: str, tokens: float = 1.0) -> float:
        """Take tokens from a provider's bucket, all or none.

        Returns:
            0.0: they are taken. Else the seconds after which it is worth asking again; nothing is taken.

        Raises:
            InvalidJob: no positive number, or more than the bucket can ever hold.
        """
        ...


def taken(full_at: float, now: float, rate: Rate, tokens: float) -> tuple[float, float]:
    """The rule itself.

    Args:
        full_at: when the bucket is full again.   now: on the same clock, seconds.

    Returns:
        When it is full again after this, and the seconds to wait: 0 if the tokens were taken.
    """
    after = max(full_at, now) + tokens / rate.per_s
    wait_s = after - now - rate.burst / rate.per_s
    return (full_at, wait_s) if wait_s > 1e-9 else (after, 0.0)


def check_tokens(rate: Rate, tokens: float) -> None:
    """Raises: InvalidJob: see :meth:`Bucket.take`."""
    if not tokens > 0.0:
        checks.refuse("tokens", "a positive number", tokens)
    checks.number("tokens", tokens, 0.0, rate.burst)


class MemoryBucket:
    """Buckets of one process: the embedded orchestrator's, of which a data folder has one."""

    def __init__(self, rates: Callable[[str], Rate] = rate_of, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, key: str, tokens: float = 1.0) -> float:
        """See :class:`Bucket`."""
        rate = self._rates(key)
        check_tokens(rate, tokens)
        with self._lock:
            now = self._clock()
            self._full_at[key], wait_s = taken(self._full_at.get(key, now), now, rate, tokens)
        return wait_s
