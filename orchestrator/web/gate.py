"""Who may come in. Two doors, and which one is open depends on the store and on where the server listens.

* A request with a bearer token is looked up by the token's hash. It sees the jobs of its project; a token of project
  ``*`` sees those of all and may switch backends. What is found is remembered for LOOKUP_S seconds, so a revoked token
  opens this door for that much longer.
* A request without a token is let in only where the server listens on the loopback *and* the store holds no token: a
  machine that one person uses. A browser on that machine shows any web page to that person, so such a request must
  also be addressed to a loopback name (a rebound DNS name is not one) and must not come from a page of another origin.

Requests are never told apart by where they seem to come from: addresses and their headers can be forged.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.errors import ConfigurationError, NotAuthorised
from orchestrator.tokens import Token, TokenStore, digest
from orchestrator.web.refusal import Refusal
from orchestrator.wire import is_loopback

LOOKUP_S = 3.0
"""Seconds for which a known token is not looked up again."""

MAX_KNOWN = 1_000
"""Tokens remembered at the same time."""


@dataclass(frozen=True)
class Caller:
    """Who asks. ``project`` is None for whoever sees all."""

    project: str | None

    def check_operator(self) -> None:
        """Raises: Refusal: it is the member of one project alone."""
        if self.project is not None:
            raise Refusal(
                403,
                NotAuthorised(
                    f"only an operator may do this, and this token is for project {self.project!r} alone; "
                    "`qorch token add NAME --project '*'` makes an operator's"
                ),
            )


class Gate:
    """Decides for each request. Its methods block on the store; call them on a thread."""

    def __init__(self, tokens: TokenStore | None, *, host: str) -> None:
        """``tokens`` is None where none can be given out; ``host`` is where the server listens."""
        self._tokens = tokens
        self._loopback = is_loopback(host)
        self._known: OrderedDict[str, tuple[float, Token]] = OrderedDict()
        self._locked = (0.0, False)
        self._remembering = threading.Lock()

    def check_exposure(self, host: str) -> None:
        """Refuse to listen where strangers are without a single token.

        Raises:
            ConfigurationError: how to make one.
        """
        if not self._loopback and not (self._tokens and self._tokens.has_tokens()):
            raise ConfigurationError(
                f"the HTTP interface will not listen on {host!r}, where other machines reach it, while no token is "
                "there: make one with `qorch token add NAME --project PROJECT`, or listen on 127.0.0.1"
            )

    def admit(self, secret: str | None, headers: Mapping[str, str]) -> Caller:
        """Who asks.

        Args:
            secret: the bearer token, if one was sent.   headers: of the request; names in lower case.

        Raises:
            Refusal: 401 without a token that is known here, 403 where a web page of somebody else asks.
        """
        if secret is not None:
            token = self._lookup(digest(secret))
            if token is None:
                raise Refusal(401, NotAuthorised("this token is not known here; `qorch token list` shows which are"))
            return Caller(token.scope)
        if not self._loopback or self._is_locked():
            raise Refusal(
                401,
                NotAuthorised(
                    "this server wants a token: set QORCH_TOKEN, or send the header 'Authorization: Bearer …'; "
                    "`qorch token add NAME --project PROJECT` makes one"
                ),
            )
        _check_browser(headers)
        return Caller(None)

    def _lookup(self, key: str) -> Token | None:
        now = time.monotonic()
        with self._remembering:
            at, token = self._known.get(key, (0.0, None))
        if token is not None and now - at < LOOKUP_S:
            return token
        token = None if self._tokens is None else self._tokens.token(key)
        with self._remembering:
            self._known.pop(key, None)
            if token is not None:  # strangers' guesses must not push out what is known
                self._known[key] = (now, token)
                while len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
        return token

    def _is_locked(self) -> bool:
        """Whether there are tokens, so that every request needs one."""
        now = time.monotonic()
        at, locked = self._locked
        if not at or now - at >= LOOKUP_S:
            locked = self._tokens is not None and self._tokens.has_tokens()
            self._locked = (now, locked)
        return locked


def _check_browser(headers: Mapping[str, str]) -> None:
    """Refuse what a web page of somebody else sends through this user's browser."""
    host = headers.get("host", "")
    if not is_loopback(_name(host)):
        raise Refusal(
            403,
            NotAuthorised(
                "without a token this server answers to the name localhost alone; "
                f"got the Host {host[:80]!r}: use a loopback address, or make a token"
            ),
        )
    origin = headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
    if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(403, NotAuthorised("without a token this server does not answer to web pages of other origins"))


def _name(host: str) -> str:
    """The host of ``host:port``; IPv6 addresses stand in brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
