"""Jobs on a device that is far away and costs money, embedded, before a provider that outlives whoever asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends import BACKENDS
from backends.remote import RemoteState
from circuits.raytracing.tracer import RayTracing
from orchestrator import Client, JobHandle, Limits
from orchestrator.errors import JobCancelled, JobFailed
from orchestrator.purchase import Budget, PurchaseState
from orchestrator.settings import Settings
from tests.far.backend import NAME, WEIGHT, register
from tests.far.provider import PRICE
from tests.far.server import URL, Shop, serving
from tests.faults.flaky import STEADY
from tests.faults.member import CHILD
from tests.faults.stack import until
from workers import sandbox

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """By which all that waits for time happens within a second."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("remote"),
        backends=(NAME, STEADY),
        heartbeat_s=0.2,
        remote_poll_s=0.1,
        remote_poll_max_s=0.3,
        remote_timeout_s=20.0,
        remote_refresh_s=0.3,
    )


@pytest.fixture(scope="module")
def opened(settings: Settings) -> Iterator[tuple[Shop, Client]]:
    """A shop, and a client of this module's own."""
    with pytest.MonkeyPatch.context() as patched, serving() as shop:
        patched.setitem(BACKENDS, NAME, "")
        register()
        patched.setattr(sandbox, "CHILD", CHILD)
        patched.setenv(URL, shop.url)
        with Client(settings=settings) as client:
            yield shop, client


@pytest.fixture
def shop(opened: tuple[Shop, Client]) -> Iterator[Shop]:
    """The shop, where nothing is to go wrong yet, and nothing wrong was done afterwards."""
    shop = opened[0]
    shop.questions = 2
    yield shop
    shop.forget()
    assert shop.provider.wrong() == []


@pytest.fixture
def client(opened: tuple[Shop, Client]) -> Client:
    """The client."""
    return opened[1]


def kinds(job: JobHandle) -> list[str]:
    return [event.kind for event in job.events(TIMEOUT_S)]


def wait_for(job: JobHandle, kind: str) -> None:
    assert any(event.kind == kind for event in job.events(TIMEOUT_S)), f"{kind} never came"


def orders(shop: Shop, job: JobHandle) -> list[RemoteState]:
    """States of what was bought for a job."""
    return [order.state for order in shop.provider.orders.values() if order.purchase_id.startswith(job.id)]


def test_a_job_is_bought_waited_for_and_paid(shop: Shop, client: Client) -> None:
    job = client.submit(BELL, shots=100, pin=NAME)
    result = job.result(TIMEOUT_S)
    assert result.counts == {"00": 50, "11": 50}
    told = [event for event in job.events(TIMEOUT_S) if not event.kind.startswith("remote_")]
    assert [event.kind for event in told] == [
        "submitted", "placed", "running", "reserved", "sent", "assignment_done", "done",
    ]  # fmt: skip
    assert "remote_queued" in kinds(job)
    assert told[4].data["remote_ids"] == [order.id for order in shop.provider.orders.values()][-1:]
    measured = result.measurement
    assert measured.cost_usd == pytest.approx(PRICE.cost_usd(num_tasks=1, shots=100, run_s=0.0))
    assert (measured.device_s, measured.queue_s, measured.service_s) == (0.05, 0.25, 0.05)
    assert measured.wait_s >= 0.25, "the queue there is waiting, and no service of a slot"
    assert result.placement.shares[0].attempts == 1
    store = client._transport._store  # type: ignore[attr-defined]
    (seen,) = [one for _, one in store.observations() if one.job_id == job.id]
    expected = (2 * (0.5 * (WEIGHT * 0.5 + (1 - WEIGHT) / 4)) ** 0.5) ** 2
    assert seen.prior.fidelity == pytest.approx(expected), "it is held against what its provider really ran"
    assert seen.estimate.fidelity == result.estimate.fidelity != seen.prior.fidelity
    (purchase,) = store.purchases(job.id)
    assert (purchase.state, purchase.usd) == (PurchaseState.SETTLED, measured.cost_usd)


@pytest.mark.parametrize(
    "faults",
    [
        {"submit": ["accepted_lost"]},
        {"submit": ["accepted_500"], "find": ["error", "throttled"]},
        {"submit": ["throttled", "offline"]},
        {"poll": ["expired", "lost", "throttled"], "fetch": ["error", "expired"]},
    ],
    ids=["answer lost", "error after it was taken", "patience", "silence"],
)
def test_faults_on_the_way_buy_nothing_twice(shop: Shop, client: Client, faults: dict[str, list[str]]) -> None:
    for step, planned in faults.items():
        shop.plan(step, *planned)
    job = client.submit(BELL, shots=10, pin=NAME)
    assert sum(job.result(TIMEOUT_S).counts.values()) == 10
    assert orders(shop, job) == [RemoteState.DONE]


