"""What has ended: removed once it is old enough, or read page by page to be kept elsewhere.

Nothing here is on the trip of a job.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, delete, func, select

from circuits.program import Program
from orchestrator.census import PRUNED
from orchestrator.decision import Situation
from orchestrator.errors import ConfigurationError
from orchestrator.job import FINAL_JOB_STATES, Assignment, Event, Job, JobState, Result
from orchestrator.placement import Candidate
from orchestrator.preparation import preparation_key
from orchestrator.records import from_json
from orchestrator.sql import schema as sql
from orchestrator.sql.census import count_incidents
from orchestrator.sql.desk import job_of
from orchestrator.sql.engine import HEAD, Database
from orchestrator.telemetry import Observation

PAGE = 200
"""Jobs of which everything is read together: a result may be large."""

BUSY_S = 30.0

_other = sql.jobs.alias()
_FREE = ~(
    select(sql.dependencies.c.job_id)
    .join(_other, _other.c.id.in_([sql.dependencies.c.job_id, sql.dependencies.c.after_id]))
    .where(
        (sql.dependencies.c.job_id == sql.jobs.c.id) | (sql.dependencies.c.after_id == sql.jobs.c.id),
        _other.c.finished_at.is_(None),
    )
    .exists()
)
"""It neither comes before nor after an unfinished job."""

_FORGOTTEN = ~select(sql.decisions.c.id).where(sql.decisions.c.situation == sql.situations.c.id).exists()
"""No decision is left that was taken in it."""

_OF_A_JOB = (sql.results, sql.runs, sql.events, sql.decisions, sql.assignments, sql.tags)
"""Tables whose rows go with their job, each before those that it points at."""


@dataclass(frozen=True)
class Wanted:
    """Which jobs to read; None means no condition.

    Attributes:
        since: submitted at that time or later, seconds since the epoch.
    """

    since: float | None = None
    state: JobState | None = None
    tag: str | None = None


@dataclass(frozen=True)
class Asked:
    """What was asked of a policy: every backend as it was known then, and the job as in ``placement.Request``."""

    candidates: tuple[Candidate, ...]
    seq: int = 0
    rank: float = 0.0
    waited_s: float = 0.0
    num_parts: int = 0
    items: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Considered:
    """A decision as it is written down, without the specification of its job."""

    job_id: str
    policy: str
    at: float
    cursor: int
    batch: str
    choice: dict[str, float]
    request: Asked
    decide_s: float = 0.0
    shots: int | None = None
    group: str = ""
    sooner_s: float = 0.0


@dataclass(frozen=True)
class Page:
    """Some jobs in order of their submission, and everything of theirs. Decisions and observations have numbers.

    Attributes:
        situations: in which each decision was taken, by its number; none of an earlier version's.
    """

    jobs: list[Job]
    assignments: list[Assignment]
    results: list[Result]
    observations: list[tuple[int, Observation]]
    decisions: list[tuple[int, Considered]]
    events: list[Event]
    situations: dict[int, Situation]


class SqlArchive:
    """The part of the store that looks back."""

    _db: Database

    @property
    def described(self) -> dict[str, str]:
        """What kind of database it is, and the version of its tables."""
        return {"database": self._db.url.get_backend_name(), "tables": HEAD}

    # ── remove ────────────────────────────────────────────────────────────────────────────────────────────────────
    def prunable(self, *, before: float, keep_failed: bool = False) -> int:
        """How many jobs :meth:`prune` would remove in all."""
        number = select(func.count()).select_from(sql.jobs)
        with self._db.read() as tx:
            return sum(tx.execute(number.where(*_prunable(s, before))).scalar_one() for s in _final(keep_failed))

    def prune(self, *, before: float, most: int, keep_failed: bool = False) -> int:
        oldest = select(sql.jobs.c.id).order_by(sql.jobs.c.rank)
        with self._db.write() as tx:
            found: list[str] = []
            for state in _final(keep_failed):
                found += tx.execute(oldest.where(*_prunable(state, before)).limit(most - len(found))).scalars()
            ids = _locked(tx, found) if found else []
            if ids:
                states = tx.execute(select(sql.jobs.c.state).where(sql.jobs.c.id.in_(ids))).scalars()
                removed = Counter((PRUNED, state) for state in states)
                told = tx.execute(select(sql.decisions.c.situation).where(sql.decisions.c.job_id.in_(ids))).scalars()
                situations = {one for one in told if one is not None}
                for table in _OF_A_JOB:
                    tx.execute(delete(table).where(table.c.job_id.in_(ids)))
                for end in (sql.dependencies.c.job_id, sql.dependencies.c.after_id):
                    tx.execute(delete(sql.dependencies).where(end.in_(ids)))
                tx.execute(delete(sql.jobs).where(sql.jobs.c.id.in_(ids)))
                tx.execute(delete(sql.situations).where(sql.situations.c.id.in_(situations), _FORGOTTEN))
                count_incidents(tx, removed)
            return len(ids)

    def prune_telemetry(self, fold_version: int, *, before: float, most: int) -> int:
        """Remove measurements that a stored model of this version of the fold has in it; their number.

        A later version of the fold can learn only from what is left.

        Args:
            before: only those of attempts that ended earlier, seconds since the epoch.   most: in one go.
        """
        folded = select(func.max(sql.snapshots.c.cursor)).where(sql.snapshots.c.fold_version == fold_version)
        with self._db.write() as tx:
            cursor = tx.execute(folded).scalar() or 0
            oldest = select(sql.telemetry).where(sql.telemetry.c.id <= cursor).order_by(sql.telemetry.c.id).limit(most)
            rows = tx.execute(oldest).all()
            old = list(takewhile(lambda row: from_json(_Dated, row.record).at < before, rows))
            if old:
                tx.execute(delete(sql.telemetry).where(sql.telemetry.c.id <= old[-1].id))
            return len(old)

    def prune_programs(self) -> int:
        """Remove what was worked out about programs that no job here refers to; the number of programs.

        A job that comes with such a program meanwhile, or later, has it worked out anew.
        """
        with self._db.read() as tx:
            known = set(tx.execute(select(sql.programs.c.hash)).scalars())
            last = tx.execute(select(func.max(sql.jobs.c.seq))).scalar() or 0
        seq = 0
        while known and seq < last:
            specs = select(sql.jobs.c.seq, sql.jobs.c.spec).where(sql.jobs.c.seq > seq).order_by(sql.jobs.c.seq)
            with self._db.read() as tx:
                page = tx.execute(specs.limit(PAGE)).all()
            known -= {preparation_key(from_json(_Programmed, row.spec).program) for row in page}
            seq = page[-1].seq if page else last
        gone = sorted(known)
        for start in range(0, len(gone), PAGE):
            hashes = gone[start : start + PAGE]
            with self._db.write() as tx:
                tx.execute(delete(sql.fits).where(sql.fits.c.program_hash.in_(hashes)))
                tx.execute(delete(sql.programs).where(sql.programs.c.hash.in_(hashes)))
        return len(gone)

    # ── read ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def pages(self, wanted: Wanted) -> Iterator[Page]:
        """The jobs that there are now and everything of theirs, a page at a time; each is one transaction."""
        conditions = conditions_of(wanted)
        with self._db.read() as tx:
            last = tx.execute(select(func.max(sql.jobs.c.seq))).scalar() or 0
        seq = 0
        while True:
            query = select(sql.jobs).where(sql.jobs.c.seq > seq, sql.jobs.c.seq <= last, *conditions)
            with self._db.read() as tx:
                jobs = [job_of(row) for row in tx.execute(query.order_by(sql.jobs.c.seq).limit(PAGE))]
                if not jobs:
                    return
                page = _page(tx, jobs)
            yield page
            seq = jobs[-1].seq

    # ── SQLite's own ──────────────────────────────────────────────────────────────────────────────────────────────
    def backup(self, path: Path) -> None:
        """Copy an SQLite store as it is at one moment, while others write to it.

        Raises:
            ConfigurationError: the store is none of SQLite; the message has the command for it.
            OSError: the copy cannot be written.   sqlite3.Error: it is not whole.
        """
        source = _sqlite_file(self._db.url)
        if source is None:
            address = self._db.url.set(drivername="postgresql").render_as_string().replace(":***@", "@")
            raise ConfigurationError(
                f"the store is PostgreSQL, which has its own tool: pg_dump --format=custom --file=FILE '{address}'"
            )
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(path)) as there:
            here.backup(there)
            (found,) = there.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"the copy is not whole: {found}")
            there.execute("PRAGMA journal_mode = DELETE")  # one file, complete without those beside it

    def vacuum(self) -> None:
        """Give the room of what was removed back to the file system. Who writes meanwhile waits.

        Raises:
            ConfigurationError: the store is none of SQLite.   sqlite3.OperationalError: the disk is too full for it.
        """
        source = _sqlite_file(self._db.url)
        if source is None:
            raise ConfigurationError("the store is PostgreSQL, whose autovacuum does this by itself; leave it out")
        with closing(sqlite3.connect(source, timeout=BUSY_S)) as connection:
            connection.execute("VACUUM")


def conditions_of(wanted: Wanted) -> list[ColumnElement[bool]]:
    """On the table of jobs."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(sql.jobs.c.submitted_at >= wanted.since)
    if wanted.state is not None:
        conditions.append(sql.jobs.c.state == wanted.state.value)
    if wanted.tag is not None:
        tagged = select(sql.tags.c.job_id).where(sql.tags.c.tag == wanted.tag)
        conditions.append(sql.jobs.c.id.in_(tagged))
    return conditions


