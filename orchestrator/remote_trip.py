"""The trip's stretch over the network: a share on a remote device, from one short visit to the next.

A visit takes what is written down of a purchase, does what :func:`orchestrator.purchase.step` says, and lets go.
What is bought is written down before it is sent, and the answer of its provider before anything else is done; a worker
that dies in between leaves the purchase to whoever visits next, who looks before anything is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backends.backend import Device
from backends.pricing import unpriced
from backends.remote import RemoteState
from orchestrator.bucket import Bucket
from orchestrator.case import News
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import BudgetExceeded
from orchestrator.job import Failure
from orchestrator.lifecycle import Broken, Returned, Sent, Withdrawn, unwanted
from orchestrator.placement import missed_deadline
from orchestrator.purchase import (
    Purchase,
    PurchaseState,
    Step,
    handed_in,
    heard,
    purchase_of,
    released,
    settled,
    step,
    withdrawn,
)
from orchestrator.runtime import (
    Executed,
    ExecuteWork,
    Leash,
    RemoteAnswer,
    RemoteWork,
    Runtime,
    RuntimeFailure,
    Word,
    WorkReturned,
)
from orchestrator.settings import Settings
from orchestrator.store import Claimed, Ending, Store

GROWTH = 1.5
"""Every pause between two questions is so much longer than the one before (ours)."""

QUIET = 2.0
"""So many time limits after something was to be sent it is believed that it is not on its way any more (ours): within
one it is sent or not sent at all, and within another it is there."""

PATIENT = frozenset({"Throttled", "DeviceUnavailable", "TooLate"})
"""Kinds of failures that ask for patience: they use up no attempt."""

Complete = Callable[[Executed, float], Ending]
"""Makes the end of a share of what was executed and of its service time in seconds."""


class Visit:
    """One claim of one share on a remote device."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        bucket: Bucket,
        settings: Settings,
        one: Claimed,
        device: Device,
        work: ExecuteWork,
    ) -> None:
        """``work`` is what the share runs; ``one`` has its purchase as it stands; ``bucket`` is the providers'."""
        self._store = store
        self._bucket = bucket
        self._runtime = runtime
        self._settings = settings
        self._one = one
        self._device = device
        self._work = work
        self._purchase = one.purchase
        self._unwanted = unwanted(one.job)

    def make(self, complete: Complete) -> Ending:
        """Do what is to be done next, and say how the share goes on."""
        todo = step(self._purchase, wanted=not self._unwanted, late=self._late())
        try:
            return self._do(todo, complete)
        except WorkReturned:
            return self._ending(Returned(self._store.now()))
        except DEFECTS as error:
            return self._hindered(defect("execute", error))

    def _do(self, todo: Step, complete: Complete) -> Ending:
        known = self._purchase
        if todo is Step.BUY or known is None:
            return self._over(known) if todo is Step.DROP else self._buy()
        match todo:
            case Step.FIND:
                return self._find(known)
            case Step.LOOK:
                return self._look(known, complete)
            case Step.RECALL:
                return self._recall(known)
        return self._pay(known)

    # ── buy ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _buy(self) -> Ending:
        """Set the price aside, then hand in; neither if the device has no price, or nobody may pay it."""
        if (why := unpriced(self._device)) is not None:
            nothing = self._purchase and released(self._purchase)  # the provider has just said that it has none of it
            return self._ending(Broken(self._store.now(), Failure("execute", "PriceUnknown", why)), nothing)
        until = time.clock_gettime(time.CLOCK_BOOTTIME) + self._settings.remote_timeout_s
        wanted = self._purchase or purchase_of(self._one.job, self._one.assignment, self._one.num_purchases)
        try:
            reserved = self._store.reserve(self._one.assignment, wanted)
        except BudgetExceeded as error:
            return self._ending(Broken(self._store.now(), Failure("execute", "BudgetExceeded", str(error))))
        if reserved is None:  # it is wanted no more, or no longer this worker's to buy
            return self._ending(Withdrawn(self._store.now())) if self._purchase is None else self._away(None, 0.0)
        self._purchase = reserved
        answer = self._ask("submit", reserved, until=until)
        if answer.word is Word.DONE and answer.ticket is not None:
            return self._sent(handed_in(reserved, answer.ticket), self._pause_s())
        failure = answer.failure or Failure("execute", "NoTicket", "the provider took it and gave no ticket")
        if answer.word in (Word.DONE, Word.UNKNOWN):
            told = ("outcome_unknown", {"message": failure.message})
            return self._away(replace(reserved, state=PurchaseState.UNKNOWN), self._pause_s(), failure, news=(told,))
        now, again_s = self._store.now(), answer.again_s if answer.again_s is not None else self._pause_s()
        counts = failure.kind not in PATIENT
        return self._ending(Broken(now, failure, due_at=now + again_s, counts=counts), released(reserved))

    def _find(self, known: Purchase) -> Ending:
        """It may have been bought: only if the provider certainly has nothing of it, it is sent again, or dropped.

        Whoever was to send it may still be at it, or what was sent on its way after its sender has died: that there is
        nothing is believed only after a while.
        """
        answer = self._ask("find", known)
        if answer.word is not Word.DONE:
            return self._silent(known, answer)
        if answer.ticket is not None:
            return self._sent(handed_in(known, answer.ticket), 0.0)
        quiet_s = known.sent_at + QUIET * self._settings.remote_timeout_s - self._store.now()
        if quiet_s > 0.0:
            return self._away(known, quiet_s)
        return self._over(released(known)) if self._unwanted or self._late() else self._buy()

    def _late(self) -> bool:
        deadline_s = self._one.job.spec.limits.deadline_s
        return deadline_s is not None and self._store.now() > self._one.job.submitted_at + deadline_s

    # ── look ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _look(self, known: Purchase, complete: Complete) -> Ending:
        answer = self._ask("poll", known)
        if answer.status is None:
            return self._silent(known, answer)
        after, status = heard(known, answer.status), answer.status
        match status.state:
            case RemoteState.QUEUED | RemoteState.RUNNING:
                moved = (after.status, after.position) != (known.status, known.position)
                where = {} if status.position is None else {"position": status.position}
                news: tuple[News, ...] = ((f"remote_{status.state.value}", where),) if moved else ()
                return self._away(after, self._pause_s(status.ask_again_s), news=news)
            case RemoteState.FAILED:
                words = status.message or f"{known.backend} says that it failed, and not why"
                return self._ending(
                    Broken(self._store.now(), Failure("execute", "ExecutionFailed", words)), released(after)
                )
            case RemoteState.CANCELLED:
                words = status.message or f"it was cancelled at {known.backend}, and not by this orchestrator"
                failure = Failure("execute", "RemoteCancelled", words)
                return self._ending(Broken(self._store.now(), failure), withdrawn(known, begun=answer.begun))
        return self._fetch(after, complete)

    def _fetch(self, done: Purchase, complete: Complete) -> Ending:
        """It ran: its counts, judged, and its price."""
        answer = self._ask("fetch", done)
        if answer.word in (Word.LATER, Word.UNKNOWN):
            return self._silent(done, answer)
        paid = self._paid(done, answer)
        executed = answer.executed
        if executed is None:
            failure = answer.failure or Failure("execute", "NothingDelivered", f"{done.backend} delivered nothing")
            return self._ending(Broken(self._store.now(), failure), paid)
        service_s = executed.run_s if executed.device_s is None else executed.device_s
        return replace(complete(replace(executed, billed_usd=paid.usd), service_s), purchase=paid)

    # ── withdraw ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _recall(self, known: Purchase) -> Ending:
        """Withdraw it at the provider, whose word counts: it may have ended just before."""
        answer = self._ask("cancel", known)
        if answer.status is None:
            return self._silent(known, answer)
        after = heard(known, answer.status)
        match answer.status.state:
            case RemoteState.CANCELLED:
                return self._over(withdrawn(known, begun=answer.begun))
            case RemoteState.FAILED:
                return self._over(released(after))
            case RemoteState.DONE:
                return self._pay(after) if self._unwanted else self._away(after, 0.0)
        return self._away(after, self._pause_s(answer.status.ask_again_s))

    def _pay(self, done: Purchase) -> Ending:
        """It was delivered, and nobody wants it any more."""
        return self._over(self._paid(done, self._ask("fetch", done, judged=False)))

    def _paid(self, done: Purchase, answer: RemoteAnswer) -> Purchase:
        device_s = None if answer.executed is None else answer.executed.device_s
        shots, price = self._work.shots, self._device.price
        return settled(done, price, shots=shots, device_s=device_s, usd=answer.billed_usd, qpu_s=answer.billed_s)

    def _over(self, purchase: Purchase | None) -> Ending:
        """Nothing of it is at the provider any more, and nobody wants it, or it could not begin in time."""
        now = self._store.now()
        event = Withdrawn(now) if self._unwanted else Broken(now, missed_deadline(self._one.job.spec))
        return self._ending(event, purchase)

    # ── let go ────────────────────────────────────────────────────────────────────────────────────────────────────
    def _sent(self, purchase: Purchase, pause_s: float) -> Ending:
        told = {"purchase": purchase.id, "remote_ids": list(purchase.remote_ids)}
        return self._away(purchase, pause_s, news=(("sent", told),))

    def _silent(self, known: Purchase, answer: RemoteAnswer) -> Ending:
        """The provider could not be asked; that is told once for as long as it says the same."""
        failure = answer.failure or Failure("execute", "NoAnswer", "the provider gave no answer", transient=True)
        before = self._one.assignment.failure
        told = ("remote_silent", {"message": failure.message})
        news = () if before is not None and before.message == failure.message else (told,)
        counts = answer.word is Word.UNKNOWN and known.status is RemoteState.DONE  # what was fetched broke the child
        return self._away(known, self._pause_s(answer.again_s), failure, news=news, counts=counts)

    def _hindered(self, failure: Failure) -> Ending:
        """Something that nobody foresaw: with a purchase, it is looked at again; a job that goes on so fails."""
        if self._purchase is None:
            return self._ending(Broken(self._store.now(), failure))
        return self._away(None, self._pause_s(), failure, counts=True)

    def _away(
        self,
        purchase: Purchase | None,
        pause_s: float,
        failure: Failure | None = None,
        *,
        news: tuple[News, ...] = (),
        counts: bool = False,
    ) -> Ending:
        now = self._store.now()
        event = Sent(now, now + pause_s, failure, counts=counts, knowing=self._unwanted)
        return Ending(self._one.assignment, event, purchase=purchase, news=news)

    def _ending(self, event: Any, purchase: Purchase | None = None) -> Ending:
        return Ending(self._one.assignment, event, purchase=purchase)

    def _pause_s(self, asked_s: float | None = None) -> float:
        """Until the next question: as the provider asks, else longer each time."""
        grown_s = self._settings.remote_poll_s * GROWTH ** min(self._one.assignment.num_polls, 50)
        return asked_s if asked_s is not None else min(grown_s, self._settings.remote_poll_max_s)

    def _ask(self, kind: str, purchase: Purchase, *, judged: bool = True, until: float | None = None) -> RemoteAnswer:
        """One step in a child. One that ended before it answered may have done anything."""
        provider = self._device.name.partition("_")[0]
        if wait_s := self._bucket.take(provider):
            words = f"{provider} is asked as often as it may be; the next question is due in {wait_s:.1f} s"
            return RemoteAnswer(
                Word.LATER, failure=Failure("execute", "Throttled", words, transient=True), again_s=wait_s
            )
        work = RemoteWork(kind, self._work, purchase.id, purchase.ticket, judged, until)
        try:
            return self._runtime.remote(work, Leash(self._settings.remote_timeout_s))
        except RuntimeFailure as failed:
            return RemoteAnswer(Word.UNKNOWN, failure=failed.failure)
