"""Events to many readers: one relay, and for each reader a short queue.

The relay hears every event on whatever thread tells of it, keeps a bounded number, finds out on a thread of its own
whose they are, and hands them to the readers on the event loop. Nobody is waited for: a reader that does not keep up
loses its queue and is told to look again, and so are all if the relay itself falls behind. The store is the truth, so
looking again is all that a lost notice costs.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from starlette.concurrency import run_in_threadpool

from orchestrator.errors import OrchestratorError, ServerUnreachable, StoreUnavailable
from orchestrator.job import FINAL_JOB_STATES, Event
from orchestrator.records import to_json
from orchestrator.transport import StoreTransport
from orchestrator.web.refusal import Refusal
from orchestrator.wire import AGAIN

MAX_HEARD = 10_000
"""Events that wait for the relay at most."""

MAX_WAITING = 1_000
"""Events that wait for one reader at most."""

MAX_OWNED = 100_000
"""Pairs of project and job whose relation is remembered; it never changes."""

_FINAL_KINDS = frozenset(state.value for state in FINAL_JOB_STATES)

log = logging.getLogger("qorch.web")


def sse(event: Event) -> bytes:
    """An event as it is sent: its id is what a reader shows when it comes back."""
    return f"id: {event.job_id}:{event.seq}\ndata: {to_json(event)}\n\n".encode()


OPEN = b": open\n\n"
KEEP_ALIVE = b": alive\n\n"
LOOK_AGAIN = f"event: {AGAIN}\ndata: null\n\n".encode()


class Stream:
    """What one reader has still to read. It lives on the event loop."""

    def __init__(self, project: str | None, job_id: str | None) -> None:
        self.project = project
        self.job_id = job_id
        self.ended = False
        self.admitted_at = time.monotonic()
        self._waiting: deque[bytes] = deque()
        self._rung = asyncio.Event()

    def offer(self, chunks: Sequence[bytes]) -> None:
        """Queue what comes next; where it does not fit, the whole queue becomes one call to look again."""
        self._waiting.extend(chunks)
        if len(self._waiting) > MAX_WAITING or LOOK_AGAIN in chunks:
            self._waiting.clear()
            self._waiting.append(LOOK_AGAIN)
        self._rung.set()

    def end(self) -> None:
        """Let the reader go."""
        self.ended = True
        self._rung.set()

    async def take(self, patience_s: float) -> bytes:
        """What waits, at once; nothing, if nothing came for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._rung.wait()
        self._rung.clear()
        chunks = b"".join(self._waiting)
        self._waiting.clear()
        return chunks


