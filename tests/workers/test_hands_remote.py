"""One step at a provider: which answer it is decides whether something may be bought twice."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backends import BACKENDS
from backends.backend import Execution, TranspileOptions
from backends.errors import (
    CredentialsMissing,
    CredentialsRefused,
    DeviceUnavailable,
    ExecutionFailed,
    OutcomeUnknown,
    Throttled,
    TransientFailure,
    UnsupportedCircuit,
)
from backends.remote import Delivery, RemoteState, RemoteStatus, Ticket
from circuits.program import Limits, Program
from orchestrator.runtime import ExecuteWork, RemoteWork, Word
from tests.far.provider import device
from workers import hands, hands_remote

TICKET = Ticket("job-0-0", ("r1",))


class Moody:
    """A remote backend that does what the test says."""

    moods: dict[str, Any]

    def _mood(self, step: str) -> Any:
        mood = Moody.moods.get(step)
        if isinstance(mood, Exception):
            raise mood
        return mood

    def device(self) -> Any:
        return device("moody")

    def refresh(self) -> Any:
        return self._mood("refresh") or device("moody")

    def warm_up(self) -> None:
        self._mood("warm_up")

    def prepare(self, circuits: Any, options: Any) -> Any:
        return self._mood("prepare") or list(circuits)

    def submit(self, prepared: Any, runs: Any, *, purchase_id: str, memory: bool = False) -> Any:
        Moody.moods["sent"] = True
        return self._mood("submit") or Ticket(purchase_id, ("r1",))

    def find(self, purchase_id: str, *, num_runs: int) -> Any:
        return self._mood("find")

    def poll(self, ticket: Ticket) -> Any:
        return self._mood("poll")

    def fetch(self, ticket: Ticket, runs: Any, *, memory: bool = False) -> Any:
        return self._mood("fetch")

    def cancel(self, ticket: Ticket) -> None:
        self._mood("cancel")
        Moody.moods["poll"] = RemoteStatus(RemoteState.CANCELLED)


@pytest.fixture(autouse=True)
def moods(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What happens at each step."""
    monkeypatch.setitem(BACKENDS, "moody", f"{__name__}:Moody")
    monkeypatch.setattr("backends.resolve", lambda *_, **__: Moody)
    Moody.moods = {}
    yield Moody.moods
    for cached in (hands.backend, hands_remote.provider, hands._transpiled_to):
        cached.cache_clear()


@pytest.fixture
def step(bell: Program) -> Callable[..., Any]:
    """Takes a step."""
    work = ExecuteWork(bell, Limits(), "moody", 100, 7, TranspileOptions(), {"00": 0.5, "11": 0.5}, False, False)

    def take(kind: str, **changes: Any) -> Any:
        ticket = None if kind in ("submit", "find") else TICKET
        return hands_remote.take_step(replace(RemoteWork(kind, work, "job-0-0", ticket), **changes))

    return take


@pytest.mark.parametrize(
    ("where", "error", "word"),
    [
        ("warm_up", CredentialsMissing("log in"), Word.REFUSED),
        ("warm_up", TransientFailure("no network"), Word.LATER),
        ("prepare", UnsupportedCircuit("too wide"), Word.REFUSED),
        ("prepare", RuntimeError("nobody foresaw this"), Word.REFUSED),
        ("submit", ExecutionFailed("refused"), Word.REFUSED),
        ("submit", CredentialsRefused("expired"), Word.REFUSED),
        ("submit", Throttled("slowly", 7.0), Word.LATER),
        ("submit", DeviceUnavailable("closed"), Word.LATER),
        ("submit", OutcomeUnknown("no answer"), Word.UNKNOWN),
        ("submit", RuntimeError("nobody foresaw this"), Word.UNKNOWN),
        ("submit", KeyError("id"), Word.UNKNOWN),
    ],
)
def test_only_what_was_certainly_not_done_may_be_done_again(
    moods: dict[str, Any], step: Callable[..., Any], where: str, error: Exception, word: Word
) -> None:
    moods[where] = error
    answer = step("submit")
    assert (answer.word, answer.ticket) == (word, None)
    assert answer.failure.kind == type(error).__name__
    assert answer.failure.transient == (word is Word.LATER)
    assert moods.get("sent", False) == (where == "submit")
    assert answer.again_s == (7.0 if isinstance(error, Throttled) else None)


