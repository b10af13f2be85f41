"""What an export holds: every table read back as other tools read it, and its shape written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from circuits.steane import Steane
from orchestrator import Client
from orchestrator.errors import ConfigurationError, JobFailed
from orchestrator.job import Job, Limits
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from workers import export as exporter

pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'qorch[export]'")

GOLDEN = Path(__file__).parent / "golden" / "export.json"
BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
FLEET = ("aer_statevector", "aer_mps", "fake_guadalupe")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqlStore, dict[str, Job]]]:
    """A store after one job of each kind: shared, scored, failed."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("export"), backends=FLEET)
    with Client(settings=settings) as client:
        shared = client.submit(
            BELL,
            shots=301,
            pin={"aer_statevector": 0.5, "aer_mps": 0.5},
            tags=["ä", "b"],
            limits=Limits(max_qpu_s=5.0),
        )
        scored = client.submit(Steane(rounds=1), shots=100, pin="aer_mps")
        failed = client.submit(BELL, pin="cirq_simulator", exclude=["aer_mps"])
        shared.result(timeout=60.0)
        scored.result(timeout=60.0)
        with pytest.raises(JobFailed):
            failed.result(timeout=60.0)
        found = {"shared": shared.status(), "scored": scored.status(), "failed": failed.status()}
    store = SqlStore(settings.resolved_store_url)
    yield store, found
    store.close()


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table, however it was written."""
    if (folder / f"{name}.jsonl").exists():
        return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def test_every_record_comes_back(jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path) -> None:
    store, found = jobs
    exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet)
    rows = {row["job_id"]: row for row in read(tmp_path / "out", "jobs")}
    assert list(rows) == [job.id for job in sorted(found.values(), key=lambda job: job.seq)]
    shared = rows[found["shared"].id]
    assert (shared["max_qpu_s"], shared["canary"]) == (5.0, 0.0)
    assert (shared["state"], shared["shots"], json.loads(shared["tags"])) == ("done", 301, ["ä", "b"])
    assert shared["family"] is None
    assert shared["submitted_at"] == _time(found["shared"].submitted_at)
    assert (rows[found["scored"].id]["family"], rows[found["failed"].id]["failure_stage"]) == ("steane", "place")
    parts = read(tmp_path / "out", "assignments")
    assert [
        (part["backend"], part["shots"], part["state"]) for part in parts if part["job_id"] == shared["job_id"]
    ] == [(part.backend, part.shots, "done") for part in store.assignments(shared["job_id"])]
    for row in read(tmp_path / "out", "results"):
        result = store.results([row["job_id"]])[row["job_id"]]
        assert json.loads(row["counts"]) == result.counts
        assert (row["fidelity"], row["latency_s"]) == (result.measurement.fidelity, result.measurement.latency_s)
        assert row["decision_id"] == result.placement.decision
        assert row["energy_model"] == result.measurement.energy_model
    seen = read(tmp_path / "out", "measurements")
    assert sorted((row["number"], row["service_s"]) for row in seen) == [
        (number, one.measurement.service_s) for number, one in store.observations()
    ]
    events = [event for event in read(tmp_path / "out", "events") if event["job_id"] == shared["job_id"]]
    assert [(e["seq"], e["kind"], json.loads(e["data"])) for e in events] == [
        (e.seq, e.kind, dict(e.data)) for e in store.events(shared["job_id"])
    ]


def test_a_decision_has_a_row_for_each_candidate(jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path) -> None:
    store, found = jobs
    exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet)
    job = found["shared"]
    decision = store.decision(job.id)
    assert decision is not None
    rows = [row for row in read(tmp_path / "out", "decisions") if row["job_id"] == job.id]
    assert [row["backend"] for row in rows] == [one.backend for one in decision.request.candidates]
    assert {row["backend"]: row["share"] for row in rows if row["share"]} == dict(decision.choice)
    for row, candidate in zip(rows, decision.request.candidates, strict=True):
        assert row["feasible"] == (not candidate.rejections)
        assert json.loads(row["rejections"]) == list(candidate.rejections)
        assert row["estimate_fidelity"] == candidate.estimate.fidelity
        assert row["decision_id"] == decision.id


def test_both_formats_say_the_same(jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path) -> None:
    store, _ = jobs
    exporter.export(store, tmp_path / "a", Wanted(), exporter.Parquet)
    exporter.export(store, tmp_path / "b", Wanted(), exporter.JsonLines)
    for name, columns in exporter.TABLES.items():
        arrow, lines = read(tmp_path / "a", name), read(tmp_path / "b", name)
        for column, (kind, _) in columns.items():
            if kind == "time":
                for row in arrow:
                    row[column] = row[column] and row[column].isoformat(timespec="microseconds")
        assert arrow == lines
        assert arrow, name


def test_the_shape_is_as_written_down(jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path) -> None:
    """A column that changes needs a new SCHEMA_VERSION and this file written anew; a new one needs the file alone."""
    store, _ = jobs
    manifest = exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet)
    assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())
    shape = {
        "schema_version": manifest["schema_version"],
        "tables": {
            name: {field.name: str(field.type) for field in pq.read_schema(tmp_path / "out" / table["file"])}
            for name, table in manifest["tables"].items()
        },
    }
    assert shape == json.loads(GOLDEN.read_text())
    for name, table in manifest["tables"].items():
        assert table["rows"] == pq.read_metadata(tmp_path / "out" / f"{name}.parquet").num_rows
        assert list(table["columns"]) == list(shape["tables"][name])
    assert set(manifest["versions"]) == {"qorch", "pyarrow"}


def test_only_what_was_asked_for(jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path) -> None:
    store, found = jobs
    manifest = exporter.export(store, tmp_path / "out", Wanted(tag="b"), exporter.JsonLines)
    assert manifest["filters"] == {"since": None, "state": None, "tag": "b"}
    for name in exporter.TABLES:
        assert {row["job_id"] for row in read(tmp_path / "out", name)} == {found["shared"].id}


def test_rows_are_written_before_there_are_too_many(
    jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = jobs
    monkeypatch.setattr(exporter, "ROWS_HELD", 2)
    exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet)
    file = pq.ParquetFile(tmp_path / "out" / "jobs.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [2, 1]


def test_an_export_that_breaks_leaves_nothing_that_looks_whole(
    jobs: tuple[SqlStore, dict[str, Job]], tmp_path: Path
) -> None:
    store, _ = jobs

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet, tell=interrupt)
    assert list((tmp_path / "out").iterdir()) == []
    exporter.export(store, tmp_path / "out", Wanted(), exporter.Parquet)
    with pytest.raises(ConfigurationError, match="not empty"):
        exporter.export(store, tmp_path / "out", Wanted(), exporter.JsonLines)


def test_a_format_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="parquet or jsonl"):
        exporter.writer_of("csv")


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(round(at * 1e6) / 1e6, UTC)
