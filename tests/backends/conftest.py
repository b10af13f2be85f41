"""IBM Quantum on this machine, and its client led there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from backends.ibm import IBMQuantum
from backends.ibm_service import Line
from tests.servers.ibm_runtime import Server

MACHINE = "ibm_jakarta"


@pytest.fixture(scope="session")
def ibm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server, for all tests; :func:`ibm` makes it as new for each of them."""
    with Server(0, [MACHINE], tmp_path_factory.mktemp("ibm")) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ibm(ibm_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """The server as new; this process's client finds it in place of IBM, and no account that a user has saved."""
    ibm_server.reset()
    for name, value in ibm_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("USAGE_DATA_OPT_OUT", "True")  # the client would look through the stack at every request
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return ibm_server


class Clock:
    """A clock that is put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Of the machine."""
    return Clock()


@pytest.fixture(scope="session")
def line() -> Line:
    """One line for all tests that do not care how it came about: signing on takes half a second."""
    return Line(MACHINE, None)


@pytest.fixture
def machine(ibm: Server, clock: Clock, line: Line) -> IBMQuantum:
    """The machine, refreshed."""
    made = IBMQuantum(MACHINE, clock=clock)
    made._line = line
    made.refresh()
    return made
