"""The runtime: a pool of child processes with hard limits. See :mod:`orchestrator.runtime` for what it promises."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from backends.backend import Device
from orchestrator.job import Failure
from orchestrator.records import from_json
from orchestrator.runtime import (
    UNSTARTABLE,
    Executed,
    ExecuteWork,
    Judged,
    JudgeWork,
    Leash,
    Prepared,
    PrepareWork,
    Progress,
    RemoteAnswer,
    RemoteWork,
    RuntimeFailure,
    WorkCancelled,
    WorkReturned,
)
from workers.frames import Frames
from workers.words import Words

T = TypeVar("T")

Part = Callable[[str, bytes], None]
"""Takes what became of one piece of several: its kind of frame, and the record."""

SECRETS = frozenset({"QORCH_STORE_URL", "QORCH_REDIS_URL", "QORCH_URL", "QORCH_TOKEN"})
"""Variables, in any case, that a child has no use for and that may hold a password: it runs programs of strangers."""

CHILD = ("-m", "workers.child")
"""What Python runs as a child; a test has its own backends registered before that."""

START_TIMEOUT_S = 120.0
"""Hard limit of starting a child and of warming up one backend: imports and just-in-time compilation on a slow disk."""


def _no_progress(_: Mapping[str, Any]) -> None:
    """Nobody listens."""


class Child:
    """One child process and the conversation with it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._lifeline, their_lifeline = socket.socketpair()
        words, their_words = socket.socketpair()
        known = {name: value for name, value in os.environ.items() if name.upper() not in SECRETS}
        environment = known | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, *CHILD, str(theirs.fileno()), str(their_lifeline.fileno())],
            pass_fds=(theirs.fileno(), their_lifeline.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=their_words.fileno(),
            stderr=their_words.fileno(),
            env=environment,
        )
        theirs.close()
        their_lifeline.close()
        their_words.close()
        self._frames = Frames(ours)
        self._words = Words(words)
        self._ready = False
        self._killed = False
        self.warm: set[str] = set()

    def start(self) -> None:
        """Wait until it is ready. Raises: RuntimeFailure: it did not come up."""
        if not self._ready:
            self._words.begin()
            self._answer("start", type(None), Leash(START_TIMEOUT_S), _no_progress, "ready")
            self._ready = True

    def call(self, kind: str, body: Any, answer: type[T], leash: Leash, progress: Progress = _no_progress) -> T:
        """Have one piece of work done. After any exception but a failure in the child's own words it is dead."""
        self._words.begin()
        self._frames.send(kind, body)
        return self._answer(kind, answer, leash, progress, "done")

    def call_many(self, kind: str, bodies: Sequence[ExecuteWork], answer: type[T], leash: Leash) -> list[T | Failure]:
        """Have several pieces of work done. If it ends early, what was done until then."""
        done: list[T | Failure] = []

        def part(name: str, body: bytes) -> None:
            done.append(from_json(answer, body) if name == "part" else from_json(Failure, body))

        self._words.begin([body.job_id for body in bodies])
        self._frames.send(kind, list(bodies))
        with suppress(RuntimeFailure, WorkCancelled):
            self._answer(kind, type(None), leash, _no_progress, "done", part)
        return done

    def _answer(
        self, kind: str, answer: type[T], leash: Leash, progress: Progress, expected: str, part: Part | None = None
    ) -> T:
        with leash.around(self.kill):
            try:
                told = self._listen(kind, answer, leash, progress, expected, part)
            except BaseException:  # it may still be at work, and what it says next must not reach the next caller
                self.kill()
                raise
            finally:
                self._words.end()
        if isinstance(told, Failure):
            raise RuntimeFailure(told)
        return told

    def _listen(
        self, kind: str, answer: type[T], leash: Leash, progress: Progress, expected: str, part: Part | None
    ) -> T | Failure:
        until = time.monotonic() + leash.timeout_s
        while True:
            try:
                if not self._frames.pending:
                    self._words.wait(self._frames.end, until)
                frame = self._frames.receive(max(1e-3, until - time.monotonic()))
            except TimeoutError as error:
                raise RuntimeFailure(_too_slow(kind, leash.timeout_s)) from error
            if frame is None:
                if leash.pulled:
                    raise WorkCancelled
                raise RuntimeFailure(self.died(kind))
            name, body = frame
            try:
                if name == expected:
                    return from_json(answer, bytes(body))
                if name == "failed":
                    return from_json(Failure, bytes(body))
                if part is not None:
                    part(name, bytes(body))
                    continue
                told = from_json(dict[str, Any], bytes(body))
            except ValueError as error:  # such as a number that is none
                message = f"what had to {kind} gave an answer that cannot be read: {error}"
                raise RuntimeFailure(Failure(_stage(kind), "UnreadableAnswer", message)) from error
            progress(told)

    def died(self, kind: str) -> Failure:
        """What is to be said of its end."""
        self.kill()
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        message = f"the process that had to {kind} ended with {how}; the job's log has its last words"
        return Failure(_stage(kind), UNSTARTABLE if kind == "start" else "worker_lost", message, transient=True)

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return not self._killed and self._process.poll() is None

    def kill(self) -> None:
        """End it now."""
        self._killed = True
        self._process.kill()

    def close(self) -> None:
        """End it and give back what it held."""
        self.kill()
        self._process.wait()
        self._frames.close()
        self._words.close()
        self._lifeline.close()


