"""What waits is thought about again: who is asked, what they are told, and what goes elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

import backends
from circuits.features import features
from orchestrator import second_thoughts as thoughts
from orchestrator.choosing import Chooser
from orchestrator.cost_model.model import CostModel
from orchestrator.deciding import Scene
from orchestrator.fleet import Fleet
from orchestrator.job import Assignment, AssignmentState, Estimate, Failure, Job, JobSpec, JobState, Objective
from orchestrator.placement import Backlog, Choice, Instead, Request, Scales
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.preparer import Known
from orchestrator.second_thoughts import queue_of, second_thoughts, standing
from orchestrator.store import Announcement, Outstanding, Waiting
from tests.far.provider import device

NAMES = ("aer_mps", "aer_statevector", "cirq_simulator")
AWAY = Failure("execute", "worker_lost", "gone", transient=True)

Make = Callable[..., Assignment]


class Wishes:
    """Would have each job at one place, and keeps what it was told."""

    reconsiders = True

    def __init__(self, wish: Choice) -> None:
        self.wish = wish
        self.told: list[tuple[str, Backlog]] = []

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        (request,) = requests
        self.told.append((request.job_id, backlog.copy()))
        return [self.wish]


@pytest.fixture
def known(spec: JobSpec) -> Known:
    """What was prepared of the program."""
    facts = ProgramFacts("program", features(spec.program.load().build()), adaptive=False, ideal={"00": 1.0})
    fits = {name: Fit(num_qubits=2, num_gates=2, fidelity=1.0, duration_s=1e-6) for name in (*NAMES, "far")}
    return facts, fits


@pytest.fixture
def queue(spec: JobSpec, new_assignment: Make) -> Callable[..., list[Waiting]]:
    """Jobs that wait on `aer_mps`, each for as many seconds as its service takes, in order of service."""

    def make(*services_s: float, changes: dict[str, Any] | None = None, **fields: Any) -> list[Waiting]:
        found = []
        for number, service_s in enumerate(services_s):
            of = {"id": f"j{number}-0", "job_id": f"j{number}", "backend": "aer_mps", "rank": float(number)}
            part = new_assignment(**of | {"estimate": Estimate(service_s, 1.0, 0.0, 0.0)} | fields)
            job = Job(f"j{number}", number + 1, replace(spec, **changes or {}), JobState.PLACED, 0.0, num_placements=1)
            found.append(Waiting(job, (part,)))
        return standing(found)

    return make


def scene(stand: Sequence[Waiting], *running: Outstanding) -> Scene:
    """Each backend on a worker of its own; what stands in the queue is all that waits."""
    roll = [Announcement(name, name, 1, backends.load(name).device()) for name in NAMES]
    fleet = Fleet.of([*roll, Announcement("far", "far", 1, device("far"))])
    waits_s = sum(one.parts[-1].estimate.service_s for one in stand)
    outstanding = [Outstanding("aer_mps", waits_s, None, len(stand)), *running]
    return Scene(fleet, fleet.backlog(outstanding, 10.0, queue_of(stand, Scales())), CostModel(), 10.0)


def thought(stand: Sequence[Waiting], known: Known, policy: Any, where: Scene | None = None) -> list[tuple[str, ...]]:
    """Job and new places of what moves."""
    chooser = Chooser(lambda _: policy, Scales(), lambda _: None)
    found = second_thoughts([(one, known) for one in stand], (), where or scene(stand), chooser)
    assert all(one.again and one.instead_of == (f"{one.chosen.request.job_id}-0",) for one in found)
    return [(one.chosen.request.job_id, *(part.backend for part in one.parts)) for one in found]


def test_what_stands_is_what_waits_for_a_slot_as_a_whole(spec: JobSpec, new_assignment: Make) -> None:
    def job(name: str, rank: float, *states: AssignmentState, to_place: int = 0) -> Waiting:
        parts = [new_assignment(id=f"{name}-{n}", job_id=name, rank=rank, state=s) for n, s in enumerate(states)]
        return Waiting(Job(name, 1, spec, JobState.PLACED, 0.0, to_place=to_place), tuple(parts))

    gone, waits, runs = AssignmentState.REPLACED, AssignmentState.WAITING, AssignmentState.RUNNING
    jobs = [job("last", 3.0, waits), job("first", 1.0, gone, waits), job("runs", 0.0, runs)]
    jobs += [job("shared", 0.0, waits, waits), job("unplaced", 0.0, waits, to_place=50)]
    found = standing(jobs)
    assert [(one.job.id, one.job.to_place, one.moving) for one in found] == [
        ("first", 100, ("first-1",)),
        ("last", 100, ("last-0",)),
    ]


def test_each_is_asked_about_as_if_it_were_not_there(queue: Callable[..., list[Waiting]], known: Known) -> None:
    stand = queue(1.0, 2.0, 4.0, changes={"objective": Objective(latency=0.5)})
    policy = Wishes({"aer_mps": 1.0})
    assert thought(stand, known, policy) == [], "it has them where they are"
    assert [job for job, _ in policy.told] == ["j0", "j1", "j2"]
    assert [backlog.load_s["aer_mps"] for _, backlog in policy.told] == [6.0, 5.0, 3.0]
    told = [[(one.service_s, one.per_s) for one in backlog.queue] for _, backlog in policy.told]
    assert told == [[(2.0, 0.5), (4.0, 0.5)], [(1.0, 0.5), (4.0, 0.5)], [(1.0, 0.5), (2.0, 0.5)]]


def test_who_moved_stands_elsewhere_when_the_next_is_asked_about(
    queue: Callable[..., list[Waiting]], known: Known
) -> None:
    policy, stand = Wishes({"cirq_simulator": 1.0}), queue(1.0, 2.0)
    where = scene(stand, Outstanding("aer_mps", 50.0, 9.0))
    assert thought(stand, known, policy, where) == [("j0", "cirq_simulator"), ("j1", "cirq_simulator")]
    (_, before), (_, after) = policy.told
    assert {one.backend for one in before.queue} == {"aer_mps"}
    assert [one.backend for one in after.queue] == ["cirq_simulator"]
    assert (after.load_s["aer_mps"], after.load_s["cirq_simulator"] > 0.0) == (49.0, True), "what runs is left"
    assert [one.service_s for one in where.backlog.queue] == [1.0, 2.0], "the scene is as it was"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"pin": {"aer_mps": 1.0}}, {}),
        ({}, {"backend": "far"}),
        ({}, {"failure": AWAY}),
    ],
)
def test_what_is_pinned_bought_or_was_tried_stays(
    queue: Callable[..., list[Waiting]], known: Known, changes: dict[str, Any], fields: dict[str, Any]
) -> None:
    policy = Wishes({"cirq_simulator": 1.0})
    assert thought(queue(1.0, 1.0, changes=changes, **fields), known, policy) == []
    assert policy.told == []


def test_who_waits_for_nothing_or_was_moved_often_or_is_wanted_no_more_stays(
    queue: Callable[..., list[Waiting]], known: Known
) -> None:
    policy = Wishes({"cirq_simulator": 1.0})
    assert thought(queue(1.0), known, policy) == [], "it is the next"
    two = queue(1.0, 1.0)
    tired = replace(two[1], parts=(*two[1].parts * (thoughts.MOST_PARTS - 1), *two[1].parts))
    cancelled = replace(two[1], job=replace(two[1].job, cancel_requested=True))
    assert thought([two[0], tired], known, policy) == [("j0", "cirq_simulator")]
    assert thought([two[0], cancelled], known, policy) == [("j0", "cirq_simulator")]


@pytest.mark.parametrize("answer", [{"far": 1.0}, Instead({"cirq_simulator": 1.0}, policy="eft", reason="range")])
def test_nothing_is_bought_by_second_thoughts_nor_moved_by_who_stands_in(
    queue: Callable[..., list[Waiting]], known: Known, answer: Choice
) -> None:
    assert thought(queue(1.0, 1.0), known, Wishes(answer)) == []


def test_a_policy_that_fails_or_does_not_want_to_is_not_asked_again(
    queue: Callable[..., list[Waiting]], known: Known
) -> None:
    class Content(Wishes):
        reconsiders = False

    class Broken(Wishes):
        def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
            raise ZeroDivisionError

    assert thought(queue(1.0, 1.0), known, Content({"cirq_simulator": 1.0})) == []
    assert thought(queue(1.0, 1.0), known, Broken({})) == []


def test_so_many_are_asked_about_at_a_time(queue: Callable[..., list[Waiting]], known: Known) -> None:
    policy = Wishes({"aer_mps": 1.0})
    thought(queue(*[1.0] * (thoughts.MOST_ASKED + 5)), known, policy)
    assert [job for job, _ in policy.told] == [f"j{number}" for number in range(thoughts.MOST_ASKED)]