class Streams:
    """All readers of a server."""

    def __init__(self, transport: StoreTransport, *, most: int, keep_alive_s: float) -> None:
        """``most`` readers at a time; none hears nothing for longer than ``keep_alive_s`` seconds."""
        self.keep_alive_s = keep_alive_s
        self._transport = transport
        self._most = most
        self._streams: set[Stream] = set()
        self._heard: queue.Queue[Event | None] = queue.Queue(MAX_HEARD)
        self._lost = threading.Event()
        self._closing = threading.Event()
        self._owned: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._relay, name="qorch-relay", daemon=True)

    def start(self) -> None:
        """Listen. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._transport.subscribe(self._hear)
        self._thread.start()

    def end(self) -> None:
        """Let every reader go, also those that come from here on. Call it on the event loop."""
        self._closing.set()
        for stream in tuple(self._streams):
            stream.end()

    def stop(self) -> None:
        """Stop listening; blocks until the relay has ended."""
        self._unsubscribe()
        self._closing.set()
        self._wake()
        self._thread.join()

    def check_room(self) -> None:
        """Raises: Refusal: too many are open."""
        if len(self._streams) >= self._most:
            raise Refusal(503, ServerUnreachable(f"{self._most} streams are open already; close some, or come later"))

    @contextmanager
    def open(self, project: str | None, job_id: str | None = None) -> Iterator[Stream]:
        """A stream of what a project may see, or of one job that was found to be visible."""
        stream = Stream(project, job_id)
        if self._closing.is_set():
            stream.end()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    # ── the relay ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _hear(self, event: Event | None) -> None:
        """Any thread, also one that has better things to do: never blocks."""
        if not self._streams:
            return
        if event is None:
            self._lost.set()
            self._wake()
        elif event.job_id:
            try:
                self._heard.put_nowait(event)
            except queue.Full:
                self._lost.set()

    def _wake(self) -> None:
        with suppress(queue.Full):  # then there is enough to wake it
            self._heard.put_nowait(None)

    def _relay(self) -> None:
        while not self._closing.is_set():
            heard = [self._heard.get()]
            with suppress(queue.Empty):
                while len(heard) < MAX_WAITING:
                    heard.append(self._heard.get_nowait())
            lost = self._lost.is_set()
            self._lost.clear()
            events = [event for event in heard if event is not None]
            for stream, chunks in self._shares(tuple(self._streams), events, lost):
                assert self._loop is not None
                self._loop.call_soon_threadsafe(stream.offer, chunks)

    def _shares(
        self, streams: Sequence[Stream], events: Sequence[Event], lost: bool
    ) -> Iterator[tuple[Stream, list[bytes]]]:
        """What each reader gets."""
        said = [(event.job_id, sse(event)) for event in events]
        unsure = lost
        visible: dict[str | None, set[str]] = {}
        for project in {stream.project for stream in streams if stream.job_id is None}:
            try:
                visible[project] = self._visible(project, {job_id for job_id, _ in said})
            except OrchestratorError as error:
                log.warning("whose the events are could not be found out, so all look again: %s", error)
                unsure = True
        for stream in streams:
            mine = visible.get(stream.project, set()) if stream.job_id is None else {stream.job_id}
            chunks = [LOOK_AGAIN] if unsure else [chunk for job_id, chunk in said if job_id in mine]
            if chunks:
                yield stream, chunks

    def _visible(self, project: str | None, job_ids: set[str]) -> set[str]:
        """Those of the jobs that members of the project may see."""
        if project is None:
            return job_ids
        unknown = [job_id for job_id in job_ids if (project, job_id) not in self._owned]
        if unknown:
            found = self._transport.scoped(project).states(unknown)
            self._owned.update(((project, job_id), job_id in found) for job_id in unknown)
        mine = {job_id for job_id in job_ids if self._owned[project, job_id]}
        while len(self._owned) > MAX_OWNED:
            self._owned.popitem(last=False)
        return mine


# ── what a reader gets ────────────────────────────────────────────────────────────────────────────────────────────────
async def all_jobs(
    streams: Streams, project: str | None, returns: bool, still_admitted: Callable[[], None]
) -> AsyncIterator[bytes]:
    """Events of all jobs of a project.

    Args:
        streams: the server's.   project: None for all.
        returns: the reader was here before, so it may have missed something.
        still_admitted: raises if the reader may read no longer; it may block.
    """
    with streams.open(project) as stream:
        yield LOOK_AGAIN if returns else OPEN
        while not stream.ended:
            chunk = await stream.take(streams.keep_alive_s)
            if not await _may_stay(stream, streams.keep_alive_s, still_admitted):
                return
            yield chunk or KEEP_ALIVE


async def one_job(
    streams: Streams, view: StoreTransport, job_id: str, after: int, still_admitted: Callable[[], None]
) -> AsyncIterator[bytes]:
    """Events of one job since event number ``after``, until its end. What is heard only says when to read the store."""
    with streams.open(None, job_id) as stream:
        yield OPEN
        while not stream.ended:
            try:
                fresh = await run_in_threadpool(view.events, job_id, after=after)
            except OrchestratorError as error:
                log.warning("a stream ends early, its reader will come back: %s", error)
                return
            for event in fresh:
                after = event.seq
                yield sse(event)
                if event.kind in _FINAL_KINDS:
                    return
            if not fresh and not await stream.take(streams.keep_alive_s):
                yield KEEP_ALIVE
            if not await _may_stay(stream, streams.keep_alive_s, still_admitted):
                return


async def _may_stay(stream: Stream, every_s: float, still_admitted: Callable[[], None]) -> bool:
    """Whether the reader is still admitted; asked once in so many seconds."""
    if time.monotonic() - stream.admitted_at < every_s:
        return True
    try:
        await run_in_threadpool(still_admitted)
    except Refusal:
        return False
    except StoreUnavailable:
        log.warning("a reader stays for now: the store with the tokens is away")
    stream.admitted_at = time.monotonic()
    return True
