"""Purchases and budgets, bare: what is done next, what is paid, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.pricing import Price, unpriced
from backends.remote import RemoteState, RemoteStatus, Ticket
from orchestrator.errors import InvalidJob
from orchestrator.job import Limits
from orchestrator.purchase import (
    EVERYBODY,
    OPEN,
    Balance,
    Budget,
    Purchase,
    PurchaseState,
    Step,
    against_budgets,
    against_limits,
    handed_in,
    heard,
    released,
    settled,
    step,
    withdrawn,
)
from tests.far.provider import PRICE, device

NEW = Purchase("job-0-0", "job-0", "job", "", "far", usd=2.0, qpu_s=3.0)
SENT = handed_in(NEW, Ticket(NEW.id, ("r1",)))
amounts = st.floats(0.0, 100.0)


def test_nothing_is_handed_in_while_something_may_exist() -> None:
    for state in OPEN - {PurchaseState.SENT}:
        for wanted in (True, False):
            assert step(replace(NEW, state=state), wanted=wanted, late=False) is Step.FIND
    for status in (None, *RemoteState):
        for late in (True, False):
            assert step(replace(SENT, status=status), wanted=True, late=late) is not Step.BUY


@pytest.mark.parametrize(
    ("status", "wanted", "late", "expected"),
    [
        (RemoteState.QUEUED, True, False, Step.LOOK),
        (RemoteState.QUEUED, True, True, Step.RECALL),
        (RemoteState.RUNNING, True, True, Step.LOOK),
        (RemoteState.RUNNING, False, False, Step.RECALL),
        (RemoteState.DONE, False, False, Step.SETTLE),
        (RemoteState.DONE, True, True, Step.LOOK),
        (None, False, False, Step.RECALL),
    ],
)
def test_what_is_with_the_provider(status: RemoteState | None, wanted: bool, late: bool, expected: Step) -> None:
    assert step(replace(SENT, status=status), wanted=wanted, late=late) is expected


def test_what_was_never_bought_is_bought_or_dropped() -> None:
    assert step(None, wanted=True, late=False) is Step.BUY
    assert step(None, wanted=False, late=False) is Step.DROP
    assert step(None, wanted=True, late=True) is Step.DROP


def test_the_provider_says_what_it_costs_or_the_price_table_does() -> None:
    says = settled(SENT, PRICE, shots=100, device_s=1.0, usd=7.0, qpu_s=4.0)
    assert (says.state, says.usd, says.qpu_s) == (PurchaseState.SETTLED, 7.0, 4.0)
    silent = settled(SENT, PRICE, shots=100, device_s=1.0, usd=None, qpu_s=None)
    assert (silent.usd, silent.qpu_s) == (pytest.approx(0.5 + 1.0), 1.0)
    by_second = settled(SENT, Price(per_second_usd=2.0), shots=1, device_s=None, usd=None, qpu_s=None)
    assert by_second.usd == pytest.approx(2.0 * SENT.qpu_s), "without any word, as estimated"


def test_what_was_withdrawn_costs_nothing_unless_it_had_begun() -> None:
    assert withdrawn(SENT, begun=False) == released(SENT)
    assert released(SENT).usd == released(SENT).qpu_s == 0.0
    for paid in (withdrawn(SENT, begun=True), withdrawn(heard(SENT, RemoteStatus(RemoteState.RUNNING)), begun=False)):
        assert (paid.state, paid.usd) == (PurchaseState.SETTLED, SENT.usd)


def test_what_is_not_known_is_not_free() -> None:
    assert unpriced(device("far")) is None
    assert "not free" in (unpriced(device("far", Price())) or "")
    assert unpriced(replace(device("near", Price()), kind="simulator")) is None
    assert unpriced(device("far", Price(source="open plan: free of charge"))) is None


@given(amounts, amounts, amounts, amounts, amounts)
def test_a_budget_is_never_overdrawn(limit: float, reserved: float, spent: float, usd: float, qpu_s: float) -> None:
    balance = Balance(Budget("p", max_usd=limit), reserved_usd=reserved, spent_usd=spent)
    why = against_budgets([balance], usd, qpu_s)
    assert (why is None) == (reserved + spent + usd <= limit)
    assert why is None or ("USD" in why and "'p'" in why and "qorch budget set --usd" in why)


def test_seconds_are_limited_like_money_and_all_projects_together() -> None:
    balance = Balance(Budget(EVERYBODY, max_qpu_s=10.0), reserved_s=4.0, spent_s=5.0)
    assert against_budgets([balance], 1e9, 1.0) is None
    assert "all projects together" in (against_budgets([balance], 0.0, 1.5) or "")
    assert against_budgets([], 1e9, 1e9) is None


def test_a_job_counts_what_all_its_shares_have_bought() -> None:
    limits = Limits(max_cost_usd=5.0, max_qpu_s=10.0)
    assert against_limits(limits, [SENT], 3.0, 1.0) is None
    assert "max_cost_usd is 5" in (against_limits(limits, [SENT], 3.1, 1.0) or "")
    assert "max_qpu_s is 10" in (against_limits(limits, [SENT, SENT], 0.1, 5.0) or "")


@pytest.mark.parametrize("fields", [{"project": "a b"}, {"project": 7}, {"max_usd": -1.0}, {"max_qpu_s": float("nan")}])
def test_a_budget_that_cannot_be(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidJob, match=r"a budget's project|max_"):
        Budget(**{"project": "p", **fields})  # type: ignore[arg-type]
