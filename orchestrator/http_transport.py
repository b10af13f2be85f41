"""A client's way to a server over HTTP. It needs httpx and no store, broker or database driver.

What may be asked twice is asked again while the server is away, for ``patience_s`` seconds: every look, a cancel, and
a batch whose jobs all have idempotency keys. Any other batch is sent again only if the connection could not even be
opened; otherwise nobody knows whether it was written, and the error says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx

from circuits.parameters import short
from orchestrator.cost_model.model import Learned
from orchestrator.decision import Decision
from orchestrator.errors import (
    ClientClosed,
    ConfigurationError,
    InvalidJob,
    ProtocolMismatch,
    ServerUnreachable,
    TransportError,
)
from orchestrator.hindsight import Explanation
from orchestrator.http_feed import Feed
from orchestrator.job import Assignment, Event, Job, JobSpec, JobState, Result
from orchestrator.notifier import Listener
from orchestrator.purchase import Balance
from orchestrator.quote import Quote
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from orchestrator.store import Announcement, Switch
from orchestrator.transport import PolicyInfo
from orchestrator.wire import (
    MAX_LISTED,
    PREFIX,
    PROTOCOL,
    PROTOCOL_HEADER,
    About,
    ErrorBody,
    from_wire,
    is_loopback,
)

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 120.0
"""A batch of ten thousand jobs is written in one transaction; it takes its time."""

SILENCE_S = 60.0
"""A stream that says nothing for so long is dead: a server says four times as often that it is alive."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
RESULTS_AT_ONCE = 1_000
STATES_AT_ONCE = 10_000

T = TypeVar("T")


