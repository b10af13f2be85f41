"""The door: what is refused before it becomes a job. Errors name what was wanted, what was got, what to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from backends import BACKENDS
from backends.errors import UnknownBackend
from circuits.parameters import short
from orchestrator.errors import InvalidJob, UnknownPolicy, UnknownWorker
from orchestrator.job import JobSpec
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings

if TYPE_CHECKING:
    from orchestrator.store import Announcement, Switch

MAX_TAGS = 20
MAX_AFTER = 1000
"""Jobs that one job may come after."""

MAX_ID = 64
"""Characters that an id can have at most; ours have 32."""

MAX_NAME = 100
"""Characters of a tag; an idempotency key may have twice as many."""


def check_batch(specs: Sequence[JobSpec], settings: Settings, policies: Collection[str]) -> None:
    """Refuse a batch that breaks a limit, before any of it is written.

    Raises:
        InvalidJob: too many jobs, shots, bytes or tags.
        UnknownPolicy, UnknownBackend: a name that is not registered.
    """
    if not specs:
        raise InvalidJob("a batch needs at least one job; got none")
    if len(specs) > settings.max_batch:
        raise InvalidJob(
            f"a batch may hold {settings.max_batch} jobs; got {len(specs)}: submit it in parts or raise QORCH_MAX_BATCH"
        )
    for spec in specs:
        _check(spec, settings, policies)


def check_switch(switch: Switch, roll: Sequence[Announcement], switches: Sequence[Switch]) -> None:
    """Refuse to switch what nobody knows: a name mistyped would leave in service what was meant.

    Args:
        roll: who is there.   switches: what is out of service already.

    Raises:
        UnknownBackend: it is neither registered nor served.   UnknownWorker: it is not there.
    """
    switched = {other.name for other in switches if other.kind == switch.kind}
    if switch.kind == "backend":
        _known(switch.name, sorted({*BACKENDS, *switched, *(one.backend for one in roll)}), "backend", UnknownBackend)
    else:
        _known(switch.name, sorted({*switched, *(one.worker for one in roll)}), "worker", UnknownWorker)


def _check(spec: JobSpec, settings: Settings, policies: Collection[str]) -> None:
    if spec.shots > settings.max_shots:
        raise InvalidJob(
            f"a job may have {settings.max_shots} shots; got {spec.shots}: use several jobs or raise QORCH_MAX_SHOTS"
        )
    num_bytes = len(spec.program.text.encode(errors="surrogatepass"))
    if num_bytes > settings.max_program_bytes:
        raise InvalidJob(
            f"a program may have {settings.max_program_bytes} bytes; got {num_bytes}: raise QORCH_MAX_PROGRAM_BYTES"
        )
    if len(spec.tags) > MAX_TAGS:
        raise InvalidJob(f"a job may have {MAX_TAGS} tags; got {len(spec.tags)}")
    for tag in spec.tags:
        _check_text("a tag", tag, MAX_NAME)
    if len(spec.after) > MAX_AFTER:
        raise InvalidJob(f"a job may come after {MAX_AFTER} others; got {len(spec.after)}: put a job between")
    for parent in spec.after:
        _check_text("the id of a job that another one comes after", parent, MAX_ID)
    if spec.idempotency_key is not None:
        _check_text("an idempotency key", spec.idempotency_key, 2 * MAX_NAME)
    _known(spec.policy, policies, "policy", UnknownPolicy)
    for backend in (*spec.pin, *spec.allow, *spec.exclude):
        _known(backend, list(BACKENDS), "backend", UnknownBackend)
    _check_record(spec)


def _check_text(what: str, text: str, most: int) -> None:
    if not 0 < len(text) <= most or not text.isprintable():
        raise InvalidJob(f"{what} must have 1 to {most} printable characters; got {len(text)}: {short(text)}")


def _check_record(spec: JobSpec) -> None:
    """Every job is written down as JSON: what cannot be read back as it was must not get so far."""
    try:
        from_json(JobSpec, to_json(spec))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJob(f"a job must be plain JSON of the types that JobSpec names; got one where {error}") from error


def _known(name: str, names: Collection[str], kind: str, error: type[Exception]) -> None:
    if name not in names:
        close = get_close_matches(name[:MAX_NAME], list(names), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        there = ", ".join(sorted(names)) or "none"
        raise error(f"no {kind} is called {short(name)}; there are: {there}.{hint}")
