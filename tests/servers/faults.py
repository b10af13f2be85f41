"""What a server is told to do wrong, and how often."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

KINDS = ("refuse", "accept_then_status", "accept_then_drop", "drop", "garble")
"""Without doing the work: answer with ``status``, or hang up (``drop``). With it done: answer with ``status`` (5xx
after the work was accepted), hang up (a lost answer), or answer with something that nobody can read (``garble``)."""


@dataclass
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: one of ``KINDS``.
        method: of the requests that it befalls.
        path: regular expression, searched in their paths.
        times: how often.
        skip: how many such requests pass unharmed before that.
        status: HTTP status of the answer.
        headers: of the answer, such as Retry-After.
        message: in the provider's form of an error.
    """

    kind: str
    method: str = "POST"
    path: str = "/jobs$"
    times: int = 1
    skip: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "injected"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"wanted one of {KINDS}, got {self.kind!r}")


class Faults:
    """Those that are still to come, and how many have come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Fault] = []
        self.injected: dict[str, int] = {}

    def add(self, **fault: Any) -> None:
        with self._lock:
            self._waiting.append(Fault(**fault))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def befalling(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any; it is used up by that."""
        with self._lock:
            for fault in self._waiting:
                if fault.times < 1 or fault.method != method or not re.search(fault.path, path):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                self.injected[fault.kind] = self.injected.get(fault.kind, 0) + 1
                return fault
            return None
