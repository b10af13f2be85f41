"""Under emulated times a device counts with its own time and queue, under those of the wall with its simulation's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import backends
from backends.backend import REPETITION_S, Availability, Device
from circuits.facts import Judgement
from circuits.program import Program
from orchestrator import measure
from orchestrator.cost_model.model import CostModel
from orchestrator.cost_model.prior import prior
from orchestrator.job import Assignment, Estimate, Job, JobSpec, JobState, Limits, Measurement, Objective, Times
from orchestrator.placement import Backlog, Candidate, Lane, Request, Scales, rejections
from orchestrator.preparation import Fit
from orchestrator.runtime import Executed, Judged
from orchestrator.store import Run
from orchestrator.telemetry import Observation
from policies.baselines import EarliestFinish, Greedy, ShortestQueue

SPEC = JobSpec(Program("openqasm2", text="OPENQASM 2.0;"), objective=Objective(latency=1, fidelity=0, price=0))
JOB = Job("job", 1, SPEC, JobState.RUNNING, submitted_at=100.0)
QUEUED = Availability(pending_jobs=5, queue_s=60.0, heard_at=1.0)
EMULATED = replace(backends.load("fake_guadalupe").device(), availability=QUEUED)
IDEAL = backends.load("aer_statevector").device()
FIT = Fit(num_qubits=2, num_gates=10, fidelity=0.9, duration_s=5e-6)


def executed(device_s: float | None = 0.3, queue_s: float | None = 45.0) -> Executed:
    judged = Judgement(0.9, "hellinger")
    return Executed({"0": 1}, judged, 0.0, 0.1, 2.0, 1, 1, "density_matrix", device_s=device_s, queue_s=queue_s, at=1e9)


def measured(times: Times, new_assignment: Callable[..., Assignment], done: Executed) -> Measurement:
    part = new_assignment(started_at=103.0, placed_at=101.0)
    return measure.of_assignment(JOB, part, EMULATED, done, service_s=2.5, now=105.5, times=times)


def test_a_measurement_keeps_both_times_and_says_which_latency_it_has(
    new_assignment: Callable[..., Assignment],
) -> None:
    wall, emulated = (measured(times, new_assignment, executed()) for times in Times)
    assert (
        (wall.device_s, wall.queue_s, wall.at) == (emulated.device_s, emulated.queue_s, emulated.at) == (0.3, 45.0, 1e9)
    )
    assert (wall.service_s, wall.latency_s, wall.times) == (2.5, 5.5, Times.WALL)
    assert (emulated.service_s, emulated.times) == (2.5, Times.EMULATED)
    assert emulated.latency_s == pytest.approx(3.0 + 45.0 + 0.3), "three seconds to its start, the queue, the device"


def test_what_is_no_emulation_really_took_its_time(new_assignment: Callable[..., Assignment]) -> None:
    found = measured(Times.EMULATED, new_assignment, executed(None, None))
    assert (found.latency_s, found.times, found.device_s) == (5.5, Times.WALL, None)


def test_of_parallel_shares_the_longest_counts(new_assignment: Callable[..., Assignment]) -> None:
    waits_s = (45.0, 300.0)
    parts = [measured(Times.EMULATED, new_assignment, executed(0.3, wait_s)) for wait_s in waits_s]
    shares = [new_assignment(id=f"job-{number}") for number in (0, 1)]
    runs = [Run({"0": 1}, part) for part in parts]
    whole = measure.of_job(JOB, shares, runs, Judged(Judgement(0.9, "hellinger")), now=110.0).measurement
    assert (whole.queue_s, whole.device_s, whole.times) == (300.0, 0.3, Times.EMULATED)
    assert whole.latency_s == parts[1].latency_s


def test_shares_that_canaries_judged_are_judged_by_their_shots(new_assignment: Callable[..., Assignment]) -> None:
    shares = [new_assignment(id="job-0", shots=100), new_assignment(id="job-1", shots=300)]

    def whole(*judged: Judgement) -> Measurement:
        parts = [measured(Times.WALL, new_assignment, replace(executed(), judgement=one)) for one in judged]
        runs = [Run({"0": 1}, part) for part in parts]
        return measure.of_job(JOB, shares, runs, Judged(Judgement(None, "estimated")), now=110.0).measurement

    both = whole(Judgement(0.8, "canary"), Judgement(0.6, "canary"))
    assert (both.fidelity, both.fidelity_kind) == (pytest.approx(0.65), "canary")
    assert whole(Judgement(0.8, "canary"), Judgement(None, "estimated")).fidelity is None


def test_the_prior_has_the_devices_times_only_where_they_count() -> None:
    wall, emulated = (prior(EMULATED, FIT, 1000, times) for times in Times)
    assert (wall.queue_s, wall.device_s, wall.elapsed_s) == (None, None, wall.service_s)
    assert emulated.device_s == pytest.approx(1000 * (5e-6 + REPETITION_S))
    assert emulated.queue_s == 60.0
    assert emulated.elapsed_s == pytest.approx(60.0 + 1000 * (5e-6 + REPETITION_S))
    assert emulated.service_s == wall.service_s, "what keeps a worker busy is the simulation, whatever counts"
    assert prior(IDEAL, FIT, 1000, Times.EMULATED) == prior(IDEAL, FIT, 1000)


def test_a_real_devices_queue_counts_in_any_case() -> None:
    real = replace(EMULATED, kind="qpu", cost_curve=None)
    assert prior(real, FIT, 1000).queue_s == 60.0
    assert prior(real, FIT, 1000).device_s is None


def request(**elapsed: Estimate) -> Request:
    candidates = tuple(Candidate(name, each, each, 0.0, "v") for name, each in elapsed.items())
    return Request("job", 1, SPEC, 0.0, 0.0, candidates)


def test_policies_compare_what_counts() -> None:
    """A device with a long queue is quick to simulate, and slow all the same."""
    queued = Estimate(service_s=0.1, fidelity=0.9, energy_j=0.0, cost_usd=0.0, queue_s=60.0, device_s=0.3)
    free = Estimate(service_s=2.0, fidelity=0.9, energy_j=0.0, cost_usd=0.0)
    asked = request(device=queued, simulator=free)
    for policy in (EarliestFinish(), Greedy(), ShortestQueue()):
        backlog = Backlog((Lane("w", 1, ("device", "simulator")),))
        assert policy.place([asked], backlog, Scales()) == [{"simulator": 1.0}], policy
    assert asked.cost(asked.candidates[0], Scales(), 1.0) == pytest.approx(61.3)
    late = rejections(
        replace(SPEC, limits=Limits(deadline_s=30.0)), "device", queued, wait_s=1.0, waited_s=0.0, cannot=None
    )
    assert late == ("expected latency 61.30 s is beyond deadline_s 30",)


def seen(observation: Observation, announced_s: float, waited_s: float, *, program_hash: str = "hash") -> Observation:
    before = replace(observation.prior, queue_s=announced_s, device_s=0.3)
    met = replace(observation.measurement, queue_s=waited_s, device_s=0.6)
    return replace(observation, backend=EMULATED.name, program_hash=program_hash, prior=before, measurement=met)


def learned(log: list[Observation]) -> CostModel:
    return CostModel().fold(list(enumerate(log, start=1)))


def ask(model: CostModel, announced_s: float | None, device: Device = EMULATED, group: str = "other") -> Estimate:
    asked = Estimate(1.0, 0.9, 1.0, 0.1, queue_s=announced_s, device_s=None if announced_s is None else 0.3)
    return model.estimate(asked, device, group, "another")


def test_what_was_waited_corrects_what_is_announced(observation: Observation) -> None:
    model = learned([seen(observation, 100.0, 200.0, program_hash=str(number)) for number in range(30)])
    assert ask(model, 50.0).queue_s == pytest.approx(100.0, rel=0.1), "whoever waits there waits behind everybody"
    assert ask(model, 0.0).queue_s == pytest.approx(0.0, abs=1.0)
    assert ask(model, 50.0, group="program").device_s == pytest.approx(0.6, rel=0.1)
    assert ask(model, 50.0, device=replace(EMULATED, name="another")).queue_s == 50.0
    assert ask(model, None).queue_s is None
    assert ask(model, None).device_s is None


def test_it_follows_a_drifting_queue(observation: Observation) -> None:
    rising = [100.0 * math.exp(number / 100) for number in range(200)]
    model = learned([seen(observation, 100.0, wait_s) for wait_s in rising])
    assert ask(model, 100.0).queue_s == pytest.approx(rising[-50], rel=0.15)


@given(st.floats(0.0, 1e5), st.floats(0.0, 1e5), st.integers(1, 60))
def test_the_estimate_moves_towards_what_was_waited(announced_s: float, waited_s: float, number: int) -> None:
    before = Estimate(1.0, 0.9, 1.0, 0.1, queue_s=announced_s, device_s=0.3)
    met = Measurement(0.0, 0.0, 1.0, 1.0, 1.0, 0.9, "hellinger", None, None, 0.0, 0.0, device_s=0.3, queue_s=waited_s)
    one = Observation("a", "j", EMULATED.name, "v", "g", "h", 1, 1, 1, before, before, 0.0, met, 0.0)
    expected_s = ask(learned([one] * number), announced_s).queue_s
    assert expected_s is not None
    low, high = sorted((announced_s, waited_s))
    assert low - 1e-6 * (1 + low) <= expected_s <= high + 1e-6 * (1 + high)
    assert abs(math.log((expected_s + 1) / (waited_s + 1))) <= abs(math.log((announced_s + 1) / (waited_s + 1))) + 1e-9


def test_times_of_the_wall_teach_nothing_of_queues(observation: Observation) -> None:
    wall = replace(observation, backend=EMULATED.name)
    wall = replace(wall, measurement=replace(wall.measurement, queue_s=500.0, device_s=0.3))
    assert ask(learned([wall] * 5), 50.0).queue_s == 50.0


def test_transpilation_is_a_part_of_the_service_and_programs_that_come_again_need_none(
    observation: Observation,
) -> None:
    before = replace(observation.prior, service_s=0.2, prepare_s=0.01)
    first = replace(observation.measurement, service_s=0.3, prepare_s=0.04)
    again = replace(first, service_s=0.26, prepare_s=0.0)
    seen = replace(observation, backend=IDEAL.name, prior=before, measurement=first)
    kin = [replace(seen, program_hash=str(number)) for number in range(20)]
    model = learned([*kin, *[replace(seen, program_hash="mine", measurement=again)] * 20])
    new, mine = (model.estimate(before, IDEAL, seen.group, name) for name in ("new", "mine"))
    assert mine.prepare_s < 0.002 < new.prepare_s < new.service_s
    assert prior(IDEAL, FIT, 1000).prepare_s > 0.0
    assert model.estimate(replace(before, service_s=1e-4, prepare_s=1.0), IDEAL, "other", "new").prepare_s < 1.0
