"""Telemetry, model snapshots, prepared programs and the roll of backends in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from backends.backend import Device
from orchestrator.preparation import Fit, Preparation, ProgramFacts
from orchestrator.records import from_json, to_json
from orchestrator.sql import schema as sql
from orchestrator.sql.engine import Database, insert_once
from orchestrator.store import Announcement, Switch
from orchestrator.telemetry import Observation

# built once: making a statement costs as much as running it
_COUNT = (
    update(sql.counters)
    .where(sql.counters.c.name == "telemetry")
    .values(value=sql.counters.c.value + bindparam("seen"))
    .returning(sql.counters.c.value)
)
_ADD_OBSERVATIONS = insert(sql.telemetry)
_OBSERVATIONS = (
    select(sql.telemetry.c.id, sql.telemetry.c.record)
    .where(sql.telemetry.c.id > bindparam("after"))
    .order_by(sql.telemetry.c.id)
    .limit(bindparam("most"))
)


def append_observations(tx: Connection, seen: Sequence[Observation]) -> None:
    """Add to the log. The counter's row is locked until commit, so numbers follow commits and no fold skips one."""
    if not seen:
        return
    first = tx.execute(_COUNT, {"seen": len(seen)}).scalar_one() - len(seen) + 1
    rows = [
        {"id": number, "assignment_id": one.assignment_id, "record": to_json(one)}
        for number, one in enumerate(seen, start=first)
    ]
    tx.execute(_ADD_OBSERVATIONS, rows)


class SqlLedger:
    """The half of the store that remembers."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def observations(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, Observation]]:
        with self._db.read() as tx:
            rows = tx.execute(_OBSERVATIONS, {"after": after, "most": limit}).all()
        return [(row.id, from_json(Observation, row.record)) for row in rows]

    def snapshot(self, fold_version: int) -> str | None:
        query = select(sql.snapshots.c.model).where(sql.snapshots.c.fold_version == fold_version)
        with self._db.read() as tx:
            return tx.execute(query.order_by(sql.snapshots.c.cursor.desc()).limit(1)).scalar()

    def save_snapshot(self, fold_version: int, cursor: int, model: str) -> None:
        row = {"fold_version": fold_version, "cursor": cursor, "model": model}
        newest = select(sql.snapshots.c.cursor).where(sql.snapshots.c.fold_version == fold_version)
        with self._db.write(lasting=False) as tx:
            insert_once(tx, sql.snapshots, [row], key=["fold_version", "cursor"])
            kept = tx.execute(newest.order_by(sql.snapshots.c.cursor.desc()).limit(2)).scalars().all()
            tx.execute(delete(sql.snapshots).where(sql.snapshots.c.cursor < min(kept)))

    def prepared(self, hashes: Sequence[str], keys: Sequence[str]) -> dict[str, Preparation]:
        programs = select(sql.programs).where(sql.programs.c.hash.in_(hashes))
        fitting = select(sql.fits).where(sql.fits.c.program_hash.in_(hashes), sql.fits.c.key.in_(keys))
        with self._db.read() as tx:
            facts = {row.hash: from_json(ProgramFacts, row.facts) for row in tx.execute(programs)}
            fits: dict[str, dict[str, Fit]] = {program_hash: {} for program_hash in facts}
            for row in tx.execute(fitting) if facts else ():
                fits[row.program_hash][row.key] = from_json(Fit, row.record)
        return {program_hash: Preparation(facts[program_hash], fits[program_hash]) for program_hash in facts}

    def save_prepared(self, known: Mapping[str, Preparation]) -> None:
        programs = [{"hash": program_hash, "facts": to_json(one.facts)} for program_hash, one in known.items()]
        fits = [
            {"program_hash": program_hash, "key": key, "record": to_json(fit)}
            for program_hash, one in known.items()
            for key, fit in one.fits.items()
        ]
        with self._db.write(lasting=False) as tx:
            insert_once(tx, sql.programs, programs, key=["hash"])
            insert_once(tx, sql.fits, fits, key=["program_hash", "key"])

    def first_asked(self, name: str) -> float:
        asked = select(sql.counters.c.value).where(sql.counters.c.name == name)
        with self._db.write() as tx:
            insert_once(tx, sql.counters, [{"name": name, "value": round(1000 * self._db.now(tx))}], key=["name"])
            return float(tx.execute(asked).scalar_one()) / 1000

    def announce(self, worker: str, announcements: Sequence[Announcement]) -> None:
        with self._db.write(lasting=False) as tx:
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
        with self._db.write(lasting=False) as tx:
            now = self._db.now(tx)
            beaten = update(sql.roll).where(sql.roll.c.worker == worker).values(heartbeat_at=now)
            return bool(tx.execute(beaten.returning(sql.roll.c.backend)).all())

    def roll(self, *, silent_s: float) -> list[Announcement]:
        with self._db.read() as tx:
            return read_roll(tx, self._db.now(tx) - silent_s)

    def switches(self) -> list[Switch]:
        with self._db.read() as tx:
            return read_switches(tx)

    def switch(self, switch: Switch) -> None:
        one = (sql.switches.c.kind == switch.kind) & (sql.switches.c.name == switch.name)
        with self._db.write() as tx:
            tx.execute(delete(sql.switches).where(one))
            if switch.mode != "on":
                values = {"kind": switch.kind, "name": switch.name, "mode": switch.mode, "at": self._db.now(tx)}
                tx.execute(insert(sql.switches), values)


_ROLL = select(sql.roll).where(sql.roll.c.heartbeat_at >= bindparam("since"))
_ROLL = _ROLL.order_by(sql.roll.c.backend, sql.roll.c.worker)
_SWITCHES = select(sql.switches).order_by(sql.switches.c.kind, sql.switches.c.name)


def read_roll(tx: Connection, since: float) -> list[Announcement]:
    """Backends of the workers heard of since then."""
    return [
        Announcement(row.backend, row.worker, row.slots, _device(row.device), row.warm, row.heartbeat_at)
        for row in tx.execute(_ROLL, {"since": since})
    ]


def read_switches(tx: Connection) -> list[Switch]:
    """What is out of service."""
    return [Switch(row.kind, row.name, row.mode, row.at) for row in tx.execute(_SWITCHES)]


@lru_cache(maxsize=256)
def _device(record: str) -> Device:
    """A device as announced. The same text comes with every look at the roll, and a calibration is long."""
    return from_json(Device, record)
