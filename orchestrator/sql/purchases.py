"""What is bought from providers, in SQL: shares that are with them, purchases and budgets.

A purchase changes only in the transaction that moves its assignment, under the lock of its job. Budgets are locked
behind that, in the order of their names: whoever reserves sees everything that others have set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, delete, func, insert, select, update

from orchestrator.errors import BudgetExceeded
from orchestrator.job import Assignment, AssignmentState, Limits
from orchestrator.lifecycle import Claimed as ClaimedEvent
from orchestrator.lifecycle import Reserved, Rules, unwanted
from orchestrator.purchase import EVERYBODY, OPEN, Balance, Budget, Purchase, against_budgets, against_limits
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.desk import Desk, holds, taken_of
from orchestrator.sql.engine import Database
from orchestrator.store import Claim, Claimed

_ASKED: BindParameter[Any] = bindparam("backends", expanding=True)
_CLOSED = select(sql.switches.c.name).where(sql.switches.c.kind == "backend", sql.switches.c.mode == "disabled")
_LEAVING = select(sql.switches.c.name).where(
    sql.switches.c.kind == "worker", sql.switches.c.name == bindparam("worker")
)
_PARTS = (
    select(sql.assignments.c.id, sql.assignments.c.job_id, sql.assignments.c.backend)
    .join(sql.jobs, sql.jobs.c.id == sql.assignments.c.job_id)
    .where(sql.assignments.c.backend.in_(_ASKED), ~_LEAVING.exists())
    .limit(2)
    .with_for_update(of=[sql.jobs, sql.assignments], skip_locked=True)
)
_SENT = _PARTS.where(
    sql.assignments.c.state == AssignmentState.SENT.value, sql.assignments.c.due_at <= bindparam("now")
).order_by(sql.assignments.c.due_at, sql.assignments.c.id)
_WAITING = _PARTS.where(
    sql.assignments.c.state == AssignmentState.WAITING.value,
    sql.assignments.c.due_at.is_(None) | (sql.assignments.c.due_at <= bindparam("now")),
    sql.assignments.c.backend.not_in(_CLOSED),
).order_by(sql.assignments.c.rank, sql.assignments.c.id)
_OF_JOB = select(sql.purchases.c.record).where(sql.purchases.c.job_id == bindparam("job_id"))
_OF_JOB = _OF_JOB.order_by(sql.purchases.c.made_at, sql.purchases.c.id)
_CHANGE = (
    update(sql.purchases)
    .where(sql.purchases.c.id == bindparam("_id"))
    .values({name: bindparam(name) for name in ("state", "usd", "qpu_s", "record")})
)
_OPEN_STATES = [state.value for state in OPEN]


class SqlPurchases:
    """The part of the store that buys."""

    _db: Database
    _rules: Rules

    def claim_sent(self, backends: Sequence[str], *, owner: str, lease_s: float) -> Claim | None:
        with self._db.write(lasting=False) as tx:
            now = self._db.now(tx)
            asked = {"backends": list(backends), "worker": owner.rpartition("/")[0] or owner, "now": now}
            rows = list(tx.execute(_SENT, asked))
            if len(rows) < 2:  # one to take, and one to tell that there is more
                rows += tx.execute(_WAITING, asked).all()
            if not rows:
                return None
            first = rows[0]
            desk = Desk(tx, now)
            desk.open([first.job_id])
            desk.put(desk[first.job_id].claimed(first.id, ClaimedEvent(owner, now, now + lease_s)))
            events = desk.write()
            taken = _with_purchase(tx, taken_of(desk[first.job_id], first.id))
            return Claim([taken], events, rows[1].backend if len(rows) > 1 else None)

    def reserve(self, taken: Assignment, purchase: Purchase) -> Purchase | None:
        with self._db.write() as tx:
            now = self._db.now(tx)
            desk = Desk(tx, now)
            desk.open([taken.job_id])
            case = desk[taken.job_id]
            mine = case.part(taken.id)
            if mine is None or not holds(taken, mine) or unwanted(case.job):
                return None
            known = [one for one in _of_job(tx, taken.job_id) if one.id == purchase.id]
            if known:  # sent once more under the same name: its price is set aside already
                purchase = replace(known[0], sent_at=now)
                write_purchases(tx, [purchase])
            else:
                purchase = replace(purchase, made_at=now, sent_at=now)
                _check(tx, case.job.spec.limits, purchase)
                tx.execute(insert(sql.purchases), _row(purchase))
            figures = {"usd": purchase.usd, "qpu_s": purchase.qpu_s}
            desk.put(case.reserved(mine.id, Reserved(now, purchase.id), **figures))
            desk.write()
            return purchase

    def purchases(self, job_id: str) -> list[Purchase]:
        with self._db.read() as tx:
            return _of_job(tx, job_id)

    def balances(self, projects: Sequence[str] | None = None) -> dict[str, list[Balance]]:
        with self._db.read() as tx:
            known = [_balance(tx, budget) for budget in _budgets(tx)]
        if projects is None:
            return {one.budget.project: [one] for one in known}
        return {name: [one for one in known if one.budget.project in (name, EVERYBODY)] for name in projects}

    def set_budget(self, budget: Budget) -> None:
        with self._db.write() as tx:
            tx.execute(delete(sql.budgets).where(sql.budgets.c.project == budget.project))
            if budget.max_usd is not None or budget.max_qpu_s is not None:
                values = {
                    "project": budget.project,
                    "max_usd": budget.max_usd,
                    "max_qpu_s": budget.max_qpu_s,
                    "since": budget.since,
                }
                tx.execute(insert(sql.budgets), values)


def write_purchases(tx: Connection, changed: Iterable[Purchase]) -> None:
    """Write down how these stand now."""
    rows = [{"_id": one.id, **_values(one)} for one in changed]
    if rows:
        tx.execute(_CHANGE, rows)


def _values(purchase: Purchase) -> dict[str, Any]:
    record = to_json(purchase)
    return {"state": purchase.state.value, "usd": purchase.usd, "qpu_s": purchase.qpu_s, "record": record}


def _row(purchase: Purchase) -> dict[str, Any]:
    fixed = ("id", "assignment_id", "job_id", "project", "backend", "made_at")
    return {name: getattr(purchase, name) for name in fixed} | _values(purchase)


def _of_job(tx: Connection, job_id: str) -> list[Purchase]:
    return [from_json(Purchase, record) for record in tx.execute(_OF_JOB, {"job_id": job_id}).scalars()]


def _with_purchase(tx: Connection, taken: Claimed) -> Claimed:
    """What was taken, and what it has bought."""
    mine = [one for one in _of_job(tx, taken.job.id) if one.assignment_id == taken.assignment.id]
    last = next((one for one in mine if one.id == taken.assignment.purchase_id), None)
    return replace(taken, purchase=last, num_purchases=len(mine))


def _check(tx: Connection, limits: Limits, purchase: Purchase) -> None:
    """Raises: BudgetExceeded: the project or the job may not spend so much more."""
    binding = [budget for budget in _budgets(tx, lock=True) if budget.project in (purchase.project, EVERYBODY)]
    balances = [_balance(tx, budget) for budget in binding]
    why = against_budgets(balances, purchase.usd, purchase.qpu_s)
    why = why or against_limits(limits, _of_job(tx, purchase.job_id), purchase.usd, purchase.qpu_s)
    if why is not None:
        raise BudgetExceeded(f"nothing is bought on {purchase.backend}: {why}")


def _budgets(tx: Connection, *, lock: bool = False) -> list[Budget]:
    """All of them: there are few."""
    query = select(sql.budgets).order_by(sql.budgets.c.project)
    rows = tx.execute(query.with_for_update() if lock else query)
    return [Budget(row.project, row.max_usd, row.max_qpu_s, row.since) for row in rows]


def _balance(tx: Connection, budget: Budget) -> Balance:
    is_open = sql.purchases.c.state.in_(_OPEN_STATES)
    sums = [
        func.coalesce(func.sum(case((which, column), else_=0.0)), 0.0)
        for which in (is_open, ~is_open)
        for column in (sql.purchases.c.usd, sql.purchases.c.qpu_s)
    ]
    query = select(*sums).where(sql.purchases.c.made_at >= budget.since)
    if budget.project != EVERYBODY:
        query = query.where(sql.purchases.c.project == budget.project)
    return Balance(budget, *map(float, tx.execute(query).one()))
