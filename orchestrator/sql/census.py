"""Counting in SQL: how things stand, rare events, and what is new in the logs of measurements and decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import groupby

import msgspec
from sqlalchemy import Connection, Executable, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.census import PRUNED, Census, Presence, Queue, Sample
from orchestrator.job import AssignmentState
from orchestrator.records import from_json
from orchestrator.sql import schema as sql
from orchestrator.sql.engine import Database

_OPEN = (AssignmentState.WAITING.value, AssignmentState.RUNNING.value, AssignmentState.SENT.value)
_JOBS = select(sql.jobs.c.state, func.count()).group_by(sql.jobs.c.state)
_QUEUES = (
    select(sql.assignments.c.backend, sql.assignments.c.state, func.count(), func.sum(sql.assignments.c.service_s))
    .where(sql.assignments.c.state.in_(_OPEN))
    .group_by(sql.assignments.c.backend, sql.assignments.c.state)
)
_ROLL = (
    select(sql.roll.c.worker, sql.roll.c.backend, sql.roll.c.slots, sql.roll.c.heartbeat_at)
    .where(sql.roll.c.heartbeat_at >= bindparam("since"))
    .order_by(sql.roll.c.worker, sql.roll.c.backend)
)
_INCIDENTS = select(sql.incidents.c.kind, sql.incidents.c.label, sql.incidents.c.number)
_SAMPLES = (
    select(sql.telemetry.c.id, sql.telemetry.c.record)
    .where(sql.telemetry.c.id > bindparam("after"))
    .order_by(sql.telemetry.c.id)
    .limit(bindparam("most"))
)
_DECISIONS = (
    select(sql.decisions.c.id, sql.decisions.c.record)
    .where(sql.decisions.c.id > bindparam("after"))
    .order_by(sql.decisions.c.id)
    .limit(bindparam("most"))
)


class _Estimate(msgspec.Struct):
    service_s: float
    fidelity: float


class _Measurement(msgspec.Struct):
    wait_s: float
    service_s: float
    latency_s: float
    fidelity: float | None


class _Observation(msgspec.Struct):
    """The part of an observation's record that is read here; what is not named is skipped, which is what is quick."""

    backend: str
    estimate: _Estimate
    measurement: _Measurement


class _Decision(msgspec.Struct):
    decide_s: float = 0.0


class SqlCensus:
    """:class:`orchestrator.census.CensusStore`."""

    _db: Database

    def census(self, *, gone_s: float) -> Census:
        with self._db.read() as tx:
            now = self._db.now(tx)
            counted = {(kind, label): number for kind, label, number in tx.execute(_INCIDENTS)}
            return Census(
                jobs=dict(map(tuple, tx.execute(_JOBS))),
                queues=[Queue(*row) for row in tx.execute(_QUEUES)],
                workers=_workers(tx, now, gone_s),
                pruned={label: number for (kind, label), number in counted.items() if kind == PRUNED},
                incidents={key: number for key, number in counted.items() if key[0] != PRUNED},
            )

    def ends(self) -> tuple[int, int]:
        with self._db.read() as tx:
            ids = (sql.telemetry.c.id, sql.decisions.c.id)
            measured, decided = (tx.execute(select(func.max(one))).scalar() or 0 for one in ids)
            return measured, decided

    def samples(self, after: int, limit: int) -> list[tuple[int, Sample]]:
        with self._db.read() as tx:
            rows = tx.execute(_SAMPLES, {"after": after, "most": limit}).all()
        return [(row.id, _sample(row.record)) for row in rows]

    def decision_times(self, after: int, limit: int) -> list[tuple[int, float]]:
        with self._db.read() as tx:
            rows = tx.execute(_DECISIONS, {"after": after, "most": limit}).all()
        return [(row.id, from_json(_Decision, row.record).decide_s) for row in rows]

    def count_incident(self, kind: str, backend: str = "") -> None:
        with self._db.write() as tx:
            count_incidents(tx, Counter([(kind, backend)]))


def _workers(tx: Connection, now: float, gone_s: float) -> list[Presence]:
    """The roll, worker by worker."""
    found = []
    for worker, rows in groupby(tx.execute(_ROLL, {"since": now - gone_s}), key=lambda row: row.worker):
        served = list(rows)
        silent_s = max(0.0, now - max(row.heartbeat_at for row in served))
        found.append(Presence(worker, served[0].slots, silent_s, tuple(row.backend for row in served)))
    return found


def count_incidents(tx: Connection, happened: Mapping[tuple[str, str], int]) -> None:
    """Add to the counts, as the last thing of a transaction and in order: nobody then waits in a circle for a row."""
    if happened:
        rows = [{"kind": kind, "label": label, "number": number} for (kind, label), number in sorted(happened.items())]
        tx.execute(_count(tx.dialect.name), rows)


@cache
def _count(dialect: str) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    new = insert(sql.incidents)
    added = {"number": sql.incidents.c.number + new.excluded.number}
    return new.on_conflict_do_update(index_elements=["kind", "label"], set_=added)


def _sample(record: str) -> Sample:
    seen = from_json(_Observation, record)
    measured, expected = seen.measurement, seen.estimate
    return Sample(
        backend=seen.backend,
        wait_s=measured.wait_s,
        service_s=measured.service_s,
        latency_s=measured.latency_s,
        fidelity=measured.fidelity,
        expected_s=expected.service_s,
        expected_fidelity=expected.fidelity,
    )