@dataclass(frozen=True)
class _Dated:
    at: float


@dataclass(frozen=True)
class _Programmed:
    program: Program


def _sqlite_file(url: URL) -> str | None:
    return url.database if url.get_backend_name() == "sqlite" else None


def _prunable(state: JobState, before: float) -> list[ColumnElement[bool]]:
    """A job's rank is never above its time of submission, so the index by state and rank leads to the old ones."""
    return [sql.jobs.c.state == state.value, sql.jobs.c.rank < before, sql.jobs.c.finished_at < before, _FREE]


def _final(keep_failed: bool) -> list[JobState]:
    return sorted(FINAL_JOB_STATES - ({JobState.FAILED} if keep_failed else set()))


def _locked(tx: Connection, ids: Sequence[str]) -> list[str]:
    """Those of these jobs that may go, locked as :mod:`desk` does it, and looked at again: the first look took none."""
    parts = select(sql.assignments.c.id).where(sql.assignments.c.job_id.in_(ids))
    tx.execute(parts.order_by(sql.assignments.c.id).with_for_update())
    jobs = select(sql.jobs.c.id).where(sql.jobs.c.id.in_(ids)).order_by(sql.jobs.c.seq).with_for_update()
    locked = tx.execute(jobs).scalars().all()
    return list(tx.execute(select(sql.jobs.c.id).where(sql.jobs.c.id.in_(locked), _FREE)).scalars())


