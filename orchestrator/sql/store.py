"""The store, whole."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.lifecycle import Rules
from orchestrator.sql.archive import SqlArchive
from orchestrator.sql.census import SqlCensus
from orchestrator.sql.decisions import SqlDecisions
from orchestrator.sql.engine import Database
from orchestrator.sql.jobs import SqlJobs
from orchestrator.sql.ledger import SqlLedger
from orchestrator.sql.purchases import SqlPurchases
from orchestrator.sql.sight import SqlSight
from orchestrator.sql.tokens import SqlTokens


class SqlStore(SqlJobs, SqlSight, SqlPurchases, SqlLedger, SqlTokens, SqlDecisions, SqlArchive, SqlCensus):
    """:class:`orchestrator.store.Store` on SQLite or PostgreSQL; what each method does is said there."""

    def __init__(self, url: str, rules: Rules | None = None, *, clock: Callable[[], float] | None = None) -> None:
        """Open, and migrate if needed.

        Args:
            url: SQLAlchemy URL.   rules: how often something is tried.   clock: see :class:`Database`.

        Raises:
            ConfigurationError: the URL cannot be used, or nothing answers there.
        """
        SqlJobs.__init__(self, Database(url, clock=clock), rules or Rules())

    def now(self) -> float:
        return self._db.about_now()

    def close(self) -> None:
        self._db.close()
