"""The store's schema: what the migrations make, what they carry over, and addresses that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, inspect, text

from orchestrator.decision import Decision
from orchestrator.errors import ConfigurationError
from orchestrator.job import Assignment, AssignmentState, Job, JobSpec, JobState
from orchestrator.lifecycle import Completed
from orchestrator.placement import Request
from orchestrator.records import from_json, to_json
from orchestrator.sql.engine import HEAD, MIGRATIONS
from orchestrator.sql.schema import metadata
from orchestrator.sql.store import SqlStore
from orchestrator.store import Ending, Placed

WRITTEN = Path(__file__).parent / "golden" / "0001"
"""Records as the first version wrote them."""


def migrate(engine: Engine, to: str) -> None:
    """Bring a database up or down to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        version = MigrationContext.configure(connection).get_current_revision() or ""
        (command.upgrade if to > version else command.downgrade)(config, to)


@pytest.fixture
def engine(store_url: str) -> Iterator[Engine]:
    """An engine of the test's own on an empty database."""
    opened = create_engine(store_url)
    yield opened
    opened.dispose()


def test_the_schema_is_what_the_migrations_make(store: SqlStore) -> None:
    with store._db.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@host/db", "sqlite:////proc/none/qorch.sqlite"])
def test_an_unusable_address_says_so_without_its_password(url: str) -> None:
    with pytest.raises((ConfigurationError, OSError)) as caught:
        SqlStore(url)
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        SqlStore("postgresql+psycopg://user:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


# ── from the first version ────────────────────────────────────────────────────────────────────────────────────────────
def old_spec(bell_text: str, **fields: Any) -> str:
    """A specification as 0001 wrote it: of what came later it knows nothing."""
    spec = json.loads((WRITTEN / "JobSpec.json").read_text())
    spec["program"]["text"] = bell_text
    return json.dumps(spec | {"pin": {}, "allow": [], "exclude": [], "idempotency_key": None} | fields)


def old_job(tx: Connection, job_id: str, state: str, spec: str, *, num_events: int = 1) -> None:
    """A row of the table of jobs as 0001 had it, with its events."""
    values = {
        "id": job_id,
        "key": json.loads(spec)["idempotency_key"],
        "state": state,
        "spec": spec,
        "finished_at": 1001.0 if state == "done" else None,
        "num_events": num_events,
    }
    tx.execute(
        text(
            "INSERT INTO jobs (id, idempotency_key, state, rank, spec, submitted_at, finished_at, cancel_requested, "
            "num_events) VALUES (:id, :key, :state, 990.0, :spec, 1000.0, :finished_at, false, :num_events)"
        ),
        values,
    )
    for seq, kind in enumerate(("submitted", "placed", "running", "done")[:num_events], start=1):
        tx.execute(
            text("INSERT INTO events (job_id, seq, kind, at, data) VALUES (:id, :seq, :kind, 1000.0, '{}')"),
            {"id": job_id, "seq": seq, "kind": kind},
        )


def old_part(tx: Connection, job_id: str, **fields: Any) -> str:
    """A row of the table of assignments as 0001 had it; its record."""
    part = json.loads((WRITTEN / "Assignment.json").read_text()) | {"id": f"{job_id}-0", "job_id": job_id} | fields
    record = json.dumps(part)
    columns = ("id", "job_id", "backend", "state", "rank", "attempt", "owner", "started_at", "lease_expires_at")
    values = {name: part[name] for name in columns} | {"record": record}
    tx.execute(
        text(
            "INSERT INTO assignments (id, job_id, backend, state, rank, attempt, owner, service_s, started_at, "
            "lease_expires_at, record) VALUES (:id, :job_id, :backend, :state, :rank, :attempt, :owner, 0.25, "
            ":started_at, :lease_expires_at, :record)"
        ),
        values,
    )
    return record


Decide = Callable[[SqlStore, Job], Placed]


@pytest.fixture
def decide(new_assignment: Callable[..., Assignment]) -> Decide:
    """Makes a decision for a job of a store that the test opened itself."""

    def one(store: SqlStore, job: Job) -> Placed:
        request = Request(job.id, job.seq, job.spec, 0.0, 0.0, ())
        decision = Decision(job.id, "eft", 0.0, 0, "batch", {}, request, {"aer_statevector": 1.0})
        return Placed(decision, [new_assignment(id=f"{job.id}-0", job_id=job.id, shots=job.to_place)])

    return one


def test_what_the_first_version_left_goes_on(store_url: str, engine: Engine, spec: JobSpec, decide: Decide) -> None:
    migrate(engine, "0001")
    later = 4e9  # the lease of what runs is not over
    with engine.connect() as tx, tx.begin():
        program = spec.program.text
        old_job(tx, "waits", "submitted", old_spec(program, shots=77, idempotency_key="k"))
        old_job(tx, "placed", "placed", old_spec(program), num_events=2)
        old_part(
            tx, "placed", state="waiting", attempt=0, owner=None, started_at=None, lease_expires_at=None, shots=100
        )
        old_job(tx, "runs", "running", old_spec(program), num_events=3)
        running = old_part(tx, "runs", lease_expires_at=later, shots=100)
        old_job(tx, "done", "done", old_spec(program), num_events=4)
        decision = json.loads((WRITTEN / "Decision.json").read_text()) | {"job_id": "runs", "id": 0}
        tx.execute(text("INSERT INTO decisions (job_id, record) VALUES ('runs', :r)"), {"r": json.dumps(decision)})
    store = SqlStore(store_url)
    try:
        jobs = {job.id: job for job in store.jobs()}
        assert {i: (job.state.value, job.to_place, job.num_placements) for i, job in jobs.items()} == {
            "waits": ("submitted", 77, 0),
            "placed": ("placed", 0, 1),
            "runs": ("running", 0, 1),
            "done": ("done", 0, 0),
        }
        assert {job.project for job in jobs.values()} == {""}
        again, _ = store.add_jobs([from_json(JobSpec, old_spec(program, idempotency_key="k"))])
        assert again[0].id == "waits", "its key still finds it"

        assert [waiting.job.id for waiting in store.look(10, silent_s=60.0).waiting] == ["waits"]
        assert [event.kind for event in store.place([decide(store, jobs["waits"])])] == ["placed"]

        part = from_json(Assignment, running)
        events, written = store.finish([Ending(part, Completed(0.0))])
        assert written == [True]
        assert [(event.kind, event.seq) for event in events] == [("assignment_done", 4)]

        claimed = store.claim(["aer_mps"], owner="w/1", lease_s=30.0)
        assert claimed is not None
        assert (claimed.taken[0].job.id, claimed.taken[0].alone) == ("placed", True)

        kept = store.decision("runs")
        assert kept is not None
        assert kept.request.spec == jobs["runs"].spec
        assert kept.choice == {"aer_mps": 1.0}
        assert (kept.situation, kept.group, kept.load_s) == (None, "", {"w@host": 0.5})
        assert store.decisions("runs") == [kept]
        assert store.sweep(silent_s=-1.0).events == [], "of what ended long ago nobody is told again"
    finally:
        store.close()


def test_the_way_back(store_url: str, engine: Engine, spec: JobSpec) -> None:
    store = SqlStore(store_url)
    job = store.add_jobs([spec])[0][0]
    store.close()
    migrate(engine, "0001")
    with engine.connect() as connection:
        columns = {column["name"] for column in inspect(connection).get_columns("jobs")}
        assert not columns & {"project", "to_place", "num_placements", "num_blockers", "told"}
        assert not set(inspect(connection).get_table_names()) & {
            "dependencies",
            "switches",
            "tokens",
            "purchases",
            "budgets",
            "situations",
        }
        assert "due_at" not in {column["name"] for column in inspect(connection).get_columns("assignments")}
        assert connection.execute(text("SELECT id FROM jobs")).scalar_one() == job.id
    store = SqlStore(store_url)
    assert [waiting.job for waiting in store.look(10, silent_s=60.0).waiting] == [job]
    store.close()


def test_a_newer_schema_is_left_alone(store_url: str, engine: Engine) -> None:
    SqlStore(store_url).close()
    with engine.connect() as connection, connection.begin():
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="get a newer one"):
        SqlStore(store_url)


def test_states_are_written_as_text(spec: JobSpec) -> None:
    """What a row says of a state is read by its name: none may be renamed."""
    assert {state.value for state in JobState} == {"submitted", "placed", "running", "done", "failed", "cancelled"}
    assert {state.value for state in AssignmentState} == {
        "waiting", "running", "sent", "done", "failed", "cancelled", "replaced",
    }  # fmt: skip
    assert from_json(JobSpec, to_json(spec)) == spec
