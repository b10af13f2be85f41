"""Records go through JSON unchanged, and their written form does not drift."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

from backends.backend import TranspileOptions
from backends.pairs import Brought, PairNeed
from backends.remote import RemoteState
from circuits.facts import Bonds, Features, Judgement
from circuits.program import Program
from orchestrator.decision import Decision, Situation
from orchestrator.entanglement import Delivered, Lease, Pair, PairDemand, PairQuote, Promise
from orchestrator.job import (
    Assignment,
    AssignmentState,
    Estimate,
    Event,
    Failure,
    Interval,
    Intervals,
    Job,
    JobSpec,
    JobState,
    Limits,
    Measurement,
    Objective,
    Placement,
    Result,
    Share,
    Times,
)
from orchestrator.placement import Candidate, Lane, Queued, Request, Scales
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.purchase import Balance, Budget, Purchase, PurchaseState
from orchestrator.records import from_json, to_json
from orchestrator.store import Run, Switch
from orchestrator.telemetry import Observation

GOLDEN = Path(__file__).parent / "golden"

INTERVALS = Intervals(Interval(9.0, 12.0), Interval(0.85, 0.95), Interval(2.0, 3.0), Interval(0.01, 0.01), 3)
DEMAND = PairDemand("j", "qpu0", "qpu1", 300, 0.9, 0.5, 60.0, 1e-5, 2.0)
PAIRS = PairQuote("q", 2.5, 118.0, 126.0, 0.95, 0.93, 0.75, 0.5, 0.25, 90.0, "static", 12, 3, 0.91)
ESTIMATE = Estimate(0.25, 0.9, 2.5, 0.01, 3.0, 10.0, 0.3, INTERVALS, 0.05, (Promise(DEMAND, PAIRS),))
FAILURE = Failure("execute", "TransientFailure", "the line was busy; try again", transient=True)
SPEC = JobSpec(
    program=Program("openqasm2", text="OPENQASM 2.0;"),
    shots=100,
    policy="greedy",
    objective=Objective(latency=0.3, energy=0.1, fidelity=0.7, price=0.0, caution=0.5),
    limits=Limits(min_fidelity=0.5, deadline_s=60.0, max_cost_usd=1.0, timeout_s=10.0, max_qpu_s=5.0),
    pin={"aer_mps": 0.5, "aer_statevector": 0.5},
    allow=("aer_mps", "aer_statevector"),
    exclude=("fake_hanoi",),
    priority=7,
    seed=11,
    transpile=TranspileOptions(optimization_level=2, seed=3, initial_layout=(1, 0)),
    memory=True,
    return_compiled=True,
    tags=("night",),
    idempotency_key="once",
    after=("i", "h"),
    canary=0.1,
    max_parts=3,
)
MEASUREMENT = Measurement(
    wait_s=0.1,
    prepare_s=0.02,
    run_s=0.2,
    service_s=0.25,
    latency_s=0.4,
    fidelity=0.93,
    fidelity_kind="hellinger",
    fidelity_floor=0.99,
    score=None,
    energy_j=2.5,
    cost_usd=0.01,
    method="trajectories",
    device_s=0.3,
    queue_s=12.0,
    at=1001.0,
    times=Times.EMULATED,
    pair_fidelity=0.95,
    links=(Brought(0, 1, 100, 11.5, 0.95),),
)
CANDIDATES = (
    Candidate("aer_mps", ESTIMATE, ESTIMATE, 0.5, "abc", (), ESTIMATE),
    Candidate("fake_hanoi", ESTIMATE, ESTIMATE, 0.0, "def", ("the job excludes it",)),
)
REQUEST = Request("j", 1, SPEC, 990.0, 0.5, CANDIDATES, 2, ((0, 3), (9, 12)))
SITUATION = Situation(
    "s",
    "eft",
    2,
    (Lane("w@host", 2, ("aer_mps",)),),
    {"w@host": 0.5},
    {"aer_mps": 1.5},
    Scales(),
    3,
    "it took too long",
    (Queued("aer_mps", 930.0, 0.25, 0.3),),
)
RECORDS = [
    SPEC,
    Job("j", 1, SPEC, JobState.FAILED, 1000.0, True, 1001.0, FAILURE, "lab", 0, 2, 1),
    Assignment(
        id="j-0",
        job_id="j",
        backend="aer_mps",
        shots=50,
        rank=990.0,
        prior=ESTIMATE,
        estimate=ESTIMATE,
        wait_s=0.5,
        decision=4,
        target_version="abc",
        placed_at=1000.5,
        state=AssignmentState.RUNNING,
        attempt=2,
        num_failures=1,
        owner="w@host",
        lease_expires_at=1030.0,
        started_at=1001.0,
        failure=FAILURE,
        story=("Claimed", "Broken", "Claimed"),
        num_polls=1,
        due_at=1005.0,
        purchase_id="j-0-0",
        items=(3, 9),
    ),
    Result(
        job_id="j",
        placement=Placement("pin", 4, (Share("aer_mps", 50, AssignmentState.DONE, 1, ESTIMATE, 0.5, (3, 9)),)),
        estimate=ESTIMATE,
        measurement=MEASUREMENT,
        counts={"00": 49, "11": 51},
        outcome={"value": [[1, None]], "score": 1.0, "num_rounds": 2},
        memory=("00", "11"),
        compiled={"aer_mps": ("OPENQASM 3.0;",)},
    ),
    Purchase(
        "j-0-0", "j-0", "j", "lab", "far", 2.0, 0.5, 1000.0, 1001.0, PurchaseState.SENT, ("r1",), RemoteState.QUEUED, 3
    ),
    Balance(Budget("lab", 10.0, 60.0, 999.0), 2.0, 0.5, 1.0, 0.25),
    Event("j", "running", 1001.0, {"backend": "aer_mps"}, 3),
    Observation("j-0", "j", "aer_mps", "abc", "program", "h", 2, 3, 50, ESTIMATE, ESTIMATE, 0.5, MEASUREMENT, 1002.0),
    SITUATION,
    Decision(
        "j", "greedy", 1000.5, 17, "b", {"w@host": 0.5}, REQUEST, {"aer_mps": 1.0}, 0.002, 4, "program", SITUATION, 12.5
    ),
    Switch("backend", "fake_hanoi", "drained", 1000.0),
    Run({"00": 49}, MEASUREMENT, None, ("00",), ("OPENQASM 3.0;",)),
    ProgramFacts(
        "program",
        Features(2, 2, 3, 1, 2, 1, 1, 0, 2, 2, 0, False, True),
        False,
        {"00": 0.5, "11": 0.5},
        12,
        (9.0, 4.0, 2.0, 1.0, 1.0, 1.0),
    ),
    Fit(2, 5, 0.97, 1e-6, None, Bonds(1, 24.0, 12.0), 1.5, 0.25, 0.125, (PairNeed(0, 1, 2, 0.95),)),
    Judgement(0.93, "hellinger", None, None, 0.99),
    DEMAND,
    PAIRS,
    Lease("static-1", "q", DEMAND, 30.0, 90.0),
    Pair("static-1", 7, 33.5, 0.955),
    Delivered("static-1", 300, 121.5, 0.951, True),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_its_json(record: Any) -> None:
    assert is_dataclass(record)
    assert from_json(type(record), to_json(record)) == record


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_the_written_form_does_not_drift(record: Any) -> None:
    """Stores and logs hold these. Changing one needs a migration, and its golden file written anew on purpose."""
    path = GOLDEN / f"{type(record).__name__}.json"
    assert json.loads(path.read_text()) == json.loads(to_json(record))
    assert from_json(type(record), path.read_text()) == record


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("0*/*.json")), ids=lambda path: f"{path.parent.name} {path.stem}")
def test_what_earlier_schemas_held_is_still_read(path: Path) -> None:
    """Rows of an older schema stay as they are; what they do not say has a default."""
    record = next(type(record) for record in RECORDS if type(record).__name__ == path.stem)
    before = json.loads(path.read_text())
    now = json.loads(to_json(from_json(record, json.dumps(before))))
    assert _without(now, before) == before


def _without(now: Any, before: Any) -> Any:
    """What of a record stood in its older form, too."""
    if isinstance(before, dict):
        return {key: _without(now[key], value) for key, value in before.items()}
    return now


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "truncated"),
        ('{"shots": 1}', "program"),
        ('{"program": {"language": 3}}', "language"),
        ("\x00", "malformed"),
    ],
)
def test_a_broken_record_names_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        from_json(JobSpec, text)


def test_what_no_job_can_be(new_assignment: Callable[..., Assignment]) -> None:
    from orchestrator.errors import InvalidJob

    for make, word in [
        (lambda: Objective(latency=float("nan")), "finite"),
        (lambda: Objective(0, 0, 0, 0), "not all zero"),
        (lambda: Objective(latency=-1), "finite number from 0"),
        (lambda: Objective(caution=1.1), "caution"),
        (lambda: JobSpec(program=SPEC.program, max_parts=0), "max_parts"),
        (lambda: Limits(min_fidelity=1.5), "min_fidelity"),
        (lambda: Limits(deadline_s=float("inf")), "deadline_s"),
        (lambda: Limits(timeout_s=0), "timeout_s"),
        (lambda: JobSpec(program=SPEC.program, priority=10), "priority"),
        (lambda: JobSpec(program=SPEC.program, seed=-1), "seed"),
        (lambda: JobSpec(program=SPEC.program, canary=2.0), "canary"),
        (lambda: JobSpec(program=SPEC.program, pin={"a": 0.5}), "add up to 1"),
        (lambda: JobSpec(program=SPEC.program, pin={"a": float("nan"), "b": 0.5}), "finite"),
        (lambda: JobSpec(program=SPEC.program, shots=1, pin={"a": 0.5, "b": 0.5}), "at least one for each"),
        (lambda: JobSpec(program=SPEC.program, transpile=TranspileOptions(optimization_level=4)), "optimization_level"),
    ]:
        with pytest.raises(InvalidJob, match=word):
            make()


def test_a_measurement_from_before_energy_had_a_model_is_read() -> None:
    plain = json.loads(to_json(MEASUREMENT))
    del plain["energy_model"]
    assert from_json(Measurement, json.dumps(plain)).energy_model == "wall_time"