def test_what_is_refused_there_goes_elsewhere(shop: Shop, client: Client) -> None:
    shop.plan("submit", "refused")
    job = client.submit(BELL, shots=10, pin=NAME)
    with pytest.raises(JobFailed, match="submit: refused"):
        job.result(TIMEOUT_S)
    assert orders(shop, job) == []


def test_what_fails_there_is_not_paid(shop: Shop, client: Client) -> None:
    job = client.submit(BELL, shots=7, pin=NAME)  # an unlucky number
    with pytest.raises(JobFailed, match="it failed"):
        job.result(TIMEOUT_S)
    (purchase,) = client._transport._store.purchases(job.id)  # type: ignore[attr-defined]
    assert (purchase.state, purchase.usd) == (PurchaseState.RELEASED, 0.0)


def test_a_cancel_reaches_the_provider(shop: Shop, client: Client) -> None:
    shop.questions = 10_000
    shop.plan("cancel", "error")
    job = client.submit(BELL, shots=10, pin=NAME)
    wait_for(job, "remote_queued")
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result(TIMEOUT_S)
    assert orders(shop, job) == [RemoteState.CANCELLED]


def test_what_does_not_begin_in_time_is_withdrawn(shop: Shop, client: Client) -> None:
    shop.questions = 10_000
    job = client.submit(BELL, shots=10, pin=NAME, limits=Limits(deadline_s=2.0))
    with pytest.raises(JobFailed, match="deadline_s"):
        job.result(TIMEOUT_S)
    assert orders(shop, job) in ([], [RemoteState.CANCELLED])


def test_nothing_is_sent_beyond_a_budget(shop: Shop, client: Client) -> None:
    before = len(shop.provider.orders)
    store = client._transport._store  # type: ignore[attr-defined]
    store.set_budget(Budget("", max_usd=0.25))
    try:
        with pytest.raises(JobFailed, match=r"of the budget of 0\.25 that project 'default' may spend"):
            client.submit(BELL, shots=10, pin=NAME).result(TIMEOUT_S)
        free = client.submit(BELL, shots=10, allow=[NAME, STEADY]).result(TIMEOUT_S)
        assert [share.backend for share in free.placement.shares] == [STEADY]
    finally:
        store.set_budget(Budget(""))
    with pytest.raises(JobFailed, match="max_qpu_s is 0"):
        client.submit(BELL, shots=10, pin=NAME, limits=Limits(max_qpu_s=0.0)).result(TIMEOUT_S)
    assert len(shop.provider.orders) == before


def test_a_search_in_rounds_is_refused_in_words(shop: Shop, client: Client) -> None:
    with pytest.raises(JobFailed, match="would queue there for each round"):
        client.submit(RayTracing(), shots=1, pin=NAME).result(TIMEOUT_S)


def test_a_device_that_takes_no_work_is_no_candidate(shop: Shop, client: Client) -> None:
    def is_(state: str) -> bool:
        return any(one.backend == NAME and one.device.availability.state == state for one in client.backends())

    for state in ("offline", "online"):
        shop.state = state
        until(lambda state=state: is_(state), TIMEOUT_S, f"it is announced as {state}")  # type: ignore[misc]
        if state == "offline":
            with pytest.raises(JobFailed, match="it is offline: it is being calibrated"):
                client.submit(BELL, shots=10, pin=NAME).result(TIMEOUT_S)
    assert client.submit(BELL, shots=10, pin=NAME).result(TIMEOUT_S).counts


def test_whoever_comes_next_goes_on_with_it(
    shop: Shop, settings: Settings, tmp_path: Path, opened: tuple[Shop, Client]
) -> None:
    shop.questions = 10_000
    mine = settings.model_copy(update={"data_dir": tmp_path})
    with Client(settings=mine) as first:
        job = first.submit(BELL, shots=10, pin=NAME)
        wait_for(job, "remote_queued")
    for order in shop.provider.orders.values():
        order.questions = min(order.questions, 1)
    with Client(settings=mine) as second:
        assert second.job(job.id).result(TIMEOUT_S).counts == {"00": 5, "11": 5}
    assert orders(shop, job) == [RemoteState.DONE]
