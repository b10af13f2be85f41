"""Waiting jobs become requests: what is known against a backend, and what may be placed a second time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import backends
from backends.backend import HERE, Availability
from backends.pricing import Price
from circuits.features import features
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene, movable_parts, obstacles, parts_of, request_of, with_candidates
from orchestrator.fleet import Fleet
from orchestrator.job import Assignment, AssignmentState, Estimate, Failure, Job, JobSpec, JobState, Limits
from orchestrator.lifecycle import Rules
from orchestrator.placement import Request, missed_deadline
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.purchase import Balance, Budget
from orchestrator.runtime import RuntimeFailure
from orchestrator.store import Announcement, Outstanding, Switch, Waiting
from tests.far.provider import device

NO = Failure("execute", "ExecutionFailed", "no")
NAMES = ("aer_mps", "aer_statevector", "cirq_simulator")

Make = Callable[..., Assignment]
Known = tuple[ProgramFacts, dict[str, Fit]]


@pytest.fixture
def known(spec: JobSpec) -> Known:
    """What was prepared of the program."""
    circuit = spec.program.load().build()
    facts = ProgramFacts("program", features(circuit), adaptive=False, ideal={"00": 0.5, "11": 0.5})
    return facts, {name: Fit(num_qubits=2, num_gates=2, fidelity=1.0, duration_s=1e-6) for name in NAMES}


def scene(*switches: Switch, outstanding: tuple[Outstanding, ...] = ()) -> Scene:
    roll = [Announcement(name, "w@host", 1, backends.load(name).device()) for name in NAMES]
    fleet = Fleet.of(roll, switches)
    return Scene(fleet, fleet.backlog(outstanding, 10.0), CostModel(), 10.0)


@pytest.mark.parametrize(
    ("changes", "facts", "spec_changes", "why"),
    [
        (
            {"availability": Availability("paused", "service", opens_at=4e9)},
            {},
            {},
            r"until 2096-10-02 07:06 UTC: service",
        ),
        ({"price": Price()}, {}, {}, "what is not known is not free"),
        ({}, {"adaptive": True}, {}, "would queue there for each round"),
        ({"max_shots": 99}, {}, {}, "at most 99 shots, the job has 100"),
        ({}, {}, {"limits": Limits(max_qpu_s=0.5)}, "max_qpu_s is 0.5"),
        ({}, {}, {}, "budget of 1 that all projects together"),
    ],
)
def test_why_a_remote_device_is_none_for_a_job(
    spec: JobSpec,
    known: Known,
    estimate: Estimate,
    changes: dict[str, Any],
    facts: dict[str, Any],
    spec_changes: dict[str, Any],
    why: str,
) -> None:
    far, about, asked_for = replace(device("far"), **changes), replace(known[0], **facts), replace(spec, **spec_changes)
    budget = () if changes or facts or spec_changes else (Balance(Budget("*", max_usd=1.0), spent_usd=0.5),)
    dear = replace(estimate, cost_usd=0.75)
    (said,) = obstacles(far, about, asked_for, dear, budget, now=1e9)
    assert re.search(why, said)
    assert list(obstacles(replace(far, kind="simulator", availability=HERE), about, asked_for, dear, budget, 1e9)) == []
    assert list(obstacles(device("far"), known[0], spec, dear, (), 1e9)) == []


def test_canaries_run_on_emulated_devices_and_are_expected_beforehand(spec: JobSpec, known: Known) -> None:
    guadalupe = backends.load("fake_guadalupe").device()
    fleet = Fleet.of([Announcement(one.name, "w@host", 1, one) for one in (guadalupe, device("far"))])
    where = Scene(fleet, fleet.backlog((), 10.0), CostModel(), 10.0)
    fit = Fit(num_qubits=2, num_gates=2, fidelity=0.9, duration_s=1e-6)
    facts = replace(known[0], ideal=None)

    def candidates(share: float, about: ProgramFacts) -> dict[str, Any]:
        request = with_candidates(
            Waiting(job(replace(spec, shots=10_000, canary=share), 10_000)),
            (about, dict.fromkeys(fleet.devices, fit)),
            where,
        )
        return {one.backend: one for one in request.candidates}

    none, some = candidates(0.0, facts), candidates(0.5, facts)
    uncared, judged = candidates(0.0, known[0]), candidates(0.5, known[0])
    assert some["fake_guadalupe"].prior.cost_usd == pytest.approx(1.5 * none["fake_guadalupe"].prior.cost_usd)
    assert judged["fake_guadalupe"].prior == uncared["fake_guadalupe"].prior, "whose outcome is known needs none"
    assert any("canaries" in why for why in some["far"].rejections)
    assert not any("canaries" in why for why in (*none["far"].rejections, *judged["far"].rejections))


def job(spec: JobSpec, to_place: int = 100, num_placements: int = 0) -> Job:
    state = JobState.RUNNING if num_placements else JobState.SUBMITTED
    return Job("job", 1, spec, state, 0.0, to_place=to_place, num_placements=num_placements)


def asked(waiting: Waiting, known: Known, where: Scene | None = None) -> Request:
    request = request_of(waiting, known, where or scene())
    assert isinstance(request, Request)
    return request


def test_a_failed_backend_is_no_candidate_again_and_one_that_recovered_is(
    spec: JobSpec, known: Known, new_assignment: Make
) -> None:
    parts = (
        new_assignment(id="job-0", backend="aer_mps", shots=40, state=AssignmentState.REPLACED, failure=NO),
        new_assignment(id="job-1", backend="aer_statevector", shots=60, state=AssignmentState.DONE, failure=NO),
    )
    request = asked(Waiting(job(spec, 40, 1), parts), known)
    assert (request.spec.shots, request.num_parts) == (40, 2)
    assert [candidate.backend for candidate in request.feasible] == ["aer_statevector", "cirq_simulator"]
    (failed,) = [one for one in request.candidates if one.rejections]
    assert failed.rejections == ("the job has failed there: no",)


def test_a_backend_that_was_away_may_be_tried_again(spec: JobSpec, known: Known, new_assignment: Make) -> None:
    lost = Failure("execute", "backend_lost", "gone", transient=True)
    parts = (new_assignment(backend="aer_mps", state=AssignmentState.REPLACED, failure=lost),)
    assert len(asked(Waiting(job(spec, 100, 1), parts), known).feasible) == len(NAMES)


@pytest.mark.parametrize("mode", ["drained", "disabled"])
def test_what_an_operator_closed_takes_nothing_new(spec: JobSpec, known: Known, mode: str) -> None:
    request = asked(Waiting(job(spec)), known, scene(Switch("backend", "aer_mps", mode)))
    rejections = {candidate.backend: candidate.rejections for candidate in request.candidates}
    assert rejections["aer_mps"] == (f"an operator has {mode} it",)
    assert [candidate.backend for candidate in request.feasible] == ["aer_statevector", "cirq_simulator"]


def test_a_drained_worker_offers_nothing(spec: JobSpec, known: Known) -> None:
    failure = request_of(Waiting(job(spec)), known, scene(Switch("worker", "w@host", "drained")))
    assert isinstance(failure, Failure)
    assert failure.kind == "NoFeasibleBackend"


def test_nowhere_left_tells_first_why_it_had_to_move(spec: JobSpec, known: Known, new_assignment: Make) -> None:
    parts = [new_assignment(id="job-0", backend="aer_mps", state=AssignmentState.REPLACED, failure=NO)]
    failure = request_of(Waiting(job(replace(spec, allow=("aer_mps",)), 100, 1), tuple(parts)), known, scene())
    assert isinstance(failure, Failure)
    assert (failure.stage, failure.kind) == ("execute", "ExecutionFailed")
    assert failure.message.startswith("no; and no backend can take this job: ")


def test_what_cannot_be_prepared_fails_in_its_own_words(spec: JobSpec) -> None:
    failure = Failure("prepare", "InvalidProgram", "line 1: what is this?")
    assert request_of(Waiting(job(spec)), RuntimeFailure(failure), scene()) is failure


def test_a_choice_becomes_parts_that_follow_those_before(spec: JobSpec, known: Known, new_assignment: Make) -> None:
    parts = (new_assignment(backend="aer_mps", shots=40, state=AssignmentState.REPLACED, failure=NO),)
    where = scene()
    request = asked(Waiting(job(replace(spec, max_parts=2), 41, 1), parts), known, where)
    made = parts_of(request, {"aer_statevector": 0.5, "cirq_simulator": 0.5}, known, where)
    assert isinstance(made, list)
    assert [(part.id, part.backend, part.shots) for part in made] == [
        ("job-1", "aer_statevector", 21),
        ("job-2", "cirq_simulator", 20),
    ]
    assert where.backlog.wait_s("aer_mps") == pytest.approx(sum(part.estimate.service_s for part in made))
    refused = parts_of(request, {"aer_mps": 1.0}, known, where)
    assert isinstance(refused, Failure)
    assert "chose ['aer_mps']" in refused.message


def test_only_parts_that_wait_are_moved_and_only_of_jobs_that_may_move(spec: JobSpec, new_assignment: Make) -> None:
    states = [AssignmentState.RUNNING, AssignmentState.WAITING, AssignmentState.DONE, AssignmentState.WAITING]
    parts = tuple(
        new_assignment(id=f"job-{number}", shots=10 + number, state=state) for number, state in enumerate(states)
    )
    may = Waiting(job(spec, 5, 1), parts)
    found = movable_parts([may], Rules())
    assert set(found) == {"job"}
    as_if = found["job"]
    assert (as_if.job.to_place, as_if.moving) == (5 + 11 + 13, ("job-1", "job-3"))
    assert movable_parts([replace(may, job=replace(may.job, num_placements=3))], Rules()) == {}
    assert movable_parts([replace(may, job=job(replace(spec, pin={"aer_mps": 1.0}), 5, 1))], Rules()) == {}


def test_a_missed_deadline_is_missed_everywhere(spec: JobSpec) -> None:
    failure = missed_deadline(replace(spec, limits=Limits(deadline_s=3.0)))
    assert (failure.kind, failure.elsewhere, failure.transient) == ("deadline", False, False)
