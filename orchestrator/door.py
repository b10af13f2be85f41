"""The door: what is refused before it becomes a job. Errors name what was wanted, what was got, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from backends import BACKENDS
from backends.errors import UnknownBackend
from orchestrator.errors import InvalidJob, UnknownPolicy
from orchestrator.job import JobSpec
from orchestrator.settings import Settings

MAX_TAGS = 20
MAX_NAME = 100
"""Characters of a tag; an idempotency key may have twice as many."""


def check_batch(specs: Sequence[JobSpec], settings: Settings, policies: Sequence[str]) -> None:
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


def _check(spec: JobSpec, settings: Settings, policies: Sequence[str]) -> None:
    if spec.shots > settings.max_shots:
        raise InvalidJob(
            f"a job may have {settings.max_shots} shots; got {spec.shots}: use several jobs or raise QORCH_MAX_SHOTS"
        )
    num_bytes = len(spec.program.text.encode(errors="surrogatepass"))
    if num_bytes > settings.max_program_bytes:
        raise InvalidJob(
            f"a program may have {settings.max_program_bytes} bytes; got {num_bytes}: raise QORCH_MAX_PROGRAM_BYTES"
        )
    if len(spec.tags) > MAX_TAGS or any(not 0 < len(tag) <= MAX_NAME for tag in spec.tags):
        raise InvalidJob(f"a job may have {MAX_TAGS} tags of 1 to {MAX_NAME} characters; got {len(spec.tags)} tags")
    key = spec.idempotency_key
    if key is not None and not 0 < len(key) <= 2 * MAX_NAME:
        raise InvalidJob(f"an idempotency key has 1 to {2 * MAX_NAME} characters; got {len(key)}")
    _known(spec.policy, policies, "policy", UnknownPolicy)
    for backend in (*spec.pin, *spec.allow, *spec.exclude):
        _known(backend, list(BACKENDS), "backend", UnknownBackend)


def _known(name: str, names: Sequence[str], kind: str, error: type[Exception]) -> None:
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise error(f"no {kind} is called {name[:MAX_NAME]!r}; there are: {', '.join(sorted(names))}.{hint}")
