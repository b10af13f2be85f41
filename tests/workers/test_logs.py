"""Lines of a process, and the log of each job: what is in them, what is masked, who said it."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from circuits.program import Program
from orchestrator import logs
from orchestrator.errors import StoreUnavailable
from orchestrator.job import Event, Failure, JobSpec
from orchestrator.notifier import Hub
from orchestrator.runtime import Leash, RuntimeFailure
from orchestrator.sql.store import SqlStore
from orchestrator.tokens import new_secret
from workers.job_log import JobLog
from workers.logs import configure
from workers.sandbox import Sandbox
from workers.words import MARK, MAX_LINE_BYTES, MAX_LINES, Words


class Bus(Hub):
    """A notifier within this process."""

    def publish(self, events: Sequence[Event]) -> bool:
        for event in events:
            self.dispatch(event)
        return True

    def close(self) -> None:
        """Nothing to give back."""


@pytest.fixture
def unconfigured() -> Iterator[None]:
    """The root logger as it was, afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("qorch")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:], level, our_level = before
    root.setLevel(level)
    ours.setLevel(our_level)


@pytest.fixture
def lines(unconfigured: None) -> io.StringIO:
    """What is logged as JSON in this test."""
    stream = io.StringIO()
    configure("json", worker="w@here", stream=stream)
    return stream


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_object(lines: io.StringIO) -> None:
    log = logging.getLogger("qorch.test")
    log.info("ran %d shots", 5)
    with logs.working_on(["one"]):
        log.warning("slow")
    with logs.working_on(["one", "two"]):
        logging.getLogger("somebody.else").error("broken")
    logging.getLogger("somebody.else").info("chatter")
    first, second, third = records(lines)
    assert {key: first[key] for key in ("level", "logger", "message", "worker")} == {
        "level": "info",
        "logger": "qorch.test",
        "message": "ran 5 shots",
        "worker": "w@here",
    }
    assert first["timestamp"].endswith("Z")
    assert "job_id" not in first
    assert (second["job_id"], third["job_id"]) == ("one", ["one", "two"])
    assert third["logger"] == "somebody.else"


def test_a_trace_stays_in_its_line_and_shows_no_variable(lines: io.StringIO) -> None:
    secret = "hunter2"
    try:
        raise ValueError("postgresql://me:hidden@host/db says no")
    except ValueError:
        logging.getLogger("qorch.test").exception("failed")
    (line,) = records(lines)
    assert "ValueError: postgresql://me:***@host/db says no" in line["exception"]
    assert secret not in line["exception"].replace('secret = "hunter2"', "")


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_secret_is_shown(form: str, unconfigured: None) -> None:
    stream = io.StringIO()
    configure(form, stream=stream)
    token = new_secret()
    log = logging.getLogger("qorch.test")
    log.warning("cannot reach %s", "postgresql+psycopg://qorch:pass:w@rd@host:5432/db?sslmode=require")
    log.warning("cannot reach %s", "redis://:hidden@host:6379/0")
    log.warning("sent {'Authorization': 'Bearer %s'}", token)
    log.warning("got %s", token)
    log.warning("dsn host=h password=letmein user=me")
    shown = stream.getvalue()
    for secret in ("pass:w@rd", "hidden", token, "letmein"):
        assert secret not in shown
    assert "host:5432/db?sslmode=require" in shown
    assert logs.masked("http://host:8000/jobs") == "http://host:8000/jobs"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis+socket:///run/a@b.sock", "redis+socket:///run/a@b.sock"),
        ("here", "here"),
        ("rediss://me:secret@host:6379/0?ssl_cert_reqs=none", "rediss://host:6379/0"),
        ("https://secret@host/under", "https://host/under"),
        ("http://[::1]:8000#secret", "http://[::1]:8000"),
        ("redis://host?password=secret", "redis://host"),
        ("redis://:pass:w@rd@host", "redis://host"),
        ("me:secret@host", "host"),
        (f"http://host/qorch_{'x' * 43}", "http://host/qorch_***"),
        ("redis://:sec/ret@host/0", "***"),
        ("redis://:sec?ret@host/0", "***"),
        ("http://host/?token=sec@ret", "***"),
        ("redis://:secret@", "***"),
    ],
)
def test_of_an_address_how_and_where_are_shown(given: str, left: str) -> None:
    assert logs.shown(given) == left


