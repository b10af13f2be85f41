"""All transports: embedded, a cluster of real Celery workers over a real Redis, and HTTP before that cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import Client
from orchestrator.settings import Settings
from workers.launch import running

FLEET = ("aer_statevector", "aer_mps", "aer_stabilizer", "fake_guadalupe", "cirq_simulator", "sparse", "cpu")
WINDOW_S = 10.0
"""Jobs are run together whatever this machine was learned to take for one."""


def free_port() -> int:
    """A port of the loopback that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def flower_port() -> int:
    """Where Flower is."""
    return free_port()


@pytest.fixture(scope="session")
def http_port() -> int:
    """Where the HTTP interface is."""
    return free_port()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, flower_port: int, http_port: int) -> Iterator[Settings]:
    """Settings by which a client reaches a running cluster of two workers, with Flower and HTTP beside it."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("cluster"),
        backends=FLEET,
        heartbeat_s=1.0,
        run_window_s=WINDOW_S,
        run_alone_s=WINDOW_S,
    )
    division = {"simulators": [name for name in FLEET if not name.startswith("fake")], "qpus": ["fake_guadalupe"]}
    with running(settings, division, flower_port=flower_port, http_port=http_port) as url:
        yield settings.model_copy(update={"url": url})


@pytest.fixture(scope="session")
def embedded_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Those of the embedded client."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("embedded"),
        backends=FLEET,
        heartbeat_s=1.0,
        run_window_s=WINDOW_S,
        run_alone_s=WINDOW_S,
    )


@pytest.fixture(scope="session")
def embedded(embedded_settings: Settings) -> Iterator[Client]:
    """One embedded client for all tests that need no folder of their own."""
    with Client(settings=embedded_settings) as client:
        yield client


@pytest.fixture(scope="session")
def over_celery(cluster: Settings) -> Iterator[Client]:
    """One client of the cluster."""
    with Client(settings=cluster) as client:
        yield client


@pytest.fixture(scope="session")
def over_http(cluster: Settings, http_port: int) -> Iterator[Client]:
    """One client of the cluster, through its HTTP interface."""
    with Client(f"http://127.0.0.1:{http_port}", settings=cluster) as client:
        yield client


@pytest.fixture(params=["embedded", "over_celery", "over_http"])
def client(request: pytest.FixtureRequest) -> Client:
    """A client over each transport in turn."""
    found: Client = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def slow_qasm(tmp_path: Path) -> Path:
    """A program that keeps any simulator busy for minutes: mid-circuit measurements are run shot by shot."""
    body = "".join(f"rx(0.{i}) q; cx q[0],q[1]; c[0] = measure q[0]; if (c[0]) {{ x q[1]; }}\n" for i in range(1, 9))
    text = f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[14] q;\nbit[14] c;\n{body * 20}c = measure q;\n'
    path = tmp_path / "slow.qasm"
    path.write_text(text)
    return path