def test_what_is_late_is_not_sent_at_all(moods: dict[str, Any], step: Callable[..., Any]) -> None:
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert step("submit", until=now - 1.0).word is Word.LATER
    assert "sent" not in moods
    assert step("submit", until=now + 60.0).ticket == TICKET


def test_when_it_opens_is_told(moods: dict[str, Any], step: Callable[..., Any]) -> None:
    moods["submit"] = DeviceUnavailable("closed", opens_at=time.time() + 60.0)
    assert step("submit").again_s == pytest.approx(60.0, abs=5.0)


@pytest.mark.parametrize("kind", ["find", "poll", "fetch", "cancel"])
@pytest.mark.parametrize("error", [TransientFailure("no"), CredentialsRefused("expired"), RuntimeError("what?")])
def test_a_question_may_be_asked_again(
    moods: dict[str, Any], step: Callable[..., Any], kind: str, error: Exception
) -> None:
    moods["poll" if kind == "cancel" else kind] = error
    assert step(kind).word is Word.LATER


def test_find_gives_the_ticket_or_nothing(moods: dict[str, Any], step: Callable[..., Any]) -> None:
    assert (step("find").word, step("find").ticket) == (Word.DONE, None)
    moods["find"] = TICKET
    assert step("find").ticket == TICKET


def test_what_is_fetched_is_judged_or_only_paid(moods: dict[str, Any], step: Callable[..., Any]) -> None:
    counts = ({"00": 50, "11": 50},)
    moods["fetch"] = Delivery(Execution(counts, 0.1, device_s=0.2, queue_s=9.0), billed_usd=1.5, billed_s=0.25)
    answer = step("fetch")
    assert answer.executed.judgement.fidelity == pytest.approx(1.0)
    assert (answer.executed.device_s, answer.executed.queue_s) == (0.2, 9.0)
    assert (answer.billed_usd, answer.billed_s) == (1.5, 0.25)
    assert (step("fetch", judged=False).executed, step("fetch", judged=False).billed_usd) == (None, 1.5)
    assert answer.executed.expected is None, "this provider does not tell what it ran"
    moods["fetch"] = Delivery(Execution(counts, 0.1), weights=(0.8,))
    assert step("fetch").executed.expected == pytest.approx((2 * math.sqrt(0.5 * (0.8 * 0.5 + 0.2 / 4))) ** 2)
    moods["fetch"] = Delivery(Execution(counts, 0.1), weights=(None,))
    assert step("fetch").executed.expected is None
    moods["fetch"] = Delivery(Execution((), 0.1), billed_usd=1.5)
    unreadable = step("fetch")
    assert (unreadable.word, unreadable.billed_usd) == (Word.REFUSED, 1.5), "it was delivered, and is paid"
    moods["fetch"] = ExecutionFailed("the device broke")
    assert step("fetch").word is Word.REFUSED


def test_a_withdrawal_says_what_the_provider_says(moods: dict[str, Any], step: Callable[..., Any]) -> None:
    for state in (RemoteState.QUEUED, RemoteState.RUNNING):
        moods["poll"] = RemoteStatus(state)
        answer = step("cancel")
        assert (answer.status.state, answer.begun) == (RemoteState.CANCELLED, state is RemoteState.RUNNING)
    moods["poll"] = RemoteStatus(RemoteState.DONE)
    assert step("cancel").status.state is RemoteState.DONE, "it had ended before"


def test_a_device_is_asked_how_it_is(moods: dict[str, Any]) -> None:
    assert hands_remote.refresh("moody").name == "moody"
    moods["refresh"] = CredentialsRefused("expired")
    with pytest.raises(CredentialsRefused):
        hands_remote.refresh("moody")
