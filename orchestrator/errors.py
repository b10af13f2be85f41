"""What can go wrong on the trip of a job, as its submitter sees it.

OrchestratorError
├─ JobError (.job_id)      JobFailed (.stage .reason)  JobNotFound  JobCancelled  JobTimeout
├─ PlacementError          NoFeasibleBackend (.rejections: backend -> why)  UnknownPolicy  BudgetExceeded
├─ InvalidTransition       (.story: every event so far)
├─ TransportError          ServerUnreachable  ClientClosed  StoreUnavailable  NotAuthorised  ProtocolMismatch
├─ UnknownWorker           no worker of that name is there
├─ InvalidJob              a specification that no job can have
├─ EntanglementError       InvalidDemand  UnknownQuote  UnknownLease
└─ ConfigurationError
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.errors import BackendError
from circuits.errors import CircuitError
from orchestrator.logs import masked


class OrchestratorError(Exception):
    """Base of everything this room raises."""


class JobError(OrchestratorError):
    """Something about one job."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobFailed(JobError):
    """The job ended without a result; ``reason`` has the words of the stage where it happened."""

    def __init__(self, job_id: str, stage: str, reason: str) -> None:
        super().__init__(job_id, f"job {job_id} failed at {stage}: {reason}")
        self.stage = stage
        self.reason = reason


class JobNotFound(JobError):
    """No such job in this store."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"no job {job_id!r} in this store; `qorch jobs` lists the known ones")


class JobCancelled(JobError):
    """The job was cancelled before it had a result."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"job {job_id} was cancelled")


class JobTimeout(JobError):
    """The job had no result when the caller stopped waiting; the job itself goes on."""

    def __init__(self, job_id: str, timeout_s: float, state: str) -> None:
        super().__init__(
            job_id,
            f"job {job_id} had no result within {timeout_s:g} s (it is {state}); "
            "it goes on: ask again with a longer timeout or cancel it",
        )


class PlacementError(OrchestratorError):
    """No place could be found for a job."""


class NoFeasibleBackend(PlacementError):
    """Every backend was excluded; ``rejections`` says why, one by one."""

    def __init__(self, rejections: Mapping[str, Sequence[str]]) -> None:
        self.rejections = {backend: tuple(why) for backend, why in rejections.items()}
        reasons = "; ".join(f"{backend}: {', '.join(why)}" for backend, why in sorted(self.rejections.items()))
        super().__init__(
            f"no backend can take this job: {reasons}"
            if reasons
            else "no backend can take this job: no worker has announced one; start one with `qorch up`"
        )


class UnknownPolicy(PlacementError):
    """No policy is registered under that name."""


class BudgetExceeded(PlacementError):
    """It would cost more than the project or the job may spend; nothing was sent."""


class InvalidTransition(OrchestratorError):
    """An event that cannot happen in that state; ``story`` is every event the record has seen."""

    def __init__(self, state: str, event: str, story: Sequence[str]) -> None:
        super().__init__(f"{event} cannot happen to an assignment that is {state}; its story: {' -> '.join(story)}")
        self.story = tuple(story)


class TransportError(OrchestratorError):
    """The client could not speak with the orchestrator."""


class ServerUnreachable(TransportError):
    """Nothing answers at the address."""


class NotAuthorised(TransportError):
    """The server wants a token, or another one than it was given."""


class ProtocolMismatch(TransportError):
    """What answers is no orchestrator, or one of another version."""


class ClientClosed(TransportError):
    """The client was closed before, or while somebody waited."""

    def __init__(self) -> None:
        super().__init__("this client is closed; its jobs rest in the store: open a new one and ask for them by id")


class StoreUnavailable(TransportError):
    """The database does not answer or cannot write; what was asked was done whole or not at all. Try again."""


class UnknownWorker(OrchestratorError):
    """No worker of that name is on the roll."""


class InvalidJob(OrchestratorError):
    """A job specification outside the limits of the door."""


class ConfigurationError(OrchestratorError):
    """A setting that cannot be used."""


class EntanglementError(OrchestratorError):
    """An allocator of entangled pairs cannot do what it was asked."""


class InvalidDemand(EntanglementError):
    """Pairs that nobody can make, or between QPUs that are not there."""


class UnknownQuote(EntanglementError):
    """A quote that was never given, or is no longer valid."""

    def __init__(self, quote_id: str) -> None:
        super().__init__(f"quote_id: wanted a quote that is still valid, got {quote_id[:80]!r}: ask for another")


class UnknownLease(EntanglementError):
    """A lease that was released, or never granted."""

    def __init__(self, lease_id: str) -> None:
        super().__init__(f"lease_id: wanted one that is held, got {lease_id[:80]!r}: reserve a quote first")


def in_words(error: Exception) -> str | None:
    """What an entry point says of an error that can be expected, in one line; None of one that is a defect."""
    if isinstance(error, OrchestratorError | CircuitError | BackendError):
        return one_line(str(error) or type(error).__name__)
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return one_line(f"{where}{error.strerror or error}")
    if type(error).__module__.partition(".")[0] in ("sqlalchemy", "redis", "kombu"):
        return one_line(str(getattr(error, "orig", None) or error).partition("\n")[0])
    return None


def one_line(text: str) -> str:
    """The text as one line that may be shown: without secrets and what cannot be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(masked(text).split()))