def test_a_person_reads_lines(unconfigured: None) -> None:
    stream = io.StringIO()
    configure("human", worker="w@here", stream=stream)
    with logs.working_on(["one"]):
        logging.getLogger("qorch.test").info("ran")
    (line,) = stream.getvalue().splitlines()
    assert "ran" in line
    assert "job_id=one" in line
    assert "\x1b" not in line, "no colours where nobody sees them"


@contextmanager
def job_log(store: SqlStore, bus: Bus, **options: Any) -> Iterator[JobLog]:
    opened = JobLog(store, bus, worker="w@here", **options)
    try:
        yield opened
    finally:
        opened.close()


def said(store: SqlStore, job_id: str) -> list[tuple[str, str]]:
    kept = [event.data for event in store.events(job_id) if event.kind == "log"]
    return [(data["level"], data["message"]) for data in kept]


def test_what_is_said_of_one_job_is_kept_with_it(store: SqlStore, spec: JobSpec) -> None:
    one, two = store.add_jobs([spec, spec])[0]
    bus, heard = Bus(), []
    bus.subscribe(heard.append)
    log, other = logging.getLogger("qorch.test"), logging.getLogger("somebody.else")
    log.setLevel(logging.INFO)
    before = store.now()
    with job_log(store, bus):
        with logs.working_on([one.id]):
            log.info("begun")
            other.info("chatter")
            other.warning("at redis://:hidden@host")
            try:
                raise RuntimeError("nobody foresaw this")
            except RuntimeError:
                log.exception("it fails")
        with logs.working_on([one.id, two.id]):
            log.warning("of both")
        log.warning("of nobody")
    log.setLevel(logging.NOTSET)
    assert said(store, one.id) == [
        ("info", "begun"),
        ("warning", "at redis://:***@host"),
        ("error", "it fails: RuntimeError: nobody foresaw this"),
    ]
    assert said(store, two.id) == []
    events = [event for event in store.events(one.id) if event.kind == "log"]
    assert heard == events
    assert {(event.data["worker"], event.data["logger"]) for event in events} == {
        ("w@here", "qorch.test"),
        ("w@here", "somebody.else"),
    }
    assert all(before - 1.0 <= event.at <= store.now() + 1.0 for event in events)
    assert [event.seq for event in store.events(one.id)] == [1, 2, 3, 4]


