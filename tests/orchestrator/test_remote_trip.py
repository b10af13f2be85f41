"""One visit to a share on a remote device, with a store and hands of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backends.pricing import Price
from backends.remote import RemoteState, RemoteStatus, Ticket
from orchestrator.bucket import MemoryBucket, Rate
from orchestrator.job import Assignment, AssignmentState, Failure, Job, JobSpec, JobState, Limits
from orchestrator.lifecycle import Broken, Returned, Sent, Withdrawn
from orchestrator.purchase import Purchase, PurchaseState, handed_in, purchase_of
from orchestrator.remote_trip import Visit
from orchestrator.runtime import RemoteAnswer, RuntimeFailure, Word, WorkReturned
from orchestrator.settings import Settings
from orchestrator.store import Claimed, Ending
from tests.far.provider import PRICE, device

NOW = 1_000.0
TICKET = Ticket("job-0-0", ("r1",))
LOST = RuntimeFailure(Failure("execute", "worker_lost", "a child died", transient=True))


class Scene:
    """A visit, what it asked for, and how it ended."""

    def __init__(self, settings: Settings, claimed: Claimed, price: Price) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {}
        self.bucket = MemoryBucket(rates=lambda _: Rate(per_s=0.1, burst=9.0))
        store = SimpleNamespace(now=lambda: NOW, reserve=self._reserve)
        runtime = SimpleNamespace(remote=self._remote)
        work = SimpleNamespace(shots=claimed.assignment.shots)
        self.visit = Visit(
            cast(Any, store),
            cast(Any, runtime),
            self.bucket,
            settings,
            claimed,
            device("far", price),
            cast(Any, work),
        )

    def _reserve(self, part: Assignment, purchase: Purchase) -> Purchase:
        self.asked.append("reserve")
        return replace(purchase, sent_at=NOW)

    def _remote(self, work: Any, leash: Any) -> RemoteAnswer:
        self.asked.append(work.step)
        answer = self.answers[work.step]
        if isinstance(answer, Exception):
            raise answer
        return cast(RemoteAnswer, answer)

    def end(self) -> Ending:
        return self.visit.make(lambda executed, service_s: pytest.fail("nothing was delivered"))


@pytest.fixture
def scene(settings: Settings, spec: JobSpec, new_assignment: Callable[..., Assignment]) -> Callable[..., Scene]:
    """Makes a visit to a share whose purchase stands so."""

    def make(
        purchase: Purchase | None = None,
        *,
        price: Price = PRICE,
        cancelled: bool = False,
        deadline_s: float | None = None,
    ) -> Scene:
        asked = replace(spec, limits=Limits(deadline_s=deadline_s))
        job = Job("job", 1, asked, JobState.RUNNING, NOW - 100.0, cancel_requested=cancelled)
        name = None if purchase is None else purchase.id
        part = new_assignment(backend="far", state=AssignmentState.RUNNING, attempt=1, purchase_id=name)
        return Scene(settings, Claimed(part, job, True, purchase, int(purchase is not None)), price)

    return make


@pytest.fixture
def new(spec: JobSpec, new_assignment: Callable[..., Assignment]) -> Purchase:
    """A purchase that somebody was about to send just now."""
    job = Job("job", 1, spec, JobState.RUNNING, NOW)
    return replace(purchase_of(job, new_assignment(backend="far"), 0), sent_at=NOW)


def paid(ending: Ending) -> PurchaseState | None:
    return None if ending.purchase is None else ending.purchase.state


@pytest.mark.parametrize(
    ("answer", "event", "state"),
    [
        (RemoteAnswer(Word.DONE, ticket=TICKET), Sent, PurchaseState.SENT),
        (RemoteAnswer(Word.DONE), Sent, PurchaseState.UNKNOWN),
        (RemoteAnswer(Word.UNKNOWN), Sent, PurchaseState.UNKNOWN),
        (LOST, Sent, PurchaseState.UNKNOWN),
        (RemoteAnswer(Word.LATER), Broken, PurchaseState.RELEASED),
        (RemoteAnswer(Word.REFUSED), Broken, PurchaseState.RELEASED),
        (WorkReturned(), Returned, None),
    ],
)
def test_what_is_handed_in(scene: Callable[..., Scene], answer: Any, event: type, state: PurchaseState | None) -> None:
    visit = scene()
    visit.answers["submit"] = answer
    ending = visit.end()
    assert visit.asked == ["reserve", "submit"], "its price is set aside before the first word"
    assert (type(ending.event), paid(ending)) == (event, state)


def test_a_provider_is_not_asked_more_often_than_it_may_be(scene: Callable[..., Scene], new: Purchase) -> None:
    visit = scene()
    visit.bucket.take("far", 9.0)
    ending = visit.end()
    assert visit.asked == ["reserve"], "nothing was sent"
    assert isinstance(ending.event, Broken)
    assert not ending.event.counts, "patience costs no attempt"
    assert ending.event.due_at == pytest.approx(NOW + 10.0, abs=0.5)
    assert paid(ending) is PurchaseState.RELEASED
    sent = scene(handed_in(new, TICKET))
    sent.bucket.take("far", 9.0)
    assert (type(sent.end().event), sent.asked) == (Sent, [])


@pytest.mark.parametrize("age_s", [0.0, 10_000.0])
def test_what_may_exist_is_looked_for_before_anything_is_sent(
    scene: Callable[..., Scene], new: Purchase, age_s: float
) -> None:
    old = replace(new, sent_at=NOW - age_s)
    found = scene(old)
    found.answers["find"] = RemoteAnswer(Word.DONE, ticket=TICKET)
    assert (found.end().purchase, found.asked) == (handed_in(old, TICKET), ["find"])
    silent = scene(old)
    silent.answers["find"] = LOST
    assert (type(silent.end().event), silent.asked) == (Sent, ["find"])
    nothing = scene(old)
    nothing.answers |= {"find": RemoteAnswer(Word.DONE), "submit": RemoteAnswer(Word.DONE, ticket=TICKET)}
    ending = nothing.end()
    assert isinstance(ending.event, Sent)
    if age_s:
        assert nothing.asked == ["find", "reserve", "submit"]
        assert ending.purchase is not None
        assert ending.purchase.id == old.id, "under the same name"
    else:
        assert nothing.asked == ["find"], "it may still be on its way"
        assert ending.event.due_at > NOW


def test_a_device_without_a_price_sells_nothing(scene: Callable[..., Scene], new: Purchase) -> None:
    visit = scene(price=Price())
    assert (type(visit.end().event), visit.asked) == (Broken, [])
    again = scene(replace(new, sent_at=0.0), price=Price())
    again.answers["find"] = RemoteAnswer(Word.DONE)
    assert paid(again.end()) is PurchaseState.RELEASED


@pytest.mark.parametrize(
    ("status", "event", "state"),
    [
        (RemoteState.QUEUED, Sent, PurchaseState.SENT),
        (RemoteState.FAILED, Broken, PurchaseState.RELEASED),
        (RemoteState.CANCELLED, Broken, PurchaseState.RELEASED),
    ],
)
def test_what_the_provider_says(
    scene: Callable[..., Scene], new: Purchase, status: RemoteState, event: type, state: PurchaseState
) -> None:
    visit = scene(handed_in(new, TICKET))
    visit.answers["poll"] = RemoteAnswer(Word.DONE, status=RemoteStatus(status, 3, ask_again_s=17.0))
    ending = visit.end()
    assert (type(ending.event), paid(ending)) == (event, state)
    if isinstance(ending.event, Sent):
        assert ending.event.due_at == NOW + 17.0, "as it asks"
        assert ending.news == (("remote_queued", {"position": 3}),)


def test_what_was_delivered_and_cannot_be_read_is_paid(scene: Callable[..., Scene], new: Purchase) -> None:
    visit = scene(handed_in(new, TICKET))
    visit.answers["poll"] = RemoteAnswer(Word.DONE, status=RemoteStatus(RemoteState.DONE))
    visit.answers["fetch"] = RemoteAnswer(Word.REFUSED, billed_usd=9.0)
    ending = visit.end()
    assert (type(ending.event), paid(ending)) == (Broken, PurchaseState.SETTLED)
    assert ending.purchase is not None
    assert ending.purchase.usd == 9.0
    visit.answers["fetch"] = LOST
    again = visit.end()
    assert isinstance(again.event, Sent)
    assert again.event.counts, "what breaks its child each time does not go on for ever"


@pytest.mark.parametrize("cancelled", [True, False])
def test_what_is_wanted_no_more_is_withdrawn(scene: Callable[..., Scene], new: Purchase, cancelled: bool) -> None:
    visit = scene(handed_in(new, TICKET), cancelled=cancelled, deadline_s=1.0)
    visit.answers["cancel"] = RemoteAnswer(Word.DONE, status=RemoteStatus(RemoteState.CANCELLED))
    ending = visit.end()
    assert (type(ending.event), paid(ending)) == (Withdrawn if cancelled else Broken, PurchaseState.RELEASED)
    visit.answers["cancel"] = RemoteAnswer(Word.LATER)
    silent = visit.end()
    assert isinstance(silent.event, Sent), "the provider has not said so yet"
    assert silent.event.knowing == cancelled


def test_what_ended_before_it_was_withdrawn_is_paid(scene: Callable[..., Scene], new: Purchase) -> None:
    visit = scene(handed_in(new, TICKET), cancelled=True)
    visit.answers["cancel"] = RemoteAnswer(Word.DONE, status=RemoteStatus(RemoteState.DONE))
    visit.answers["fetch"] = RemoteAnswer(Word.LATER)
    ending = visit.end()
    assert (type(ending.event), paid(ending)) == (Withdrawn, PurchaseState.SETTLED)
    assert ending.purchase is not None
    assert ending.purchase.usd == pytest.approx(PRICE.cost_usd(num_tasks=1, shots=100, run_s=0.0)), "by the price table"
