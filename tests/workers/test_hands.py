"""What the child does at the moment that it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backends import canary
from backends.backend import TranspileOptions
from backends.errors import ExecutionFailed, UnsupportedCircuit
from circuits.program import Limits, Program
from orchestrator.runtime import ExecuteWork
from workers import hands

BELL = Program(
    "openqasm2",
    text='OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;',
)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


WORK = ExecuteWork(
    BELL,
    Limits(),
    "ibm_perth_replay",
    shots=4000,
    seed=3,
    options=TranspileOptions(),
    ideal={"00": 0.5, "11": 0.5},
    memory=False,
    return_compiled=True,
    at=moment("2023-01-05T10:00"),
)


def test_a_run_is_that_of_its_moment_and_can_be_repeated() -> None:
    first, later, again = (
        hands.execute(replace(WORK, at=at), lambda _: None) for at in (WORK.at, moment("2023-04-08T10:00"), WORK.at)
    )
    assert first.at == WORK.at
    assert (first.counts, first.queue_s, first.device_s) == (again.counts, again.queue_s, again.device_s)
    assert first.counts != later.counts
    assert first.queue_s != later.queue_s
    assert first.compiled != later.compiled, "in April other qubits were the good ones"


def test_counts_are_not_lost_because_no_canary_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ExecutionFailed("the stabilizers are out")

    unjudged = replace(WORK, ideal=None, return_compiled=False)
    before = hands.execute(unjudged, lambda _: None)
    found = hands.execute(replace(unjudged, canary=0.1), lambda _: None)
    assert (before.judgement.kind, found.judgement.kind) == ("estimated", "canary")
    assert found.counts == before.counts
    assert found.num_shots == before.num_shots + 512
    monkeypatch.setattr(canary, "canaries", broken)
    assert hands.execute(replace(unjudged, canary=0.1), lambda _: None).judgement == before.judgement


def test_it_is_fitted_to_the_calibration_of_its_moment() -> None:
    with pytest.raises(UnsupportedCircuit, match="cannot be fitted"):
        hands.execute(replace(WORK, at=moment("2023-06-25T10:00")), lambda _: None)
