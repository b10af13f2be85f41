"""What a simulated child is told by a provider: answers get lost, patience is asked for, orders are refused or fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.remote import RemoteState, RemoteStatus, Ticket
from circuits.facts import Judgement
from orchestrator.job import Failure
from orchestrator.runtime import Executed, RemoteAnswer, RemoteWork, Word
from tests.far.provider import FINAL, Order, device

if TYPE_CHECKING:
    from tests.simulation.world import World

FAR = device("far")
KINDS = ("lost", "slow", "away", "Throttled", "refused")
TIMEOUT_S = 1.5
"""What is sent within the time limit of a conversation is there within as long again."""


def answer(world: World, work: RemoteWork) -> RemoteAnswer:
    """One step, as the seed wants it."""
    if work.step == "submit":
        return _submit(world, work)
    if world.unlucky(0.2):
        return _answer(Word.LATER, world.rng.choice(("Throttled", "CredentialsRefused", "TransientFailure")))
    if work.step == "find":
        found = world.provider.find(work.purchase_id)
        return RemoteAnswer(Word.DONE, ticket=None if found is None else Ticket(work.purchase_id, (found.id,)))
    assert work.ticket is not None
    (order_id,) = work.ticket.remote_ids
    if work.step == "fetch":
        return _fetch(world, work, world.provider.orders[order_id])
    before = world.provider.ask(order_id)
    begun = before.state is RemoteState.RUNNING
    if work.step == "cancel" and before.state not in FINAL:
        world.provider.cancel(order_id)
    after = world.provider.orders[order_id]
    position = 3 if after.state is RemoteState.QUEUED else None
    return RemoteAnswer(Word.DONE, status=RemoteStatus(after.state, position), begun=begun)


def _submit(world: World, work: RemoteWork) -> RemoteAnswer:
    if work.until is not None and world.steady() > work.until:
        return _answer(Word.LATER, "TooLate")
    kind = "taken" if world.rng.random() < 0.6 else world.rng.choice(KINDS)  # also where nothing else goes wrong
    if kind == "Throttled":
        return _answer(Word.LATER, kind, again_s=0.3)
    if kind == "refused":
        return _answer(Word.REFUSED, "ExecutionFailed")
    if kind == "away":
        return _answer(Word.UNKNOWN, "OutcomeUnknown")
    questions, fails = world.rng.randint(0, 4), world.unlucky(0.2)

    def accept() -> Order:
        return world.provider.accept(work.purchase_id, work.work.shots, 1, questions=questions, fails=fails)

    if kind == "slow":  # it is on its way, and whoever sent it hears no more of it
        world.on_its_way.append((world.steady() + world.rng.uniform(0.0, TIMEOUT_S), accept))
        return _answer(Word.UNKNOWN, "OutcomeUnknown")
    order = accept()
    if kind == "lost":
        return _answer(Word.UNKNOWN, "OutcomeUnknown")
    return RemoteAnswer(Word.DONE, ticket=Ticket(work.purchase_id, (order.id,)))


def _fetch(world: World, work: RemoteWork, order: Order) -> RemoteAnswer:
    if work.judged and world.unlucky(0.05):
        return _answer(Word.UNKNOWN, "worker_lost")
    billed_usd = order.bill_usd if world.rng.random() < 0.5 else None  # else by the price table
    if not work.judged:
        return RemoteAnswer(Word.DONE, billed_usd=billed_usd)
    if world.unlucky(0.05):
        return RemoteAnswer(Word.REFUSED, billed_usd=billed_usd, failure=Failure("execute", "InvalidProgram", "no"))
    judgement = Judgement(0.9, "hellinger")
    device_s = world.rng.choice((None, 0.2))
    executed = Executed(
        order.counts,
        judgement,
        0.0,
        0.0,
        0.1,
        1,
        order.shots,
        "far",
        device_s=device_s,
        queue_s=0.5,
    )
    return RemoteAnswer(Word.DONE, executed=executed, billed_usd=billed_usd)


def _answer(word: Word, kind: str, again_s: float | None = None) -> RemoteAnswer:
    failure = Failure("execute", kind, f"far says: {kind}", transient=word is Word.LATER)
    return RemoteAnswer(word, failure=failure, again_s=again_s)