class Sandbox:
    """A pool of children, as many as threads ask at the same time. Idle ones are kept warm."""

    def __init__(self) -> None:
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._lock = threading.Lock()
        self._closing = False
        self.warm: frozenset[str] = frozenset()
        """Backends that some child has used: the next run there need not wait for imports."""

    def start_one(self) -> None:
        """Begin to start a child, so that it imports while the caller does something else."""
        child = Child()
        with self._lock:
            self._all.add(child)
            self._idle.append(child)

    def warm_up(self, backends: list[str]) -> None:
        """Have one child ready that has each of these backends warm. Raises: RuntimeFailure."""
        with self._child("warm") as child:
            for backend in backends:
                self._warm(child, backend)

    def prepare(self, work: PrepareWork, leash: Leash) -> Prepared:
        """See :class:`orchestrator.runtime.Runtime`."""
        with self._child("prepare") as child:
            return child.call("prepare", work, Prepared, leash)

    def execute(self, work: ExecuteWork, leash: Leash, progress: Progress) -> Executed:
        """See :class:`orchestrator.runtime.Runtime`. The limit holds for the run, not for the first warm-up."""
        begun = time.perf_counter()
        with self._child("execute", work.backend) as child:
            self._warm(child, work.backend)
            warm_up_s = time.perf_counter() - begun
            executed = child.call("execute", work, Executed, leash, progress)
            return replace(executed, warm_up_s=warm_up_s)

    def execute_many(self, works: Sequence[ExecuteWork], leash: Leash) -> tuple[list[Executed | Failure], float]:
        """See :class:`orchestrator.runtime.Runtime`."""
        if not works:
            return [], 0.0
        begun = time.perf_counter()
        try:
            with self._child("execute", works[0].backend) as child:
                self._warm(child, works[0].backend)
                warm_up_s = time.perf_counter() - begun
                return child.call_many("execute_many", works, Executed, leash), warm_up_s
        except (RuntimeFailure, WorkReturned):  # whoever runs them one by one is told why
            return [], time.perf_counter() - begun

    def judge(self, work: JudgeWork, leash: Leash) -> Judged:
        """See :class:`orchestrator.runtime.Runtime`."""
        with self._child("judge") as child:
            return child.call("judge", work, Judged, leash)

    def remote(self, work: RemoteWork, leash: Leash) -> RemoteAnswer:
        """See :class:`orchestrator.runtime.Runtime`. The child warms up within the step, so that it is judged there."""
        with self._child("execute", work.work.backend) as child:
            return child.call("remote", work, RemoteAnswer, leash)

    def refresh(self, backend: str, leash: Leash) -> Device:
        """See :class:`orchestrator.runtime.Runtime`."""
        with self._child("execute", backend) as child:
            return child.call("refresh", backend, Device, leash)

    def close(self) -> None:
        """End every child; work in progress is given back."""
        with self._lock:
            self._closing = True
            children = tuple(self._all)
        for child in children:
            child.kill()
        for child in children:
            child.close()

    def _warm(self, child: Child, backend: str) -> None:
        if backend not in child.warm:
            child.call("warm", backend, type(None), Leash(START_TIMEOUT_S))
            child.warm.add(backend)
            self.warm |= {backend}

    @contextmanager
    def _child(self, kind: str, backend: str = "") -> Iterator[Child]:
        """A child for one piece of work, if possible one where the backend is warm."""
        with self._lock:
            if self._closing:
                raise WorkReturned
            dead = [child for child in self._idle if not child.alive]
            self._idle = [child for child in self._idle if child.alive]
            self._all.difference_update(dead)
            chosen = max(self._idle, key=lambda child: backend in child.warm, default=None)
            if chosen is None:
                chosen = Child()
                self._all.add(chosen)
            else:
                self._idle.remove(chosen)
        for child in dead:
            child.close()
        try:
            chosen.start()
            yield chosen
        except (RuntimeFailure, WorkCancelled, OSError) as error:
            if self._closing:
                raise WorkReturned from error
            if isinstance(error, OSError):  # it died between two pieces of work, before this one reached it
                raise RuntimeFailure(chosen.died(kind)) from error
            raise
        finally:
            self._put_back(chosen)

    def _put_back(self, child: Child) -> None:
        with self._lock:
            if self._closing:
                return
            if child.alive:
                self._idle.append(child)
                return
            self._all.discard(child)
        child.close()


def _stage(kind: str) -> str:
    return "prepare" if kind == "prepare" else "measure" if kind == "judge" else "execute"


def _too_slow(kind: str, limit_s: float) -> Failure:
    raise_it = "QORCH_PREPARE_TIMEOUT_S" if kind in ("prepare", "judge") else "limits.timeout_s"
    message = f"{kind} was ended after its hard limit of {limit_s:g} s; use a smaller circuit or raise {raise_it}"
    return Failure(_stage(kind), "timeout", message)
