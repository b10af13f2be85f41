"""The commands of whoever runs it: what they print, what they leave behind, what they refuse."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from backends.errors import UnknownBackend
from circuits.program import Program
from orchestrator import Client
from orchestrator.cost_model.model import FOLD_VERSION
from orchestrator.errors import InvalidJob, JobNotFound, UnknownWorker
from orchestrator.job import Event, Job, JobSpec, JobState
from orchestrator.settings import Settings
from orchestrator.sql.ledger import append_observations
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement, Switch
from orchestrator.telemetry import Observation
from workers.cli import app
from workers.cli_ops import span_s, worker_records
from workers.render_timeline import lanes, line, timeline

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
FLEET = ("aer_statevector", "aer_mps")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Settings]]:
    """A client that works in a folder of this file, while the command line looks at it from beside."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("ops"), backends=FLEET, heartbeat_s=0.5)
    with Client(settings=settings) as client:
        yield client, settings


def said(folder: Path, *words: str) -> Any:
    """The command line in this process."""
    return CliRunner().invoke(app, ["--data-dir", str(folder), *words], env={"COLUMNS": "100"})


def document(folder: Path, *words: str) -> Any:
    """What a command that succeeds prints with --json."""
    done = said(folder, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def shown(renderable: Any) -> str:
    """What a person reads on a terminal of 80 columns."""
    console = Console(width=80, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


# ── in service, and out of it ─────────────────────────────────────────────────────────────────────────────────────────
class TestSwitches:
    @pytest.fixture(autouse=True)
    def all_on_again(self, live: tuple[Client, Settings]) -> Iterator[None]:
        yield
        client, _ = live
        for switch in client.switches():
            client.switch(switch.name, "on")
        assert client.switches() == []

    def test_a_drained_backend_gets_nothing_new(self, live: tuple[Client, Settings]) -> None:
        client, settings = live
        assert document(settings.data_dir, "drain", "aer_mps")["mode"] == "drained"
        modes = {one["backend"]: one["mode"] for one in document(settings.data_dir, "backends")}
        assert modes == {"aer_mps": "drained", "aer_statevector": "on"}
        assert "drained" in said(settings.data_dir, "backends").stdout
        job = client.submit(BELL, shots=100)
        assert job.result(timeout=60.0).placement.shares[0].backend == "aer_statevector"
        assert "an operator has drained it" in said(settings.data_dir, "why", job.id).stdout
        assert said(settings.data_dir, "resume", "aer_mps").stdout == "aer_mps is in service\n"
        assert {one["mode"] for one in document(settings.data_dir, "backends")} == {"on"}

    def test_a_worker_ends_what_it_has_and_comes_back(self, live: tuple[Client, Settings]) -> None:
        client, settings = live
        (worker,) = document(settings.data_dir, "workers")
        assert (worker["mode"], worker["slots"]) == ("on", 1)
        assert worker["backends"] == {"aer_mps": "on", "aer_statevector": "on"}
        assert 0 <= worker["heartbeat_age_s"] < 60
        document(settings.data_dir, "drain", worker["worker"])
        assert document(settings.data_dir, "workers")[0]["mode"] == "drained"
        waits = client.submit(BELL, shots=100)
        assert document(settings.data_dir, "resume", worker["worker"])["kind"] == "worker"
        waits.result(timeout=60.0)

    @pytest.mark.parametrize(
        ("words", "code", "expected"),
        [
            (["drain", "aer_mpss"], 1, "Did you mean 'aer_mps'?"),
            (["drain", "gpu@nowhere"], 1, "no worker is called 'gpu@nowhere'; there are: embedded@"),
            (["disable", "gpu@nowhere"], 2, "a worker can be drained, not disabled"),
            (["resume", "nothing"], 1, "no backend is called 'nothing'"),
            (["drain"], 2, "NAME"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, live: tuple[Client, Settings], words: list[str], code: int, expected: str
    ) -> None:
        done = said(live[1].data_dir, *words)
        assert (done.exit_code, expected in done.stderr) == (code, True), done.output
        assert live[0].switches() == []

    def test_the_client_refuses_alike(self, live: tuple[Client, Settings]) -> None:
        client, _ = live
        with pytest.raises(UnknownBackend, match="Did you mean"):
            client.switch("aer_mp", "drained")
        with pytest.raises(UnknownWorker):
            client.switch("nobody@there", "drained")
        for name, mode in (("aer_mps", "off"), ("nobody@there", "disabled"), (3, "on")):
            with pytest.raises(InvalidJob):
                client.switch(name, mode)  # type: ignore[arg-type]

    def test_a_registered_backend_can_be_closed_before_anybody_serves_it(self, live: tuple[Client, Settings]) -> None:
        done = said(live[1].data_dir, "disable", "fake_hanoi")
        assert (done.exit_code, "no worker serves it at this moment" in done.stderr) == (0, True)
        assert live[0].switches()[0].mode == "disabled"


def test_workers_that_left_while_out_of_service_are_still_listed() -> None:
    device: Any = None
    roll = [Announcement("a", "w@h", 2, device, heartbeat_at=95.0), Announcement("b", "w@h", 2, device, True, 96.0)]
    switches = [Switch("worker", "gone@h", "drained"), Switch("backend", "b", "disabled")]
    assert worker_records(roll, switches, 100.0) == [
        {"worker": "gone@h", "mode": "drained", "slots": 0, "backends": {}, "heartbeat_age_s": None},
        {"worker": "w@h", "mode": "on", "slots": 2, "backends": {"a": "on", "b": "disabled"}, "heartbeat_age_s": 4.0},
    ]


# ── what happened to a job ────────────────────────────────────────────────────────────────────────────────────────────
def events(*told: tuple[str, float, dict[str, Any]]) -> list[Event]:
    """Events of one job."""
    return [Event("j", kind, at, data, seq) for seq, (kind, at, data) in enumerate(told, start=1)]


MOVED = events(
    ("submitted", 0.0, {}),
    ("placed", 1.0, {"shares": {"a": 60, "b": 40}, "policy": "eft"}),
    ("running", 2.0, {"backend": "a", "attempt": 1, "worker": "w@h/1"}),
    ("log", 2.5, {"level": "WARNING", "logger": "qorch.child", "message": "out of [memory]", "worker": "w@h"}),
    ("assignment_released", 3.0, {"backend": "a", "attempt": 1, "message": "it died"}),
    ("running", 4.0, {"backend": "a", "attempt": 2, "worker": "w@h/1"}),
    ("assignment_replaced", 5.0, {"backend": "a", "attempt": 2, "message": "it died"}),
    ("placed", 6.0, {"shares": {"b": 60}, "policy": "eft"}),
    ("running", 7.0, {"backend": "b", "attempt": 1, "worker": "v@h/1"}),
    ("assignment_done", 8.0, {"backend": "b", "attempt": 1, "service_s": 0.5, "fidelity": 0.9}),
    ("running", 9.0, {"backend": "b", "attempt": 1, "worker": "v@h/1"}),
)


class TestTimeline:
    def test_shares_are_read_from_events(self) -> None:
        first, second, third = lanes(MOVED)
        assert (first.backend, first.state, first.ended_at) == ("a", "replaced", 5.0)
        assert [(one.number, one.began_at, one.ended_at, one.message) for one in first.attempts] == [
            (1, 2.0, 3.0, "it died"),
            (2, 4.0, 5.0, "it died"),
        ]
        assert (second.amount, second.state, second.ended_at) == ("40 shots", "done", 8.0)
        assert (third.amount, third.state, third.placed_at) == ("60 shots", "running", 6.0)

    def test_any_beginning_of_a_story_can_be_shown(self, spec: JobSpec) -> None:
        for number in range(1, len(MOVED) + 1):
            job = Job("j", 1, spec, JobState.RUNNING, 0.0)
            text = shown(timeline(job, [], MOVED[:number], 10.0))
            assert len(text.splitlines()) > number
        assert "it waits there again: it died" in text
        assert "out of [memory]  qorch.child w@h" in text
        assert "attempt 1 by w@h 1 s · attempt 2 by w@h 1 s" in text

    def test_every_event_of_the_trip_fits_a_line(self, bell: Program) -> None:
        job = Job("j", 1, JobSpec(bell), JobState.RUNNING, 0.0)
        told = events(
            ("failing", 1.0, {"message": "why"}),
            ("failed", 1.0, {"stage": "execute", "message": "why"}),
            ("assignment_cancelled", 1.0, {"backend": "a", "attempt": 1}),
            ("assignment_released", 1.0, {"backend": "a", "attempt": 1}),
            ("progress", 1.0, {"round": 3, "best": 0.123456789}),
            ("unheard_of", 1.0, {}),
            ("log", 1.0, {}),
        )
        text = [shown(line(event, job)).strip() for event in told]
        assert text[1].endswith("failed at execute: why")
        assert "given back by its worker on a" in text[3]
        assert text[4].endswith("progress  round 3  best 0.1235")

    def test_a_real_job(self, live: tuple[Client, Settings]) -> None:
        client, settings = live
        job = client.submit(BELL, shots=300, pin={"aer_statevector": 0.5, "aer_mps": 0.5})
        followed = said(settings.data_dir, "logs", job.id, "--follow")
        assert followed.exit_code == 0
        assert "by its pin" in followed.stdout
        text = said(settings.data_dir, "logs", job.id).stdout
        assert len(re.findall("█ +done", text)) == 2
        assert text.startswith(job.id)
        assert document(settings.data_dir, "logs", job.id) == document(settings.data_dir, "events", job.id)
        assert said(settings.data_dir, "logs", "nobody").exit_code == 1


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def shelf(tmp_path: Path, spec: JobSpec) -> tuple[Path, list[str]]:
    """A folder with a store of three withdrawn jobs and one that waits."""
    store = SqlStore(f"sqlite:///{tmp_path / 'data' / 'qorch.sqlite'}")
    jobs, _ = store.add_jobs([spec] * 4)
    for job in jobs[:3]:
        store.request_cancel(job.id)
    store.close()
    return tmp_path / "data", [job.id for job in jobs]


class TestKeeping:
    def test_prune_counts_and_then_removes(self, shelf: tuple[Path, list[str]]) -> None:
        folder, jobs = shelf
        none = {"jobs": 0, "measurements": 0, "programs": 0, "removed": True}
        assert document(folder, "prune", "--older-than", "1d") == none
        assert document(folder, "prune", "--older-than", "0s", "--dry-run") == {"jobs": 3, "removed": False}
        assert len(document(folder, "jobs")) == 4
        done = said(folder, "prune", "--older-than", "0s", "--telemetry", "--vacuum")
        assert done.stdout == "removed 3 jobs, 0 measurements and what was known of 0 programs\n"
        assert [job["job_id"] for job in document(folder, "jobs")] == [jobs[3]]

    def test_a_backup_is_put_back_by_copying_it(self, shelf: tuple[Path, list[str]], tmp_path: Path) -> None:
        folder, jobs = shelf
        assert document(folder, "backup", str(tmp_path / "b.sqlite"))["size_bytes"] > 0
        again = said(folder, "backup", str(tmp_path / "b.sqlite"))
        assert (again.exit_code, "name a new file" in again.stderr) == (1, True)
        (tmp_path / "new").mkdir()
        (tmp_path / "b.sqlite").rename(tmp_path / "new" / "qorch.sqlite")
        assert {job["job_id"] for job in document(tmp_path / "new", "jobs")} == set(jobs)

    def test_a_backup_that_cannot_be_written_leaves_nothing(
        self, shelf: tuple[Path, list[str]], tmp_path: Path
    ) -> None:
        done = said(shelf[0], "backup", str(tmp_path / "no" / "folder" / "b.sqlite"))
        assert (done.exit_code, "was not copied" in done.stderr) == (1, True), done.output

    def test_export_writes_what_was_asked_for(self, shelf: tuple[Path, list[str]], tmp_path: Path) -> None:
        words = ["export", str(tmp_path / "out"), "--format", "jsonl", "--state", "cancelled", "--since", "1h"]
        manifest = document(shelf[0], *words)
        assert manifest["tables"]["jobs"]["rows"] == 3
        rows = [json.loads(row) for row in (tmp_path / "out" / "jobs.jsonl").read_text().splitlines()]
        assert [row["job_id"] for row in rows] == shelf[1][:3]
        assert document(shelf[0], "export", str(tmp_path / "b"), "--since", "2999-01-01")["tables"]["jobs"]["rows"] == 0

    @pytest.mark.parametrize(
        ("words", "code", "expected"),
        [
            (["prune"], 2, "--older-than"),
            (["prune", "--older-than", "soon"], 2, "such as 30d"),
            (["prune", "--older-than", "-3d"], 2, "such as 30d"),
            (["export", "{folder}/x", "--since", "yesterday"], 2, "such as 2026-01-31"),
            (["export", "{folder}/x", "--state", "gone"], 2, "is none of"),
            (["export", "{folder}/x", "--format", "csv"], 1, "parquet or jsonl"),
            (["export", "{folder}"], 1, "not empty"),
            (["export", "{folder}/qorch.sqlite"], 1, "qorch.sqlite"),
        ],
    )
    def test_mistakes_are_one_line(
        self, shelf: tuple[Path, list[str]], words: list[str], code: int, expected: str
    ) -> None:
        done = said(shelf[0], *(word.format(folder=shelf[0]) for word in words))
        assert done.exit_code == code, done.output
        assert expected in done.stderr
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize("words", [("prune", "--older-than", "1d"), ("backup", "b"), ("export", "e")])
    def test_no_store_is_made_where_none_was(self, tmp_path: Path, words: tuple[str, ...]) -> None:
        done = said(tmp_path / "nowhere", *words)
        assert (done.exit_code, "there is no store in" in done.stderr) == (1, True)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected_s"), [("90s", 90.0), ("1.5h", 5400.0), ("2m", 120.0), ("30d", 2_592_000.0), ("1w", 604_800.0)]
)
def test_spans(text: str, expected_s: float) -> None:
    assert span_s(text, "--since") == expected_s


def test_a_worker_that_places_removes_what_is_too_old(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", backends=("aer_mps",), heartbeat_s=0.1)
    with Client(settings=settings) as client:
        job = client.submit(BELL, shots=10)
        job.result(timeout=60.0)
    with Client(settings=settings.model_copy(update={"retention_days": 1e-9})) as client:
        pause = threading.Event()
        while client.jobs():
            pause.wait(0.05)
        with pytest.raises(JobNotFound):
            client.job(job.id)


def test_a_model_that_was_away_catches_up_over_what_was_removed(tmp_path: Path, observation: Observation) -> None:
    settings = Settings(data_dir=tmp_path / "data", embedded_engine=False)
    store = SqlStore(settings.resolved_store_url)
    seen = [replace(observation, assignment_id=f"a{n}", at=float(n), group=f"g{n // 60}") for n in range(1, 302)]
    with Client(settings=settings) as sleepy, Client(settings=settings) as awake:
        with store._db.write() as tx:
            append_observations(tx, seen[:50])
        assert sleepy.costs()
        with store._db.write() as tx:
            append_observations(tx, seen[50:300])
        before = awake.costs()
        assert store.prune_telemetry(FOLD_VERSION, before=1e9, most=1000) == 300
        with store._db.write() as tx:
            append_observations(tx, seen[300:])
        assert sleepy.costs() == awake.costs() != before
    store.close()