def _page(tx: Connection, jobs: list[Job]) -> Page:
    ids = [job.id for job in jobs]
    parts = select(sql.assignments.c.record).where(sql.assignments.c.job_id.in_(ids)).order_by(sql.assignments.c.id)
    assignments = [from_json(Assignment, record) for record in tx.execute(parts).scalars()]
    results = select(sql.results.c.record).where(sql.results.c.job_id.in_(ids)).order_by(sql.results.c.job_id)
    taken = select(sql.decisions).where(sql.decisions.c.job_id.in_(ids)).order_by(sql.decisions.c.id)
    decisions = tx.execute(taken).all()
    told = select(sql.situations).where(sql.situations.c.id.in_({row.situation for row in decisions} - {None}))
    situations = {row.id: from_json(Situation, row.record) for row in tx.execute(told)}
    events = select(sql.events).where(sql.events.c.job_id.in_(ids)).order_by(sql.events.c.job_id, sql.events.c.seq)
    seen = select(sql.telemetry).where(sql.telemetry.c.assignment_id.in_([part.id for part in assignments]))
    return Page(
        jobs,
        assignments,
        [from_json(Result, record) for record in tx.execute(results).scalars()],
        [(row.id, from_json(Observation, row.record)) for row in tx.execute(seen.order_by(sql.telemetry.c.id))],
        [(row.id, from_json(Considered, row.record)) for row in decisions],
        [
            Event(row.job_id, row.kind, row.at, from_json(dict[str, Any], row.data), row.seq)
            for row in tx.execute(events)
        ],
        {row.id: situations[row.situation] for row in decisions if row.situation is not None},
    )
