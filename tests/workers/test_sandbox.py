"""The child processes: hard limits, cancellation, crashes, and what crosses the wire."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import backends
from backends.backend import TranspileOptions
from circuits.program import Limits, Program
from circuits.raytracing import RayTracing
from orchestrator.job import Failure
from orchestrator.runtime import (
    Executed,
    ExecuteWork,
    Judged,
    JudgeWork,
    Leash,
    PrepareWork,
    RuntimeFailure,
    WorkCancelled,
    WorkReturned,
)
from workers.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    opened = Sandbox()
    yield opened
    opened.close()


@pytest.fixture
def endless() -> Program:
    """A program that runs for minutes, shot by shot."""
    body = "rx(0.1) q; cx q[0],q[1]; c[0] = measure q[0]; if (c[0]) { x q[1]; }\n" * 50
    return Program(
        "openqasm3", text=f'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[14] q;\nbit[14] c;\n{body}c = measure q;\n'
    )


def work(program: Program, **fields: Any) -> ExecuteWork:
    values: dict[str, Any] = {
        "program": program,
        "limits": Limits(),
        "backend": "aer_statevector",
        "shots": 100,
        "seed": 1,
        "options": TranspileOptions(),
        "ideal": None,
        "memory": False,
        "return_compiled": False,
    }
    return ExecuteWork(**(values | fields))


def ignore(_: Any) -> None:
    """Nobody listens."""


def pids() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_it_prepares_executes_and_judges(sandbox: Sandbox, bell: Program) -> None:
    devices = tuple(backends.load(name).device() for name in ("aer_statevector", "fake_guadalupe", "aer_stabilizer"))
    prepared = sandbox.prepare(PrepareWork(bell, Limits(), devices, TranspileOptions()), Leash(60.0))
    assert prepared.facts.ideal == pytest.approx({"00": 0.5, "11": 0.5})
    assert prepared.facts.features.num_2q == 1
    assert prepared.fits["aer_statevector"].fidelity == 1.0
    assert 0.8 < prepared.fits["fake_guadalupe"].fidelity < 1.0
    executed = sandbox.execute(work(bell, ideal=prepared.facts.ideal, memory=True), Leash(60.0), ignore)
    assert sum(executed.counts.values()) == 100
    assert executed.memory is not None
    assert len(executed.memory) == 100
    judged = sandbox.judge(JudgeWork(bell, Limits(), executed.counts, prepared.facts.ideal), Leash(60.0))
    assert judged == Judged(executed.judgement)


def test_a_backend_is_warmed_up_once_and_apart(sandbox: Sandbox, bell: Program) -> None:
    first = sandbox.execute(work(bell, backend="cirq_simulator"), Leash(60.0), ignore)
    again = sandbox.execute(work(bell, backend="cirq_simulator"), Leash(60.0), ignore)
    assert again.warm_up_s < first.warm_up_s / 5


def test_an_adaptive_job_tells_its_rounds(sandbox: Sandbox) -> None:
    told: list[Any] = []
    executed = sandbox.execute(work(Program.from_any(RayTracing()), shots=16), Leash(60.0), told.append)
    assert executed.judgement.fidelity == 1.0
    assert [data["round"] for data in told] == list(range(1, len(told) + 1))
    assert executed.num_shots == 16 * executed.num_tasks == 16 * sum(data["num_runs"] for data in told)


def test_a_bad_program_fails_in_its_own_words(sandbox: Sandbox) -> None:
    sandbox.warm_up([])
    before = pids()
    with pytest.raises(RuntimeFailure) as caught:
        sandbox.prepare(PrepareWork(Program("openqasm2", text="garbage"), Limits(), (), TranspileOptions()), Leash(60))
    assert (caught.value.failure.stage, caught.value.failure.kind) == ("prepare", "InvalidProgram")
    assert not caught.value.failure.transient
    assert pids() == before, "the child is none the worse for it"


def test_the_limit_is_hard(sandbox: Sandbox, endless: Program) -> None:
    with pytest.raises(RuntimeFailure, match=r"hard limit of 0\.3 s") as caught:
        sandbox.execute(work(endless, shots=10**6), Leash(0.3), ignore)
    assert caught.value.failure.kind == "timeout"


def test_a_pulled_leash_ends_the_run(sandbox: Sandbox, endless: Program) -> None:
    leash = Leash(60.0)
    timer = threading.Timer(0.3, leash.pull)
    timer.start()
    with pytest.raises(WorkCancelled):
        sandbox.execute(work(endless, shots=10**6), leash, ignore)
    timer.join()


def test_a_leash_pulled_too_early_is_not_forgotten(sandbox: Sandbox, endless: Program) -> None:
    leash = Leash(60.0)
    leash.pull()
    with pytest.raises(WorkCancelled):
        sandbox.execute(work(endless, shots=10**6), leash, ignore)


def test_a_killed_child_is_a_transient_failure_and_the_next_call_works(bell: Program, endless: Program) -> None:
    sandbox = Sandbox()
    sandbox.warm_up(["aer_statevector"])
    (pid,) = {child.pid for child in sandbox_children(sandbox)}
    timer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    timer.start()
    with pytest.raises(RuntimeFailure, match="SIGKILL") as caught:
        sandbox.execute(work(endless, shots=10**6), Leash(60.0), ignore)
    timer.join()
    assert caught.value.failure.transient
    assert sandbox.execute(work(bell), Leash(60.0), ignore).counts
    sandbox.close()


def sandbox_children(sandbox: Sandbox) -> list[psutil.Process]:
    return [psutil.Process(child._process.pid) for child in sandbox._all]


def test_closing_gives_the_work_back_and_leaves_no_process(endless: Program) -> None:
    sandbox = Sandbox()
    sandbox.warm_up(["aer_statevector"])
    children = sandbox_children(sandbox)
    timer = threading.Timer(0.3, sandbox.close)
    timer.start()
    with pytest.raises(WorkReturned):
        sandbox.execute(work(endless, shots=10**6), Leash(60.0), ignore)
    timer.join()
    assert not any(child.is_running() for child in children)
    with pytest.raises(WorkReturned):
        sandbox.warm_up([])


# ── many at once ──────────────────────────────────────────────────────────────────────────────────────────────────────
def counts(outcomes: list[Executed | Failure]) -> list[dict[str, int] | str]:
    """What each gave, or the kind of its failure."""
    return [dict(one.counts) if isinstance(one, Executed) else one.kind for one in outcomes]


def test_many_give_what_each_gives_alone_in_their_order(sandbox: Sandbox, bell: Program) -> None:
    works = [work(bell, seed=seed, shots=50 + seed) for seed in range(6)]
    alone = [sandbox.execute(one, Leash(60.0), ignore) for one in works]
    together, warm_up_s = sandbox.execute_many(works, Leash(60.0))
    assert counts(together) == [one.counts for one in alone]
    assert warm_up_s >= 0
    assert all(isinstance(one, Executed) and one.warm_up_s == 0 and one.run_s > 0 for one in together)
    assert sandbox.execute_many([], Leash(60.0)) == ([], 0.0)


def test_one_that_is_broken_is_its_own_affair(sandbox: Sandbox, bell: Program) -> None:
    garbage = Program("openqasm2", text="garbage")
    tiny = Limits(max_qubits=1)
    outcomes, _ = sandbox.execute_many([work(bell), work(garbage), work(bell, limits=tiny), work(bell)], Leash(60.0))
    first, *broken, last = outcomes
    assert isinstance(first, Executed)
    assert isinstance(last, Executed)
    assert first.counts == last.counts
    for failure in broken:
        assert isinstance(failure, Failure)
        assert (failure.stage, failure.transient, failure.elsewhere) == ("execute", False, False)


def test_of_a_batch_that_takes_too_long_what_is_done_counts(sandbox: Sandbox, bell: Program, endless: Program) -> None:
    sandbox.execute(work(bell), Leash(60.0), ignore)  # it is quick from now on
    outcomes, _ = sandbox.execute_many([work(bell), work(endless, shots=10**6), work(bell)], Leash(2.0))
    assert [set(one.counts) <= {"00", "11"} for one in outcomes if isinstance(one, Executed)] == [True]
    assert len(outcomes) == 1, "what comes after the one that hangs is left to whoever asked"
    assert sandbox.execute(work(bell), Leash(60.0), ignore).counts


def test_a_pulled_leash_ends_a_batch_and_what_is_done_counts(sandbox: Sandbox, bell: Program, endless: Program) -> None:
    sandbox.execute(work(bell), Leash(60.0), ignore)
    leash = Leash(60.0)
    timer = threading.Timer(2.0, leash.pull)
    timer.start()
    outcomes, _ = sandbox.execute_many([work(bell), work(endless, shots=10**6)], leash)
    timer.join()
    assert len(outcomes) == 1
    assert sandbox.execute_many([work(bell)], leash)[0] == [], "it was pulled before"


def test_a_batch_survives_the_death_of_its_child(bell: Program, endless: Program) -> None:
    sandbox = Sandbox()
    sandbox.execute(work(bell), Leash(60.0), ignore)
    (pid,) = {child.pid for child in sandbox_children(sandbox)}
    timer = threading.Timer(2.0, os.kill, (pid, signal.SIGKILL))
    timer.start()
    outcomes, _ = sandbox.execute_many([work(bell), work(bell), work(endless, shots=10**6)], Leash(60.0))
    timer.join()
    assert [isinstance(one, Executed) for one in outcomes] == [True, True]
    assert sandbox.execute_many([work(bell)], Leash(60.0))[0], "another child goes on"
    sandbox.close()
    assert sandbox.execute_many([work(bell)], Leash(60.0))[0] == [], "who asks one by one is told that it is closed"
    with pytest.raises(WorkReturned):
        sandbox.execute(work(bell), Leash(60.0), ignore)


def test_a_child_sees_no_file_of_the_machine(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret.inc"
    secret.write_text("gate secret a { x a; }")
    text = f'OPENQASM 2.0;\ninclude "{secret}";\nqreg q[1];\nsecret q[0];\n'
    with pytest.raises(RuntimeFailure, match="include"):
        sandbox.prepare(PrepareWork(Program("openqasm2", text=text), Limits(), (), TranspileOptions()), Leash(60.0))


def test_a_listener_that_fails_leaves_no_answer_for_the_next_caller(bell: Program) -> None:
    """The child was at work when its caller gave up; what it says then must not reach somebody else's job."""
    sandbox = Sandbox()

    def refuse(_: Any) -> None:
        raise ConnectionError("the store is away")

    with pytest.raises((RuntimeFailure, ConnectionError)):
        sandbox.execute(work(Program.from_any(RayTracing()), shots=16), Leash(60.0), refuse)
    executed = sandbox.execute(work(bell), Leash(60.0), ignore)
    assert set(executed.counts) <= {"00", "11"}
    assert executed.outcome is None
    sandbox.close()


@pytest.mark.parametrize("name", ["QORCH_STORE_URL", "QORCH_REDIS_URL", "QORCH_URL", "QORCH_TOKEN", "qorch_store_url"])
def test_a_child_knows_no_address_and_no_token(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "postgresql://user:secret@host/db")
    sandbox = Sandbox()
    sandbox.warm_up([])
    (child,) = sandbox_children(sandbox)
    assert "secret" not in "".join(child.environ().values())
    sandbox.close()


def test_a_child_cannot_take_the_whole_machine() -> None:
    script = (
        "import os, workers.child as child; child._limit_memory();"
        "most = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'); bytearray(int(0.9 * most))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "MemoryError" in ran.stderr
