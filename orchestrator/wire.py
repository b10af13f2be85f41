"""What both ends of the HTTP interface agree on: its version, and how an error crosses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from backends import errors as backends
from circuits import errors as circuits
from orchestrator import errors
from orchestrator.errors import JobError, JobNotFound, TransportError

PROTOCOL = "1"
"""Raised when a client of the version before could no longer be understood."""

PROTOCOL_HEADER = "X-Qorch-Protocol"
PREFIX = "/v1"

MAX_IDS = 10_000
"""Most jobs that one question may be about."""

MAX_LISTED = 10_000
"""Most jobs that one list over HTTP may have."""

AGAIN = "again"
"""Name of the server-sent event that says: something was missed, look again."""


@dataclass(frozen=True)
class About:
    """What answers at an address.

    Attributes:
        project: whose jobs the caller sees; None means everybody's.
    """

    name: str
    version: str
    protocol: str
    project: str | None = None


@dataclass(frozen=True)
class ErrorDetail:
    """An error on its way. ``kind`` is the name of its class, ``job_id`` the job it is about."""

    kind: str
    message: str
    job_id: str | None = None


@dataclass(frozen=True)
class ErrorBody:
    """What every answer that is none looks like."""

    error: ErrorDetail


_ONE_MESSAGE: tuple[type[Exception], ...] = (
    circuits.CircuitError,
    circuits.InvalidParameter,
    circuits.InvalidProgram,
    circuits.UnknownCircuit,
    backends.BackendError,
    backends.CalibrationMissing,
    backends.CredentialsMissing,
    backends.CredentialsRefused,
    backends.DeviceUnavailable,
    backends.ExecutionFailed,
    backends.HardwareMissing,
    backends.InvalidPrices,
    backends.NotHere,
    backends.OutcomeUnknown,
    backends.Throttled,
    backends.TransientFailure,
    backends.UnknownBackend,
    backends.UnsupportedCircuit,
    errors.BudgetExceeded,
    errors.ConfigurationError,
    errors.EntanglementError,
    errors.InvalidDemand,
    errors.InvalidJob,
    errors.NotAuthorised,
    errors.OrchestratorError,
    errors.PlacementError,
    errors.ProtocolMismatch,
    errors.ServerUnreachable,
    errors.StoreUnavailable,
    errors.TransportError,
    errors.UnknownPolicy,
    errors.UnknownWorker,
)

_REBUILD: Mapping[str, Callable[[ErrorDetail], Exception]] = {
    **{kind.__name__: lambda sent, kind=kind: kind(sent.message) for kind in _ONE_MESSAGE},  # type: ignore[misc]
    "JobNotFound": lambda sent: JobNotFound(sent.job_id or ""),
    "ClientClosed": lambda sent: errors.ServerUnreachable(f"the server is closing: {sent.message}"),
}


def to_wire(error: Exception) -> ErrorBody:
    """An error as the other end will read it."""
    kind = type(error).__name__
    job_id = error.job_id if isinstance(error, JobError) else None
    return ErrorBody(ErrorDetail(kind, str(error) or kind, job_id))


def from_wire(sent: ErrorDetail) -> Exception:
    """The error that an embedded client would have met; of a kind unknown here, a :class:`TransportError`."""
    rebuild = _REBUILD.get(sent.kind)
    return TransportError(f"{sent.kind}: {sent.message}") if rebuild is None else rebuild(sent)


def is_loopback(host: Any) -> bool:
    """Whether a host's name or address never leaves this machine."""
    name = str(host).strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
