"""What was decided, in SQL: of one job, or the log of all in order.

The job's specification stands with the job, and the situation once for all jobs that a policy was asked about
together: neither is written into the decision once more. Decisions go with their jobs, a situation with the last of its
decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from orchestrator.decision import Decision, Situation
from orchestrator.job import Estimate, JobSpec
from orchestrator.placement import Candidate
from orchestrator.records import from_json, from_plain, to_json, to_plain
from orchestrator.sql import schema as sql
from orchestrator.sql.archive import Wanted, conditions_of
from orchestrator.sql.engine import Database, insert_once

PAGE = 200

_ADD = insert(sql.decisions).returning(sql.decisions.c.id, sort_by_parameter_order=True)
_WHOLE = (
    select(sql.decisions, sql.jobs.c.spec, sql.situations.c.record.label("told"))
    .join(sql.jobs)
    .join(sql.situations, sql.situations.c.id == sql.decisions.c.situation, isouter=True)
    .order_by(sql.decisions.c.id)
)


def insert_decisions(tx: Connection, decisions: Sequence[Decision]) -> list[int]:
    """Keep decisions; their numbers."""
    if not decisions:
        return []
    told = {one.situation.id: one.situation for one in decisions if one.situation is not None}
    insert_once(tx, sql.situations, [{"id": i, "record": to_json(one)} for i, one in told.items()], key=["id"])
    return list(tx.execute(_ADD, [_row(decision) for decision in decisions]).scalars())


def _row(decision: Decision) -> dict[str, Any]:
    plain = vars(decision) | {"request": vars(decision.request) | {}}
    situation = plain.pop("situation", None)
    if situation is not None:
        del plain["load_s"]
    del plain["request"]["spec"]
    plain["request"]["candidates"] = [_candidate(one) for one in decision.request.candidates]
    record = to_json(plain | {"shots": decision.request.spec.shots})
    return {"job_id": decision.job_id, "record": record, "situation": situation and situation.id}


def _defaults(kind: type[Candidate | Estimate]) -> dict[str, Any]:
    return {one.name: one.default for one in fields(kind) if one.default is not MISSING}


_DEFAULTS = _defaults(Candidate) | _defaults(Estimate)


def _candidate(one: Candidate) -> dict[str, Any]:
    """Without what has its default: a third of a decision said nothing else."""
    return _sparse(one) | {"prior": _sparse(one.prior), "estimate": _sparse(one.estimate)}


def _sparse(record: Candidate | Estimate) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _DEFAULTS or value != _DEFAULTS[name]}


def _whole(plain: dict[str, Any]) -> dict[str, Any]:
    """The reverse. Else a reader takes defaults from the class, and whoever writes the record again leaves them out."""
    told = {name: _defaults(Estimate) | plain[name] for name in ("prior", "estimate")}
    return _defaults(Candidate) | plain | told


def _read(row: Row[Any]) -> Decision:
    plain = from_json(dict[str, Any], row.record)
    spec = from_json(JobSpec, row.spec)
    asked = replace(spec, shots=plain.pop("shots", spec.shots))
    told = {"spec": to_plain(asked), "candidates": [_whole(one) for one in plain["request"]["candidates"]]}
    whole = plain | {"request": plain["request"] | told, "id": row.id}
    if row.told is None:
        return from_plain(Decision, whole)
    situation = from_json(Situation, row.told)
    return replace(from_plain(Decision, whole | {"load_s": situation.load_s}), situation=situation)


class SqlDecisions:
    """The part of the store that remembers what was decided."""

    _db: Database

    def decision(self, job_id: str) -> Decision | None:
        found = self.decisions(job_id)
        return found[-1] if found else None

    def decisions(self, job_id: str) -> list[Decision]:
        with self._db.read() as tx:
            return [_read(row) for row in tx.execute(_WHOLE.where(sql.decisions.c.job_id == job_id))]

    def decision_log(self, wanted: Wanted, job_ids: Sequence[str] = ()) -> Iterator[Decision]:
        """Decisions in order, a page at a time: all of every situation in which one of the wanted jobs was.

        Args:
            job_ids: only these are wanted; empty means all.
        """
        conditions = conditions_of(wanted)
        if job_ids:
            conditions.append(sql.jobs.c.id.in_(job_ids))
        query: Select[Any] = _WHOLE.limit(PAGE)
        if conditions:
            theirs = select(sql.decisions.c.id, sql.decisions.c.situation).join(sql.jobs).where(*conditions).subquery()
            of_one = sql.decisions.c.situation.in_(select(theirs.c.situation))
            query = query.where(of_one | sql.decisions.c.id.in_(select(theirs.c.id)))
        last = 0
        while True:
            with self._db.read() as tx:
                page = [_read(row) for row in tx.execute(query.where(sql.decisions.c.id > last))]
            if not page:
                return
            yield from page
            last = page[-1].id
