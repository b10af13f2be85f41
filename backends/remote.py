"""The contract of places that are far away, slow, and cost money: hand in, ask, fetch, withdraw.

Nobody waits there. What is handed in is known by a :class:`Ticket`, which is written down before anything else happens;
whoever holds it later asks how things stand and fetches what came out. A *purchase* is one intention to pay: its id is
chosen before the first word to the provider and changes only once the provider has said that nothing was bought, so
neither a message that comes twice nor a worker that dies in between buys twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from backends.backend import Device, Execution, TranspileOptions
from circuits.family import Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


class RemoteState(StrEnum):
    """Where handed-in work is; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Ticket:
    """What a provider knows a purchase by.

    Attributes:
        purchase_id: ours, sent along as its idempotency key or tag.
        remote_ids: the provider's, in the order of the runs it was cut into; one where it takes them together.
    """

    purchase_id: str
    remote_ids: tuple[str, ...]


@dataclass(frozen=True)
class RemoteStatus:
    """How handed-in work stands.

    Attributes:
        position: of it in the provider's queue, where the provider tells.
        message: the provider's own words about a failure.
        ask_again_s: how long to leave it alone, where the provider says so.
    """

    state: RemoteState
    position: int | None = None
    message: str = ""
    ask_again_s: float | None = None


@dataclass(frozen=True)
class Delivery:
    """What came back.

    Attributes:
        execution: counts in the order of the runs; ``device_s`` is the time the device was busy, ``queue_s`` the wait
            before it, both as the provider tells.
        billed_usd: what the provider says it costs; None where it does not say, so that the price table decides.
        billed_s: seconds of the device that it charges for; None likewise.
        compiled: what it really ran, as OpenQASM 3 text, where it tells.
        weights: of each run, the share of shots without error that the device's calibration lets one expect of what it
            really ran; None where nobody tells what that was.
    """

    execution: Execution
    billed_usd: float | None = None
    billed_s: float | None = None
    compiled: tuple[str, ...] | None = None
    weights: tuple[float | None, ...] | None = None


@runtime_checkable
class RemoteBackend(Protocol):
    """A place that is asked over a network. One thread at a time; every call is short.

    All but ``device`` may raise:
        TransientFailure: the provider did not do it, and trying again may help; ``Throttled`` says when.
        CredentialsMissing, CredentialsRefused: with the SDK's own remedy.
        DeviceUnavailable: it takes no work now.
    """

    def device(self) -> Device:
        """What is known of it without asking: as last refreshed. Neither network nor the vendor's SDK is touched."""
        ...

    def refresh(self) -> Device:
        """Ask for target, calibration and availability, and keep them."""
        ...

    def warm_up(self) -> None:
        """Import the SDK and look for credentials."""
        ...

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile to its target, as for any backend.

        Raises:
            UnsupportedCircuit: the circuit can never run here.
        """
        ...

    def submit(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, purchase_id: str, memory: bool = False
    ) -> Ticket:
        """Hand in all runs. Called again with the same ``purchase_id``, it never buys a second time.

        An error speaks of this call alone: after a call whose outcome is unknown, only :meth:`find` tells whether
        something was bought. A ticket with fewer ids than a provider of one task per run should give ends as failed.

        Raises:
            OutcomeUnknown: the answer was lost; the caller looks with :meth:`find` before it sends anything again.
            ExecutionFailed: the provider has refused it for good, and nothing was bought.
        """
        ...

    def find(self, purchase_id: str, *, num_runs: int) -> Ticket | None:
        """What the provider has of this purchase; None if it has nothing.

        Fewer remote ids than runs, where each run is one task: handing in again under the same id completes it.
        """
        ...

    def poll(self, ticket: Ticket) -> RemoteStatus:
        """How it stands."""
        ...

    def fetch(self, ticket: Ticket, runs: Sequence[Run], *, memory: bool = False) -> Delivery:
        """What came out of finished work. Safe to repeat.

        Raises:
            ExecutionFailed: nothing did, in the provider's words.
        """
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Ask the provider to stop. What has ended already stays as it is."""
        ...
