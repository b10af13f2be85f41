"""Telemetry, model snapshots, decisions, prepared programs and the roll of backends in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, delete, insert, select, update

from backends.backend import Device
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.engine import Database, insert_once
from orchestrator.store import Announcement, Decision
from orchestrator.telemetry import Observation


def append_observation(tx: Connection, seen: Observation) -> None:
    """Add to the log. The counter's row is locked until commit, so numbers follow commits and no fold skips one."""
    counted = update(sql.counters).where(sql.counters.c.name == "telemetry").values(value=sql.counters.c.value + 1)
    number = tx.execute(counted.returning(sql.counters.c.value)).scalar_one()
    values = {"id": number, "assignment_id": seen.assignment_id, "record": to_json(seen)}
    tx.execute(insert(sql.telemetry), values)


def insert_decision(tx: Connection, decision: Decision) -> int:
    """Keep a decision; its number."""
    values = {"job_id": decision.job_id, "record": to_json(decision)}
    return int(tx.execute(insert(sql.decisions).returning(sql.decisions.c.id), values).scalar_one())


class SqlLedger:
    """The half of the store that remembers."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def observations(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Observation]]:
        query = select(sql.telemetry.c.id, sql.telemetry.c.record).where(sql.telemetry.c.id > after)
        with self._db.read() as tx:
            rows = tx.execute(query.order_by(sql.telemetry.c.id).limit(limit)).all()
        return [(row.id, from_json(Observation, row.record)) for row in rows]

    def snapshot(self, fold_version: int) -> str | None:
        query = select(sql.snapshots.c.model).where(sql.snapshots.c.fold_version == fold_version)
        with self._db.read() as tx:
            return tx.execute(query.order_by(sql.snapshots.c.cursor.desc()).limit(1)).scalar()

    def save_snapshot(self, fold_version: int, cursor: int, model: str) -> None:
        row = {"fold_version": fold_version, "cursor": cursor, "model": model}
        newest = select(sql.snapshots.c.cursor).where(sql.snapshots.c.fold_version == fold_version)
        with self._db.write() as tx:
            insert_once(tx, sql.snapshots, [row], key=["fold_version", "cursor"])
            kept = tx.execute(newest.order_by(sql.snapshots.c.cursor.desc()).limit(2)).scalars().all()
            tx.execute(delete(sql.snapshots).where(sql.snapshots.c.cursor < min(kept)))

    def decision(self, job_id: str) -> Decision | None:
        query = select(sql.decisions).where(sql.decisions.c.job_id == job_id)
        with self._db.read() as tx:
            row = tx.execute(query.order_by(sql.decisions.c.id.desc()).limit(1)).one_or_none()
        if row is None:
            return None
        return replace(from_json(Decision, row.record), id=row.id)

    def facts(self, program_hash: str) -> ProgramFacts | None:
        query = select(sql.programs.c.facts).where(sql.programs.c.hash == program_hash)
        with self._db.read() as tx:
            record = tx.execute(query).scalar()
        return None if record is None else from_json(ProgramFacts, record)

    def fits(self, program_hash: str, keys: Sequence[str]) -> dict[str, Fit]:
        query = select(sql.fits).where(sql.fits.c.program_hash == program_hash, sql.fits.c.key.in_(keys))
        with self._db.read() as tx:
            return {row.key: from_json(Fit, row.record) for row in tx.execute(query)}

    def save_preparation(self, program_hash: str, facts: ProgramFacts, fits: Mapping[str, Fit]) -> None:
        with self._db.write() as tx:
            insert_once(tx, sql.programs, [{"hash": program_hash, "facts": to_json(facts)}], key=["hash"])
            rows = [{"program_hash": program_hash, "key": key, "record": to_json(fit)} for key, fit in fits.items()]
            insert_once(tx, sql.fits, rows, key=["program_hash", "key"])

    def announce(self, worker: str, announcements: Sequence[Announcement]) -> None:
        with self._db.write() as tx:
            now = self._db.now(tx)
            tx.execute(delete(sql.roll).where(sql.roll.c.worker == worker))
            rows = [
                {
                    "worker": worker,
                    "backend": announced.backend,
                    "slots": announced.slots,
                    "device": to_json(announced.device),
                    "warm": announced.warm,
                    "heartbeat_at": now,
                }
                for announced in announcements
            ]
            if rows:
                tx.execute(insert(sql.roll), rows)

    def heartbeat(self, worker: str) -> bool:
        with self._db.write() as tx:
            now = self._db.now(tx)
            beaten = update(sql.roll).where(sql.roll.c.worker == worker).values(heartbeat_at=now)
            return bool(tx.execute(beaten.returning(sql.roll.c.backend)).all())

    def roll(self, *, silent_s: float) -> list[Announcement]:
        with self._db.read() as tx:
            alive = sql.roll.c.heartbeat_at >= self._db.now(tx) - silent_s
            rows = tx.execute(select(sql.roll).where(alive).order_by(sql.roll.c.backend, sql.roll.c.worker)).all()
        return [
            Announcement(row.backend, row.worker, row.slots, from_json(Device, row.device), row.warm, row.heartbeat_at)
            for row in rows
        ]
