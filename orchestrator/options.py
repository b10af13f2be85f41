"""What may be said about a job, and a specification from whatever a user has in hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

from backends.backend import TranspileOptions
from circuits.program import DEFAULT_LIMITS, Program
from circuits.program import Limits as ProgramLimits
from orchestrator import checks
from orchestrator.errors import InvalidJob
from orchestrator.job import JobSpec, Limits, Objective

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from circuits.family import CircuitFamily
    from orchestrator.client import JobHandle

    AnyProgram: TypeAlias = QuantumCircuit | CircuitFamily | Program | str | Path


class Options(TypedDict, total=False):
    """What may be said about a job beside its program; all of it has a default (see ``JobSpec``).

    Attributes:
        shots: repetitions; an adaptive family takes them per circuit.
        policy: who decides where it goes; ``Client.policies()`` lists them.
        objective: what matters how much.   limits: what must not be exceeded.
        pin: run it there, whatever a policy would say; a mapping shares the shots: ``{"a": 0.5, "b": 0.5}``.
        allow, exclude: the candidates.
        priority: 0 (background) to 9 (urgent).
        seed: the same seed on the same backend gives the same counts. On a device whose readout drifts since its
            calibration that is so at the same moment.
        transpile: optimisation level, transpiler seed, initial layout.
        memory: keep every shot.   return_compiled: keep the transpiled circuits.
        canary: share of the shots to spend besides on circuits like it whose outcome is known, where its own is not.
        tags: to find it again.
        idempotency_key: submitting again with the same key gives the same job.
        after: jobs that have to be done before it, as handles or ids; if one fails or is cancelled, so does this one.
        max_parts: most backends among which a policy may share its shots, or the items of a family that can be divided.
    """

    shots: int
    policy: str
    objective: Objective
    limits: Limits
    pin: str | Mapping[str, float]
    allow: Sequence[str]
    exclude: Sequence[str]
    priority: int
    seed: int
    transpile: TranspileOptions
    memory: bool
    return_compiled: bool
    canary: float
    tags: Sequence[str]
    idempotency_key: str | None
    after: Sequence[str | JobHandle]
    max_parts: int


def job_spec(program: AnyProgram, admitted: ProgramLimits = DEFAULT_LIMITS, /, **options: Unpack[Options]) -> JobSpec:
    """A job specification from whatever a user has in hand.

    Args:
        admitted: what the program may ask for.   options: see :class:`Options`.

    Raises:
        CircuitError: the program cannot be read.   InvalidJob: an option no job can have.
    """
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        known = ", ".join(sorted(Options.__annotations__))
        raise InvalidJob(f"a job has no option {unknown[0][:80]!r}; it has: {known}")
    fixed: dict[str, Any] = dict(options)
    if isinstance(fixed.get("pin"), str):
        fixed["pin"] = {fixed["pin"]: 1.0}
    for name in ("allow", "exclude", "tags", "after"):
        value = fixed.get(name, ())
        if isinstance(value, str):
            raise InvalidJob(f"{name} must be a sequence of names; got a text: write [{checks.short(value)}]")
        fixed[name] = tuple(value) if isinstance(value, Iterable) else value
    if isinstance(fixed["after"], tuple):
        fixed["after"] = tuple(getattr(job, "id", job) for job in fixed["after"])  # a handle knows its id
    return JobSpec(program=Program.from_any(program, limits=admitted), **fixed)
