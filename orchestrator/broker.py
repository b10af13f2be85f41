"""Task names and queues. A message says that there is work; what the work is stands in the store."""

from __future__ import annotations

from typing import Protocol

PLACE_TASK = "qorch.place"
EXECUTE_TASK = "qorch.execute"
PLACEMENT_QUEUE = "placement"
WAKE = "wake"
"""Kind of the event by which a wake-up reaches the threads of a process; its ``job_id`` is empty."""


def backend_queue(backend: str) -> str:
    """Queue of the workers that own a backend."""
    return f"backend.{backend}"


class Broker(Protocol):
    """Sends wake-ups. Losing one delays work until the next sweep; it never loses it."""

    def wake_placement(self) -> None:
        """Some job waits for a place."""
        ...

    def wake_backend(self, backend: str) -> None:
        """Something waits for this backend. Who is woken and leaves something waiting wakes the next."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...
