"""Bearer tokens: who may speak to the HTTP interface, and for which project.

The store holds the SHA-256 of a token and never the token; it is shown once, when it is made. A token has 256 random
bits, so that a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from orchestrator import checks

OPERATOR = "*"
"""The project of a token that sees the jobs of all projects and may switch backends."""

PREFIX = "qorch_"
"""What every token begins with, so that scanners for leaked secrets can find one."""

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NAME_WORDS = "1 to 64 letters, digits, - _ or ."


@dataclass(frozen=True)
class Token:
    """A token as the store knows it: all but the secret.

    Attributes:
        project: whose jobs it shows; ``"*"`` means everybody's.
        created_at: seconds since the epoch, by the store's clock.
    """

    name: str
    project: str
    created_at: float = 0.0

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            checks.refuse("a token's name", NAME_WORDS, self.name)
        if self.project != OPERATOR and not NAME.fullmatch(self.project):
            checks.refuse("a project's name", f"{NAME_WORDS}; or {OPERATOR!r} for an operator's token", self.project)

    @property
    def scope(self) -> str | None:
        """The project to look through; None sees all."""
        return None if self.project == OPERATOR else self.project


class TokenStore(Protocol):
    """Where tokens rest."""

    def add_token(self, token: Token, digest: str) -> None:
        """Keep one.

        Raises:
            ConfigurationError: one of that name is there.
        """
        ...

    def tokens(self) -> list[Token]:
        """All of them, by name."""
        ...

    def token(self, digest: str) -> Token | None:
        """The one with this hash."""
        ...

    def has_tokens(self) -> bool:
        """Whether there is any."""
        ...

    def revoke_token(self, name: str) -> bool:
        """Forget one. False if there is none of that name."""
        ...


def new_secret() -> str:
    """A token that nobody has yet."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What the store keeps of a token: its SHA-256 as hexadecimal text."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
