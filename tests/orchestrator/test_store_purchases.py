"""Shares that are with a provider, what was bought and how much may be, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from backends.remote import RemoteState, Ticket
from orchestrator.errors import BudgetExceeded, InvalidTransition
from orchestrator.job import Assignment, AssignmentState, Estimate, Failure, Job, JobState, Limits
from orchestrator.lifecycle import Broken, Completed, Sent, Withdrawn
from orchestrator.purchase import (
    EVERYBODY,
    Budget,
    Purchase,
    PurchaseState,
    handed_in,
    purchase_of,
    released,
)
from orchestrator.sql.store import SqlStore
from orchestrator.store import Claimed, Ending, Switch

FAR = "far"
LEASE_S = 30.0
COST_USD = 2.0
Place = Callable[..., Job]
Kinds = Callable[[str], list[str]]


@pytest.fixture
def estimate() -> Estimate:
    """What a share costs there."""
    return Estimate(service_s=1.0, fidelity=0.9, energy_j=1.0, cost_usd=COST_USD)


def take(store: SqlStore, owner: str = "w/1") -> Claimed | None:
    claim = store.claim_sent([FAR], owner=owner, lease_s=LEASE_S)
    return None if claim is None else claim.taken[0]


def reserve(store: SqlStore, one: Claimed) -> Purchase | None:
    return store.reserve(one.assignment, one.purchase or purchase_of(one.job, one.assignment, one.num_purchases))


def send(store: SqlStore, *, pause_s: float = -1.0) -> tuple[Claimed, Purchase]:
    """Take one, buy it, and let go until it is due."""
    one = take(store)
    assert one is not None
    reserved = reserve(store, one)
    assert reserved is not None
    sent = handed_in(reserved, Ticket(reserved.id, ("r1",)))
    now = store.now()
    news = (("sent", {"remote_ids": ["r1"]}),)
    _, written = store.finish([Ending(one.assignment, Sent(now, now + pause_s), purchase=sent, news=news)])
    assert written == [True]
    return one, sent


def part_of(store: SqlStore, job: Job) -> Assignment:
    return store.assignments(job.id)[0]


def test_a_share_is_bought_let_go_of_and_taken_again(store: SqlStore, place: Place, kinds: Kinds) -> None:
    job = place(FAR)
    one, sent = send(store)
    assert (one.purchase, one.num_purchases) == (None, 0)
    part = part_of(store, job)
    assert (part.state, part.owner, part.lease_expires_at, part.purchase_id) == (
        AssignmentState.SENT, None, None, sent.id,
    )  # fmt: skip
    assert store.job(job.id).state is JobState.RUNNING
    again = take(store, "other/1")
    assert again is not None
    assert again.purchase == sent
    assert (again.assignment.num_tries, again.assignment.attempt) == (1, 2)
    assert kinds(job.id) == ["submitted", "placed", "running", "reserved", "sent"], "a look is no news"


def test_what_is_not_due_is_left_alone(store: SqlStore, place: Place) -> None:
    place(FAR)
    send(store, pause_s=60.0)
    assert take(store) is None
    assert store.sweep(silent_s=60.0).waiting_backends == []


def test_a_sweep_finds_what_is_due(store: SqlStore, place: Place) -> None:
    place(FAR)
    send(store)
    assert store.sweep(silent_s=60.0).waiting_backends == [FAR]


def test_a_worker_that_dies_leaves_it_sent(store: SqlStore, place: Place, kinds: Kinds) -> None:
    job = place(FAR)
    one = take(store)
    assert one is not None
    reserve(store, one)
    store.disown("w")
    store.sweep(silent_s=60.0)
    part = part_of(store, job)
    assert (part.state, part.num_failures) == (AssignmentState.SENT, 0), "it may have been bought"
    other = take(store, "v/1")
    assert other is not None
    assert other.purchase is not None
    assert other.purchase.state is PurchaseState.RESERVED
    late = handed_in(other.purchase, Ticket(other.purchase.id, ("r1",)))
    assert store.finish([Ending(one.assignment, Sent(0.0, 0.0), purchase=late)]) == ([], [False]), "too late"
    assert store.purchases(job.id)[0].remote_ids == ()
    assert reserve(store, one) is None, "nor may it send now"
    assert "assignment_replaced" not in kinds(job.id)


def test_nothing_ends_with_a_purchase_that_may_exist(store: SqlStore, place: Place) -> None:
    place(FAR)
    send(store)
    again = take(store)
    assert again is not None
    for event in (Completed(0.0), Withdrawn(0.0), Broken(0.0, Failure("execute", "ExecutionFailed", "no"))):
        with pytest.raises(InvalidTransition):
            store.finish([Ending(again.assignment, event, purchase=again.purchase)])


def test_a_new_name_only_once_the_one_before_is_over(store: SqlStore, place: Place) -> None:
    job = place(FAR)
    _, sent = send(store)
    again = take(store)
    assert again is not None
    assert reserve(store, again) == replace(sent, sent_at=store.purchases(job.id)[0].sent_at)
    failure = Failure("execute", "TransientFailure", "not now", transient=True)
    store.finish([Ending(again.assignment, Broken(0.0, failure, due_at=0.0), purchase=released(sent))])
    assert part_of(store, job).state is AssignmentState.WAITING
    third = take(store)
    assert third is not None
    assert (third.purchase, third.num_purchases) == (None, 1)
    new = reserve(store, third)
    assert new is not None
    assert [one.id for one in store.purchases(job.id)] == [sent.id, new.id]
    assert sent.id != new.id


def test_what_waits_may_have_to_wait(store: SqlStore, place: Place) -> None:
    job = place(FAR)
    one = take(store)
    assert one is not None
    now = store.now()
    patience = Broken(now, Failure("execute", "Throttled", "slowly", transient=True), due_at=now + 60.0, counts=False)
    store.finish([Ending(one.assignment, patience)])
    part = part_of(store, job)
    assert (part.state, part.num_failures) == (AssignmentState.WAITING, 0)
    assert take(store) is None


@pytest.mark.parametrize("mode", ["drained", "disabled"])
def test_what_was_sent_is_looked_after_whatever_is_switched(store: SqlStore, place: Place, mode: str) -> None:
    place(FAR)
    send(store)
    store.switch(Switch("backend", FAR, mode))
    assert store.stranded([FAR], 10) == [], "and it is not placed elsewhere"
    assert take(store) is not None


def test_a_worker_that_leaves_takes_nothing(store: SqlStore, place: Place) -> None:
    place(FAR)
    send(store)
    store.switch(Switch("worker", "w", "drained"))
    assert take(store) is None
    assert take(store, "v/1") is not None


def test_a_cancel_makes_it_due_and_waits_for_the_provider(store: SqlStore, place: Place, kinds: Kinds) -> None:
    job = place(FAR)
    _, sent = send(store, pause_s=60.0)
    events = store.request_cancel(job.id)
    assert [event.kind for event in events] == ["cancel_requested", "recalled"]
    assert store.job(job.id).state is JobState.RUNNING
    again = take(store)
    assert again is not None
    assert again.job.cancel_requested
    assert store.reserve(again.assignment, sent) is None, "nothing is bought for it any more"
    store.finish([Ending(again.assignment, Withdrawn(0.0), purchase=released(sent))])
    assert kinds(job.id)[-2:] == ["assignment_cancelled", "cancelled"]
    assert store.purchases(job.id)[0].state is PurchaseState.RELEASED


def test_money_is_set_aside_spent_and_given_back(store: SqlStore, place: Place) -> None:
    store.set_budget(Budget("", max_usd=10.0, max_qpu_s=5.0))
    place(FAR)
    _, sent = send(store)
    (balance,) = store.balances([""])[""]
    assert (balance.reserved_usd, balance.reserved_s, balance.spent_usd) == (COST_USD, 1.0, 0.0)
    again = take(store)
    assert again is not None
    paid = replace(sent, state=PurchaseState.SETTLED, usd=1.25, qpu_s=0.5, status=RemoteState.DONE)
    store.finish([Ending(again.assignment, Completed(0.0), purchase=paid)])
    (balance,) = store.balances([""])[""]
    assert (balance.reserved_usd, balance.spent_usd, balance.spent_s) == (0.0, 1.25, 0.5)
    store.set_budget(replace(balance.budget, since=store.now() + 1.0))
    assert store.balances([""])[""][0].spent_usd == 0.0, "it counts from then on"
    store.set_budget(Budget(""))
    assert store.balances() == {}


@pytest.mark.parametrize("whose", ["", EVERYBODY])
def test_nothing_is_bought_beyond_the_budget(store: SqlStore, place: Place, whose: str) -> None:
    store.set_budget(Budget("another", max_usd=0.0))
    store.set_budget(Budget(whose, max_usd=1.5 * COST_USD))
    place(FAR)
    send(store, pause_s=60.0)
    job = place(FAR)
    one = take(store)
    assert one is not None
    with pytest.raises(BudgetExceeded, match=r"1\.0000 are left"):
        reserve(store, one)
    assert store.purchases(job.id) == []
    assert part_of(store, job).purchase_id is None


def test_a_job_keeps_its_own_limits(store: SqlStore, place: Place) -> None:
    place(FAR, limits=Limits(max_qpu_s=0.5))
    one = take(store)
    assert one is not None
    with pytest.raises(BudgetExceeded, match=r"max_qpu_s is 0\.5"):
        reserve(store, one)


def test_workers_that_buy_at_once_do_not_overspend_together(store: SqlStore, place: Place) -> None:
    store.set_budget(Budget("", max_usd=3.5 * COST_USD))
    taken = []
    for number in range(8):
        place(FAR)
        taken.append(take(store, f"w{number}/1"))
    gate = threading.Barrier(len(taken))

    def buy(one: Claimed | None) -> bool:
        assert one is not None
        gate.wait()
        try:
            return reserve(store, one) is not None
        except BudgetExceeded:
            return False

    with ThreadPoolExecutor(len(taken)) as pool:
        assert sum(pool.map(buy, taken)) == 3
    (balance,) = store.balances([""])[""]
    assert balance.reserved_usd == 3 * COST_USD


def test_what_was_paid_outlives_its_job(store: SqlStore, place: Place) -> None:
    store.set_budget(Budget("", max_usd=10.0))
    job = place(FAR)
    _, sent = send(store)
    again = take(store)
    assert again is not None
    failed = Broken(0.0, Failure("execute", "InvalidProgram", "no", elsewhere=False))
    store.finish([Ending(again.assignment, failed, purchase=replace(sent, state=PurchaseState.SETTLED))])
    assert store.job(job.id).state is JobState.FAILED
    assert store.prune(before=store.now() + 1.0, most=10) == 1
    assert store.balances([""])[""][0].spent_usd == COST_USD