class HttpTransport:
    """:class:`orchestrator.transport.Transport` over HTTP. Safe to use from several threads."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Connect, and see who answers.

        Args:
            url: ``http://host:port`` or ``https://…``, with a path where a proxy serves it under one.
            settings: the token among them. It goes to this address alone, and not unencrypted to another machine.

        Raises:
            ConfigurationError: no such address, or one that would give the token away.
            ServerUnreachable: nothing answers there.   ProtocolMismatch: something else does.
            NotAuthorised: it wants a token, or another one.
        """
        self._shown = _checked(url, settings)
        self._base = url.rstrip("/") + PREFIX
        loopback = is_loopback(urlsplit(url).hostname)
        headers = {PROTOCOL_HEADER: PROTOCOL, "User-Agent": f"qorch/{PROTOCOL}"}
        if settings.token is not None:
            headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        try:
            self._http = httpx.Client(
                headers=headers,
                timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                trust_env=not loopback,  # no proxy stands between this machine and itself
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(f"the token or the address {self._shown!r} cannot be sent as it is") from error
        self._patience_s = settings.patience_s
        self._closing = threading.Event()
        self._feed = Feed(self._stream, patience_s=self._patience_s)
        try:
            self.about = self._ask(About, "GET", "", patient=False)
        except BaseException:
            self._http.close()
            raise

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def submit(self, specs: Sequence[JobSpec]) -> list[Job]:
        keyed = all(spec.idempotency_key is not None for spec in specs)
        return self._ask(list[Job], "POST", "/jobs", body=_body(list(specs)), repeatable=keyed)

    def quote(self, spec: JobSpec) -> Quote:
        return self._ask(Quote, "POST", "/quote", body=_body(spec))

    def job(self, job_id: str) -> Job:
        return self._ask(Job, "GET", _of(job_id))

    def jobs(self, *, state: JobState | None, tag: str | None, limit: int) -> list[Job]:
        if limit > MAX_LISTED:
            raise InvalidJob(f"a list over HTTP may have {MAX_LISTED} jobs; got a limit of {limit}")
        asked = {"state": state, "tag": tag, "limit": str(limit)}
        return self._ask(list[Job], "GET", "/jobs", {name: value for name, value in asked.items() if value is not None})

    def assignments(self, job_id: str) -> list[Assignment]:
        return self._ask(list[Assignment], "GET", _of(job_id, "/assignments"))

    def result(self, job_id: str) -> Result | None:
        return self._ask(Result | None, "GET", _of(job_id, "/result"))  # type: ignore[arg-type]

    def results(self, job_ids: Sequence[str]) -> dict[str, Result]:
        return self._in_parts(Result, "/results", job_ids, RESULTS_AT_ONCE)

    def states(self, job_ids: Sequence[str]) -> dict[str, JobState]:
        return self._in_parts(JobState, "/states", job_ids, STATES_AT_ONCE)

    def events(self, job_id: str, *, after: int) -> list[Event]:
        return self._ask(list[Event], "GET", _of(job_id, "/events"), {"after": str(after)})

    def cancel(self, job_id: str) -> None:
        self._ask(type(None), "POST", _of(job_id, "/cancel"))

    def decision(self, job_id: str) -> Decision | None:
        return self._ask(Decision | None, "GET", _of(job_id, "/decision"))  # type: ignore[arg-type]

    def explain(self, job_id: str) -> list[Explanation]:
        return self._ask(list[Explanation], "GET", _of(job_id, "/explanations"))

    # ── fleet ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def backends(self) -> list[Announcement]:
        return self._ask(list[Announcement], "GET", "/backends")

    def policies(self) -> list[PolicyInfo]:
        return self._ask(list[PolicyInfo], "GET", "/policies")

    def costs(self) -> list[Learned]:
        return self._ask(list[Learned], "GET", "/costs")

    def budgets(self) -> list[Balance]:
        return self._ask(list[Balance], "GET", "/budgets")

    def switches(self) -> list[Switch]:
        return self._ask(list[Switch], "GET", "/switches")

    def switch(self, switch: Switch) -> None:
        self._ask(type(None), "POST", "/switches", body=to_json(switch))

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def subscribe(self, listener: Listener) -> Callable[[], None]:
        if self._closing.is_set():
            raise ClientClosed
        return self._feed.subscribe(listener)

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._feed.close()
        self._http.close()

    # ── the wire ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _in_parts(self, kind: type[T], path: str, job_ids: Sequence[str], size: int) -> dict[str, T]:
        found: dict[str, T] = {}
        for start in range(0, len(job_ids), size):
            part = to_json(list(job_ids[start : start + size]))
            found |= self._ask(dict[str, kind], "POST", path, body=part)  # type: ignore[valid-type]
        return found

    def _ask(
        self,
        kind: type[T],
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: str | None = None,
        repeatable: bool = True,
        patient: bool = True,
    ) -> T:
        """One question and its answer.

        Args:
            kind: of the answer.   repeatable: asking twice does no harm.
            patient: a server that is away is waited for.

        Raises:
            What the server says, as the class that an embedded client would meet.
            ServerUnreachable: no answer in time.   ClientClosed.
        """
        until = time.monotonic() + (self._patience_s if patient else 0.0)
        pause_s = FIRST_PAUSE_S
        while True:
            if self._closing.is_set():
                raise ClientClosed
            try:
                return self._once(kind, method, path, query, body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                gone: Exception = self._unreachable(error)
            except httpx.HTTPError as error:
                gone = self._unreachable(error) if repeatable else self._in_doubt(error)
            except _Away as away:
                gone = away.error
            except RuntimeError as error:  # httpx's word for a client that was closed in between
                if not self._closing.is_set():
                    raise
                raise ClientClosed from error
            if self._closing.is_set():
                raise ClientClosed from gone
            certain = repeatable or isinstance(gone, ServerUnreachable)
            if not certain or time.monotonic() + pause_s > until:
                raise gone
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _once(self, kind: type[T], method: str, path: str, query: dict[str, str] | None, body: str | None) -> T:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        content = None if body is None else body.encode()
        response = self._http.request(method, self._base + path, params=query, content=content, headers=headers)
        self._check(response)
        try:
            return from_json(kind, response.content or b"null")
        except ValueError as error:
            raise ProtocolMismatch(f"what {self._shown} answers cannot be read: {error}") from error

    def _check(self, response: httpx.Response) -> None:
        """Raise what the server refuses with; its body must have been read."""
        spoken = response.headers.get(PROTOCOL_HEADER)
        if spoken != PROTOCOL:
            if response.status_code in (502, 503, 504):  # a proxy before a server that is away
                raise _Away(ServerUnreachable(f"{self._shown} says {response.status_code}: the server is away"))
            what = "no orchestrator" if spoken is None else f"one of version {short(spoken)}"
            raise ProtocolMismatch(
                f"what answers at {self._shown} is {what} (status {response.status_code}); this client speaks "
                f"version {PROTOCOL}: check the address, or install the version of the server"
            )
        if response.is_success:
            return
        try:
            error = from_wire(from_json(ErrorBody, response.content).error)
        except ValueError:
            error = TransportError(f"{self._shown} says {response.status_code} without a reason")
        raise _Away(error) if response.status_code == 503 else error

    @contextmanager
    def _stream(self) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)
        try:
            with self._http.stream("GET", self._base + "/stream", timeout=timeout) as response:
                if not response.is_success:
                    response.read()
                self._check(response)
                yield response
        except _Away as away:
            raise away.error from away
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except RuntimeError as error:  # httpx's word for a client that was closed in between
            raise ClientClosed from error

    def _unreachable(self, error: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"nothing answers at {self._shown} ({type(error).__name__}); start it with `qorch serve` or "
            "`qorch up --http`, or check QORCH_URL"
        )

    def _in_doubt(self, error: Exception) -> TransportError:
        return TransportError(
            f"the connection to {self._shown} broke before it said whether the jobs are taken down "
            f"({type(error).__name__}): look with jobs() before you submit them again, or give them idempotency keys"
        )


class _Away(Exception):
    """The server answers that it cannot do its work at the moment."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _body(asked: JobSpec | list[JobSpec]) -> str:
    """Jobs as JSON. Raises: InvalidJob."""
    try:
        return to_json(asked)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidJob(f"a job must be plain JSON of the types that JobSpec names: {error}") from error


def _of(job_id: str, what: str = "") -> str:
    return f"/jobs/{quote(job_id, safe='')}{what}"


def _checked(url: str, settings: Settings) -> str:
    """The address as it may be shown.

    Raises:
        ConfigurationError: it cannot be used, or must not be.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(  # the error's own words may hold a part of a password
            "the address of a server cannot be read: wanted http://host:port or https://host"
        ) from error
    if not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigurationError(
            "a server's address is http://host:port or https://host, without a name, password or question; "
            "the token stands in QORCH_TOKEN"
        )
    shown = f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    if parts.scheme == "http" and settings.token is not None and not (is_loopback(host) or settings.allow_plain_http):
        raise ConfigurationError(
            f"the token is not sent to {shown} unencrypted, where anyone between can read it: use https://, "
            "or set QORCH_ALLOW_PLAIN_HTTP=1 if the network is your own"
        )
    return shown
