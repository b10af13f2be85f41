"""The store, whole."""

from __future__ import annotations

from orchestrator.sql.engine import Database
from orchestrator.sql.jobs import SqlJobs
from orchestrator.sql.ledger import SqlLedger


class SqlStore(SqlJobs, SqlLedger):
    """:class:`orchestrator.store.Store` on SQLite or PostgreSQL; what each method does is said there."""

    def __init__(self, url: str, *, max_attempts: int = 3) -> None:
        """Open, and migrate if needed.

        Raises:
            ConfigurationError: the URL cannot be used, or nothing answers there.
        """
        SqlJobs.__init__(self, Database(url), max_attempts=max_attempts)

    def now(self) -> float:
        with self._db.read() as tx:
            return self._db.now(tx)

    def close(self) -> None:
        self._db.close()