def test_a_store_that_is_away_costs_lines_and_nothing_else(
    store: SqlStore, spec: JobSpec, caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = store.add_jobs([spec])[0]
    away, tried = threading.Event(), threading.Event()
    away.set()

    class Shaky:
        def add_events(self, events: Sequence[Event]) -> list[Event]:
            try:
                if away.is_set():
                    raise StoreUnavailable("away")
                return store.add_events(events)
            finally:
                tried.set()

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    log = logging.getLogger("qorch.test")
    with job_log(Shaky(), Bus()), logs.working_on([job.id]):  # type: ignore[arg-type]
        log.warning("lost")
        assert tried.wait(60.0)
        away.clear()
        log.warning("kept")
        with logs.working_on(["nobody"]):
            log.warning("of a job that is not there")
    assert said(store, job.id) == [("warning", "kept")]
    assert "1 lines of jobs' logs were lost" in caplog.text


def test_a_listening_handler_silences_nobody() -> None:
    """Within a program that set up no logging, Python's last resort shows warnings; ours must not take its place."""
    script = (
        "import logging; from workers.job_log import JobLog; "
        "heard = JobLog(None, None, worker='w', logger='qorch'); "
        "logging.getLogger('qorch.test').warning('still shown'); heard.close()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr == "still shown\n"


@pytest.fixture
def words(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[Words, socket.socket]]:
    ours, theirs = socket.socketpair()
    opened = Words(ours)
    yield opened, theirs
    opened.close()
    theirs.close()


def heard_by(words: Words, caplog: pytest.LogCaptureFixture) -> list[tuple[tuple[str, ...], str]]:
    """What is logged until the conversation's end, each with the jobs that it is about."""
    found: list[tuple[tuple[str, ...], str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append((logs.jobs(), record.getMessage()))

    listener = Listener()
    logging.getLogger("qorch.child").addHandler(listener)
    words.end()
    logging.getLogger("qorch.child").removeHandler(listener)
    return found


def test_words_belong_to_the_job_of_the_conversation(words: Any, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = words
    theirs.sendall(b"said while idle\n")
    with logs.working_on(["one"]):
        ours.begin()
        theirs.sendall(b"first\n\nsecond without an end")
        assert heard_by(ours, caplog) == [(("one",), "first"), (("one",), "second without an end")]
        theirs.sendall(b"afterwards\n")
        assert heard_by(ours, caplog) == [((), "afterwards")]
    assert "said while idle" in caplog.text


def test_words_of_a_batch_belong_to_its_pieces(words: Any, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = words
    with logs.working_on(["one", "two"]):
        ours.begin(["one", "two"])
        theirs.sendall(b"before\n%b0\na\nb%b1\nc\n%b7\nd\n" % (MARK, MARK, MARK))
        assert heard_by(ours, caplog) == [
            (("one", "two"), "before"),
            (("one",), "a"),
            (("one",), "b"),
            (("two",), "c"),
            (("two",), "d"),
        ]


def test_a_flood_is_cut_off(words: Any, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = words
    with logs.working_on(["one"]):
        ours.begin()
        theirs.sendall(b"x" * (MAX_LINE_BYTES + 5) + b"\n" + b"again\n" * 2 * MAX_LINES)
        found = [text for _, text in heard_by(ours, caplog)]
    assert [len(text) for text in found[:2]] == [MAX_LINE_BYTES, 5]
    assert len(found) <= MAX_LINES + 2
    assert "left out" in found[-1]


def test_the_last_words_of_a_child_that_died_belong_to_its_job(bell: Program, store: SqlStore, spec: JobSpec) -> None:
    from tests.workers.test_sandbox import work

    (job,) = store.add_jobs([spec])[0]
    sandbox = Sandbox()
    sandbox.warm_up(["aer_statevector"])
    (child,) = [psutil.Process(child._process.pid) for child in sandbox._all]
    child.rlimit(psutil.RLIMIT_CORE, (0, 0))
    body = "rx(0.1) q; cx q[0],q[1]; c[0] = measure q[0]; if (c[0]) { x q[1]; }\n" * 50
    endless = Program(
        "openqasm3", text=f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[14] q;\nbit[14] c;\n{body}c = measure q;\n'
    )
    timer = threading.Timer(0.3, os.kill, (child.pid, 6))
    with job_log(store, Bus()), logs.working_on([job.id]):
        timer.start()
        with pytest.raises(RuntimeFailure, match="SIGABRT"):
            sandbox.execute(work(endless, shots=10**6, job_id=job.id), Leash(60.0), lambda _: None)
    timer.join()
    sandbox.close()
    texts = [text for _, text in said(store, job.id)]
    assert any("Fatal Python error: Aborted" in text for text in texts)
    assert any("execute" in text for text in texts), "and where it was"


def test_pieces_of_a_batch_say_whose_words_follow(bell: Program) -> None:
    """One of them is broken in a way that nobody foresaw, so that the child itself logs it."""
    from tests.workers.test_sandbox import work

    sandbox = Sandbox()
    about: list[tuple[str, ...]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            about.append(logs.jobs())

    listener = Listener()
    logging.getLogger("qorch.child").addHandler(listener)
    good = work(bell, job_id="good")
    bad = replace(good, job_id="bad", ideal={"00": 1e308, "11": 1e308})
    with logs.working_on(["good", "bad"]):
        outcomes, _ = sandbox.execute_many([good, bad, good], Leash(60.0))
    logging.getLogger("qorch.child").removeHandler(listener)
    sandbox.close()
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False]
    assert set(about) == {("bad",)}


def test_importing_the_orchestrator_loads_no_formatter() -> None:
    script = "import sys, orchestrator.pipeline, workers.local; print('structlog' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_the_settings_choose_the_form(tmp_path: Path) -> None:
    script = (
        "from workers.cli_frame import log_as_set; from orchestrator.settings import Settings; import logging;"
        "log_as_set(Settings(), worker='w'); logging.getLogger('qorch.test').info('up')"
    )
    environment = os.environ | {"QORCH_LOG_FORMAT": "json", "QORCH_DATA_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    line = json.loads(ran.stderr)
    assert line["message"] == "up"
    assert line["worker"] == f"w@{socket.gethostname()}"
