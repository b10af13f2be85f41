"""A child process: does one piece of work after the other for the worker that started it, and dies with it.

Started as ``python -m workers.child FD LIFELINE`` by :mod:`workers.sandbox`. It holds programs of strangers and the
vendors' SDKs; whatever happens to it costs one attempt of one assignment.
"""

from __future__ import annotations

import faulthandler
import fcntl
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from backends.errors import BackendError, TransientFailure
from circuits.errors import CircuitError
from orchestrator.job import Failure
from orchestrator.records import from_json
from orchestrator.runtime import ExecuteWork, JudgeWork, PrepareWork, RemoteWork
from workers.frames import Frames
from workers.words import MARK, NOBODY

log = logging.getLogger("qorch.child")

TOGETHER_S = 0.02
"""Answers of a batch go out together so often: what a crash can take with it."""

MEMORY_SHARE = 0.75
"""Part of the machine's memory that one child may take (ours)."""


def main(fd: int, lifeline: int) -> None:
    """Serve until the worker closes its end."""
    _die_with_parent(lifeline)
    _limit_memory()
    frames = Frames(socket.socket(fileno=fd))
    from workers import hands  # the heavy imports; the worker waits for "ready"

    frames.send("ready")
    while (frame := frames.receive()) is not None:
        kind, body = frame
        try:
            frames.send("done", _serve(hands, frames, kind, bytes(body)))
        except Exception as error:  # the wire ends here: whatever went wrong crosses it as a record
            failure = _failure("prepare" if kind == "prepare" else "execute", error)
            if not isinstance(error, CircuitError | BackendError):
                log.exception("%s failed", kind)
            frames.send("failed", failure)


def _serve(hands: Any, frames: Frames, kind: str, body: bytes) -> Any:
    match kind:
        case "prepare":
            return hands.prepare(from_json(PrepareWork, body))
        case "execute":
            return hands.execute(from_json(ExecuteWork, body), lambda data: frames.send("progress", data))
        case "execute_many":
            _execute_many(hands, frames, from_json(list[ExecuteWork], body))
            return None
        case "judge":
            return hands.rejudge(from_json(JudgeWork, body))
        case "warm":
            return hands.backend(from_json(str, body)).warm_up()
        case "remote" | "refresh":
            from workers import hands_remote

            if kind == "refresh":
                return hands_remote.refresh(from_json(str, body))
            return hands_remote.take_step(from_json(RemoteWork, body))
    raise ValueError(f"a child can prepare, execute, judge, warm, refresh or ask remotely; it was asked to {kind!r}")


def _execute_many(hands: Any, frames: Frames, works: Sequence[ExecuteWork]) -> None:
    over = threading.Event()

    def flush() -> None:
        while not over.wait(TOGETHER_S):
            frames.flush()

    flusher = threading.Thread(target=flush, daemon=True)
    flusher.start()
    try:
        for pieces in hands.alike(works):
            _mark(NOBODY)
            together = hands.execute_together(works[pieces.start : pieces.stop])
            for number in pieces:
                if together is not None:
                    frames.put("part", together[number - pieces.start])
                else:
                    _mark(b"%d" % number)
                    frames.put(*_one_of_many(hands, works[number]))
    finally:  # also when a batch ends as nobody foresaw: the thread must not outlive it
        over.set()
        flusher.join()


def _mark(piece: bytes) -> None:
    """Say whose words follow: a piece's, or nobody's."""
    os.write(sys.stderr.fileno(), b"%b%b\n" % (MARK, piece))


def _one_of_many(hands: Any, work: ExecuteWork) -> tuple[str, Any]:
    """One piece of a batch: what goes wrong with it is its own affair."""
    try:
        return "part", hands.execute(work, lambda _: None)
    except Exception as error:  # as in main: it crosses the wire as a record
        if not isinstance(error, CircuitError | BackendError):
            log.exception("execute failed")
        return "broken", _failure("execute", error)


def _failure(stage: str, error: Exception) -> Failure:
    words = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        words = f"the machine has not enough memory for this circuit: {words}; use a smaller one or another backend"
    elif not isinstance(error, CircuitError | BackendError):
        words = f"{type(error).__name__}: {words}"
    transient, ours = isinstance(error, TransientFailure), isinstance(error, CircuitError)
    return Failure(stage, type(error).__name__, words, transient=transient, elsewhere=not ours)


def _limit_memory() -> None:
    """Refuse memory beyond a part of the machine's: a circuit that is too wide fails by itself, not its neighbours."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = int(MEMORY_SHARE * machine_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _die_with_parent(lifeline: int) -> None:
    """Ask the kernel to end this process when the worker's end of the lifeline closes, even in the middle of a run.

    Nothing is ever sent over it, so the only thing that can raise SIGIO is its hang-up; the signal's default action
    ends the process without asking Python. Where the default is to ignore it, the read loop ends at its next turn.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the worker decides what it means
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s  %(message)s")
    faulthandler.enable()
    main(int(sys.argv[1]), int(sys.argv[2]))
