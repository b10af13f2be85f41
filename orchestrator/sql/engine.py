"""Connections, transactions, clock and migrations: all that differs between SQLite and PostgreSQL."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Executable, Table, create_engine, event, inspect, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    DisconnectionError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from orchestrator.errors import ConfigurationError, StoreUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0004"
"""The newest migration; a test holds it to the folder."""

MIGRATION_LOCK = 0x716F726368  # "qorch"; PostgreSQL's advisory locks are numbers

DIALECTS = ("sqlite", "postgresql")

CLOCK_KEPT_S = 60.0
"""A clock is carried on by a stopwatch for so long before it is asked again."""

STANDSTILL_S = 10.0
"""A transaction takes milliseconds; one that asks for nothing for so long is ended."""

PING_AFTER_S = 1.0
"""A connection that was idle for so long may have been cut."""

_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")


class Database:
    """A migrated database and its transactions."""

    def __init__(self, url: str, *, clock: Callable[[], float] | None = None) -> None:
        """Connect and migrate.

        Args:
            url: SQLAlchemy URL of an SQLite file or a PostgreSQL database.
            clock: instead of the database's own; a simulation has one.

        Raises:
            ConfigurationError: the URL cannot be used, or nothing answers there. Its password is never shown.
        """
        self._engine = _engine(url)
        self._ahead_s, self._asked_at = 0.0, -math.inf
        # SQLite is a library of this process, so its clock is this machine's
        self._clock = clock or (time.time if self._engine.dialect.name == "sqlite" else None)
        try:
            migrate(self._engine)
        except DatabaseError as error:
            shown = self._engine.url.render_as_string(hide_password=True)
            self._engine.dispose()
            raise ConfigurationError(f"the store at {shown} cannot be opened: {error.orig}") from error
        except ConfigurationError:
            self._engine.dispose()
            raise

    @property
    def url(self) -> URL:
        """Where it is. Shown as text, its password is masked."""
        return self._engine.url

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. Raises: StoreUnavailable."""
        with self._answering(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, lasting: bool = True) -> Iterator[Connection]:
        """A transaction that may write. On SQLite it takes the write lock at once, so that it can never deadlock.

        Args:
            lasting: it must outlast a crash of the database. Where False, PostgreSQL does not wait for its disk: such
                a transaction may be undone by a crash, together with all that came after it and was not to last
                either. That is for what is done again in that case, such as a claim.

        Raises:
            StoreUnavailable: the database does not answer, or cannot write: its disk may be full.
        """
        with self._answering(), self._engine.connect() as connection:
            connection = connection.execution_options(qorch_write=True)
            with connection.begin():
                if not lasting and self._engine.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                yield connection

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InternalError, InterfaceError) as error:
            shown = self._engine.url.render_as_string(hide_password=True)
            raise StoreUnavailable(f"the store at {shown} does not do its work: {error.orig}") from error

    def now(self, connection: Connection) -> float:
        """The database's clock, seconds since the epoch."""
        if self._clock is not None:
            return self._clock()
        now = float(connection.execute(_NOW).scalar_one())
        self._ahead_s, self._asked_at = now - time.monotonic(), time.monotonic()
        return now

    def about_now(self) -> float:
        """The same, carried on by this machine's stopwatch since the clock was asked last, up to a minute ago."""
        if self._clock is not None:
            return self._clock()
        if time.monotonic() - self._asked_at < CLOCK_KEPT_S:
            return time.monotonic() + self._ahead_s
        with self.read() as tx:
            return self.now(tx)

    def close(self) -> None:
        """Close the pool."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise ConfigurationError(
            "QORCH_STORE_URL must be a SQLAlchemy URL such as sqlite:////folder/file.sqlite or "
            f"postgresql+psycopg://user@host/database: {type(error).__name__}"
        ) from error
    if engine.dialect.name not in DIALECTS:
        raise ConfigurationError(f"the store can be SQLite or PostgreSQL; got {engine.dialect.name}")
    if engine.dialect.name == "sqlite" and engine.url.database in (None, "", ":memory:"):
        raise ConfigurationError("a store in memory cannot be shared by threads and processes; name a file")
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    else:
        _end_the_stopped(engine)
        _ping_the_idle(engine)
    return engine


def _end_the_stopped(engine: Engine) -> None:
    """Have PostgreSQL end a transaction whose process stands still: it may hold a lock that all the others wait for."""

    @event.listens_for(engine, "connect")
    def on_connect(dbapi: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = dbapi.cursor()
        cursor.execute(f"SET idle_in_transaction_session_timeout = {round(1000 * STANDSTILL_S)}")
        cursor.close()
        dbapi.commit()


def _ping_the_idle(engine: Engine) -> None:
    """Ask a connection that lay idle whether it still lives; asking each one each time would cost a round trip."""

    @event.listens_for(engine, "checkin")
    def on_checkin(_dbapi: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def on_checkout(dbapi: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("idle_since", math.inf) < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(dbapi)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error


def _tune_sqlite(engine: Engine) -> None:
    if engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def on_connect(dbapi: object, _record: ConnectionPoolEntry) -> None:
        dbapi.isolation_level = None  # type: ignore[attr-defined]  # the driver must not open transactions by itself
        cursor = dbapi.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA busy_timeout = 30000")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("qorch_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_once(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> None:
    """Insert the rows whose key is not there yet, also when another connection inserts it at this moment."""
    if not rows:
        return
    tx.execute(_insert_once(tx.dialect.name, table, tuple(key)), list(rows))


@cache
def _insert_once(dialect: str, table: Table, key: tuple[str, ...]) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing(index_elements=list(key))


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; alembic is imported only if there is something to do."""
    if _version(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect().execution_options(qorch_write=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            shown = engine.url.render_as_string(hide_password=True)
            raise ConfigurationError(
                f"this version does not know the schema of the store at {shown} ({error}); "
                "get a newer one, or set QORCH_STORE_URL or QORCH_DATA_DIR to another one"
            ) from error


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
