"""Tokens of the HTTP interface in SQL: their hashes, and whose they are."""

from __future__ import annotations

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from orchestrator.errors import ConfigurationError
from orchestrator.sql import schema as sql
from orchestrator.sql.engine import Database
from orchestrator.tokens import Token


class SqlTokens:
    """:class:`orchestrator.tokens.TokenStore`."""

    _db: Database

    def add_token(self, token: Token, digest: str) -> None:
        row = {"name": token.name, "hash": digest, "project": token.project}
        try:
            with self._db.write() as tx:
                tx.execute(insert(sql.tokens), row | {"created_at": self._db.now(tx)})
        except IntegrityError as error:
            raise ConfigurationError(
                f"a token is called {token.name!r} already; choose another name, or revoke that one first: "
                f"`qorch token revoke {token.name}`"
            ) from error

    def tokens(self) -> list[Token]:
        with self._db.read() as tx:
            return [_token(row) for row in tx.execute(select(sql.tokens).order_by(sql.tokens.c.name))]

    def token(self, digest: str) -> Token | None:
        with self._db.read() as tx:
            row = tx.execute(select(sql.tokens).where(sql.tokens.c.hash == digest)).one_or_none()
        return None if row is None else _token(row)

    def has_tokens(self) -> bool:
        with self._db.read() as tx:
            return tx.execute(select(sql.tokens.c.name).limit(1)).scalar() is not None

    def revoke_token(self, name: str) -> bool:
        with self._db.write() as tx:
            gone = delete(sql.tokens).where(sql.tokens.c.name == name).returning(sql.tokens.c.name)
            return tx.execute(gone).scalar() is not None


def _token(row: Row[tuple[str, str, str, float]]) -> Token:
    return Token(row.name, row.project, row.created_at)
