"""Who is kept runs, until all are ended together."""

from __future__ import annotations

import queue
import subprocess
import sys

from workers.keeper import Keeper

TIMEOUT_S = 60.0
FOREVER = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def start_telling(born: queue.Queue[subprocess.Popen[bytes]], command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    born.put(process)
    return process


def leave(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.poll() is not None
        assert process.stdin is not None
        process.stdin.close()


def test_a_process_that_is_killed_comes_again() -> None:
    born: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
    ended: queue.Queue[tuple[str, int]] = queue.Queue()
    keeper = Keeper(lambda name, code: ended.put((name, code)))
    keeper.keep("reader", lambda: start_telling(born, FOREVER))
    first = born.get(timeout=TIMEOUT_S)
    first.kill()
    assert ended.get(timeout=TIMEOUT_S) == ("reader", -9)
    second = born.get(timeout=TIMEOUT_S)
    assert second.pid != first.pid
    keeper.stop()
    leave(first, second)
    assert ended.empty(), "ending all of them is no accident"


def test_nothing_begins_once_all_are_ended() -> None:
    born: queue.Queue[subprocess.Popen[bytes]] = queue.Queue()
    keeper = Keeper()
    keeper.keep("broken", lambda: start_telling(born, [sys.executable, "-c", "raise SystemExit(3)"]))
    first = born.get(timeout=TIMEOUT_S)
    first.wait(TIMEOUT_S)
    keeper.stop()
    keeper.keep("late", lambda: start_telling(born, FOREVER))
    leave(first, *(born.get_nowait() for _ in range(born.qsize())))
    assert "late" not in keeper.running
