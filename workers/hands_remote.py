"""One step at a provider, as it is done in the child; what goes wrong there is an answer like any other.

Which answer it is decides whether something may be bought twice: only what has certainly not been done may be done
again. So whatever nobody foresaw while something was handed in is an unknown outcome.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from qiskit import qasm3

from backends.backend import Device
from backends.errors import (
    BackendError,
    CredentialsMissing,
    CredentialsRefused,
    DependencyNotInstalled,
    DeviceUnavailable,
    ExecutionFailed,
    Throttled,
    TransientFailure,
    UnsupportedCircuit,
)
from backends.remote import Delivery, RemoteBackend, RemoteState, Ticket
from circuits.errors import CircuitError
from circuits.family import Run
from orchestrator.job import Failure
from orchestrator.records import to_json
from orchestrator.runtime import Executed, RemoteAnswer, RemoteWork, Word
from workers import hands

log = logging.getLogger("qorch.child")

_REFUSED = (ExecutionFailed, UnsupportedCircuit, CredentialsMissing, CredentialsRefused, DependencyNotInstalled)
"""After one of these nothing was bought, and nothing will be by trying again."""


@cache
def provider(name: str) -> RemoteBackend:
    """The live remote backend, warmed up once.

    Raises:
        BackendError: its SDK or its credentials are missing.
    """
    found = hands.backend(name)
    if not isinstance(found, RemoteBackend):
        raise ExecutionFailed(f"{name} is announced as a QPU and cannot be asked as one: it has no submit and poll")
    found.warm_up()
    return found


def refresh(name: str) -> Device:
    """What a remote device says of itself now. Raises: BackendError."""
    return provider(name).refresh()


def take_step(work: RemoteWork) -> RemoteAnswer:
    """Do it, and say what came of it."""
    return _STEPS[work.step](work)


def _submit(work: RemoteWork) -> RemoteAnswer:
    """Transpile, and hand in. Nothing was sent before the last line."""
    one = work.work
    try:
        there = provider(one.backend)
        prepared = hands.transpiled(to_json(one.program), one.limits, one.backend, one.options)
    except TransientFailure as error:
        return _answer(Word.LATER, error)
    except Exception as error:  # noqa: BLE001 - it crosses a wire; whatever it is, nothing was sent
        return _answer(Word.REFUSED, error)
    if work.until is not None and time.clock_gettime(time.CLOCK_BOOTTIME) > work.until:
        return RemoteAnswer(
            Word.LATER, failure=Failure("execute", "TooLate", "it was not sent in time", transient=True)
        )
    try:
        ticket = there.submit(prepared, [Run(one.shots)], purchase_id=work.purchase_id, memory=one.memory)
    except TransientFailure as error:
        return _answer(Word.LATER, error)
    except _REFUSED as error:
        return _answer(Word.REFUSED, error)
    except Exception as error:  # noqa: BLE001 - as above; it may have been bought
        return _answer(Word.UNKNOWN, error)
    return RemoteAnswer(Word.DONE, ticket=ticket)


def _asking(ask: Callable[[RemoteBackend, RemoteWork], RemoteAnswer]) -> Callable[[RemoteWork], RemoteAnswer]:
    """A step that buys nothing: whatever keeps it from an answer, it may be asked again."""

    def asked(work: RemoteWork) -> RemoteAnswer:
        try:
            return ask(provider(work.work.backend), work)
        except Exception as error:  # noqa: BLE001 - it crosses a wire
            return _answer(Word.LATER, error)

    return asked


def _find(there: RemoteBackend, work: RemoteWork) -> RemoteAnswer:
    return RemoteAnswer(Word.DONE, ticket=there.find(work.purchase_id, num_runs=1))


def _poll(there: RemoteBackend, work: RemoteWork) -> RemoteAnswer:
    return RemoteAnswer(Word.DONE, status=there.poll(_ticket(work)))


def _cancel(there: RemoteBackend, work: RemoteWork) -> RemoteAnswer:
    """Withdraw what has not ended, and ask once more: the provider's own word counts."""
    before = there.poll(_ticket(work))
    if before.state not in (RemoteState.QUEUED, RemoteState.RUNNING):
        return RemoteAnswer(Word.DONE, status=before)
    there.cancel(_ticket(work))
    after = there.poll(_ticket(work))
    return RemoteAnswer(Word.DONE, status=after, begun=before.state is RemoteState.RUNNING)


def _fetch(there: RemoteBackend, work: RemoteWork) -> RemoteAnswer:
    """What came out, judged. A provider that says that nothing did has the last word on it."""
    one = work.work
    try:
        delivery = there.fetch(_ticket(work), [Run(one.shots)], memory=one.memory)
    except ExecutionFailed as error:
        return _answer(Word.REFUSED, error)
    billed = RemoteAnswer(Word.DONE, billed_usd=delivery.billed_usd, billed_s=delivery.billed_s)
    if not work.judged:
        return billed
    try:
        return replace(billed, executed=_executed(work, delivery))
    except Exception as error:  # noqa: BLE001 - it crosses a wire; it was delivered, and cannot be read
        return replace(_answer(Word.REFUSED, error), billed_usd=delivery.billed_usd, billed_s=delivery.billed_s)


def _executed(work: RemoteWork, delivery: Delivery) -> Executed:
    one = work.work
    family = hands.family_of(to_json(one.program), one.limits)
    compiled = delivery.compiled
    if one.return_compiled and compiled is None:
        circuits = hands.transpiled(to_json(one.program), one.limits, one.backend, one.options)
        compiled = tuple(qasm3.dumps(circuit) for circuit in circuits)
    execution = delivery.execution
    executed = hands.executed_of(
        family,
        one,
        execution,
        0,
        prepare_s=0.0,
        run_s=execution.run_s,
        compiled=compiled if one.return_compiled else None,
    )
    weight = None if delivery.weights is None else delivery.weights[0]
    if weight is None:
        return executed
    return replace(executed, expected=hands.expected(family, weight, one.ideal, family.build().num_clbits))


def _ticket(work: RemoteWork) -> Ticket:
    if work.ticket is None:
        raise ValueError(f"{work.step} needs the ticket of {work.purchase_id}")
    return work.ticket


def _answer(word: Word, error: Exception) -> RemoteAnswer:
    """An error as a word of the provider, or of whoever asked it."""
    ours = isinstance(error, CircuitError)
    words = str(error) or type(error).__name__
    if not isinstance(error, BackendError | CircuitError):
        log.exception("a step at a provider failed")
        words = f"{type(error).__name__}: {words}"
    again_s = error.retry_after_s if isinstance(error, Throttled) else None
    if isinstance(error, DeviceUnavailable) and error.opens_at is not None:
        again_s = max(0.0, error.opens_at - time.time())
    failure = Failure("execute", type(error).__name__, words, transient=word is Word.LATER, elsewhere=not ours)
    return RemoteAnswer(word, failure=failure, again_s=again_s)


_STEPS: dict[str, Callable[[RemoteWork], RemoteAnswer]] = {
    "submit": _submit,
    "find": _asking(_find),
    "poll": _asking(_poll),
    "fetch": _asking(_fetch),
    "cancel": _asking(_cancel),
}
