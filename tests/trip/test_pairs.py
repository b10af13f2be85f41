"""Pairs that are quoted when a job is placed: estimates follow the load on the network, and what ends gives back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from qiskit import QuantumCircuit
from rich.console import Console

from backends.backend import Device, TranspileOptions
from backends.distributed import Distributed
from backends.pairs import PairNeed
from circuits.program import Program
from orchestrator import Client
from orchestrator.cost_model.model import CostModel
from orchestrator.entanglement import Delivered, PairDemand
from orchestrator.job import Assignment, Failure, Job, JobSpec, Objective, Times
from orchestrator.lifecycle import Broken
from orchestrator.pairs import PairOffice
from orchestrator.pipeline import Pipeline
from orchestrator.placement import Candidate
from orchestrator.records import to_json
from orchestrator.settings import Settings
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement, Ending
from policies import load as policy
from policies.allocators import pairs
from policies.allocators.pairs import live, load
from policies.allocators.pairs.provision import provision
from policies.allocators.pairs.table import PairTable
from policies.envs.qnum import topologies
from policies.replay import Refold, Tally, calls, replay
from workers import render_why
from workers.sandbox import Sandbox

SHOTS = 500


def ghz(num_qubits: int = 6) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def provisioned(folder: Path, qubits: tuple[int, ...], qpus: tuple[str, ...]) -> None:
    """QPUs at the ends of a trunk, whose pairs are quoted by a table of rates."""
    network = topologies.dumbbell(2, "neg", access_km=(0.5,), trunk_km=0.5)
    device = provision(cast(Any, load("static", network)), qubits, qpus, network)
    (folder / "network.json").write_text(to_json(device))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two QPUs of four qubits; time stands still."""
    provisioned(tmp_path, (4, 4), ("0", "2"))
    monkeypatch.setenv("QORCH_QPU_NETWORK", str(tmp_path / "network.json"))
    held = {"experiment_start": datetime(2026, 1, 1, tzinfo=UTC), "experiment_speed": 0.0}
    return Settings(data_dir=tmp_path, backends=("distributed",), times=Times.EMULATED, placement_window_s=60.0, **held)


class Desk:
    """Places jobs and runs none."""

    def __init__(self, settings: Settings, runtime: Sandbox) -> None:
        quiet: Any = SimpleNamespace(wake_placement=lambda: None, wake_backend=lambda _: None)
        deaf: Any = SimpleNamespace(publish=lambda _: True, subscribe=lambda _: lambda: None)
        self.store = SqlStore(settings.resolved_store_url, settings.rules)
        self.pipeline = Pipeline(
            store=self.store,
            broker=quiet,
            notifier=deaf,
            runtime=runtime,
            policies=policy,
            settings=settings,
            owner="desk/1",
            allocators=live,
        )
        self.device: Device = Distributed().device()
        self.store.announce("w", [Announcement("distributed", "w", 1, self.device)])

    def close(self) -> None:
        self.pipeline.close()
        self.store.close()

    def placed(self, *circuits: QuantumCircuit) -> list[tuple[Assignment, Candidate]]:
        """Submitted together, and placed until nothing waits."""
        jobs = self.pipeline.submit([JobSpec(Program.from_any(each), shots=SHOTS) for each in circuits])
        while self.pipeline.place():
            pass
        found = []
        for job in jobs:
            decision = self.store.decision(job.id)
            assert decision is not None, self.store.job(job.id).failure
            found.append((self.store.assignments(job.id)[0], decision.request.candidates[0]))
        return found


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def desk(settings: Settings, sandbox: Sandbox) -> Iterator[Desk]:
    made = Desk(settings, sandbox)
    yield made
    made.close()


def test_what_is_quoted_follows_what_others_have_reserved(desk: Desk) -> None:
    (_, asked), (second, later), (local, alone) = desk.placed(ghz(), ghz(), ghz(4))
    (before,), (behind,) = asked.prior.pairs, later.prior.pairs
    assert (before.demand.num_pairs, before.quote.ahead, before.quote.source) == (SHOTS, 0, "static")
    assert behind.quote.ahead == SHOTS, "all that the first waits for"
    assert behind.quote.ready_p50_s > 1.5 * before.quote.ready_p50_s
    assert second.estimate.queue_s == pytest.approx(behind.quote.ready_p50_s), "as quoted, while nothing else is known"
    assert later.estimate.elapsed_s > 1.5 * asked.estimate.elapsed_s
    assert later.estimate.intervals is not None
    assert later.estimate.intervals.elapsed_s.low < behind.quote.ready_p90_s < later.estimate.intervals.elapsed_s.high
    assert later.estimate.fidelity == pytest.approx(asked.estimate.fidelity, abs=0.02)
    assert not alone.prior.pairs, "four qubits fit on one QPU"
    assert local.prior.queue_s in (None, 0.0)


def test_a_batch_is_decided_in_one_go_and_each_job_is_quoted_behind_those_before(desk: Desk) -> None:
    jobs = desk.pipeline.submit([JobSpec(Program.from_any(ghz(width)), shots=SHOTS) for width in (6, 4, 6, 6)])
    assert not desk.pipeline.place(), "nothing waits any more"
    decisions = [desk.store.decision(job.id) for job in jobs]
    assert len({one.batch for one in decisions if one is not None}) == 1
    candidates = [one.request.candidates[0] for one in decisions if one is not None]
    assert [[pair.quote.ahead for pair in one.prior.pairs] for one in candidates] == [[0], [], [SHOTS], [2 * SHOTS]]
    waits_s = [one.wait_s for one in candidates]
    assert waits_s[0] < waits_s[1] == waits_s[2] < waits_s[3], "as the backlog: the second and the third go together"


def test_jobs_that_are_cancelled_or_fail_give_back_what_they_had(desk: Desk) -> None:
    (first, _), (second, _) = desk.placed(ghz(), ghz())
    desk.pipeline.cancel(first.job_id)
    ((third, now),) = desk.placed(ghz())
    assert now.prior.pairs[0].quote.ahead == SHOTS, "and nobody else's"
    desk.pipeline.cancel(third.job_id)
    claim = desk.store.claim(["distributed"], owner="w", lease_s=10.0)
    assert claim is not None
    (running,) = claim.taken
    assert running.assignment.id == second.id
    ((fourth, now),) = desk.placed(ghz())
    assert now.prior.pairs[0].quote.ahead == SHOTS, "what runs has them still"
    desk.pipeline.cancel(fourth.job_id)
    failure = Failure("execute", "ExecutionFailed", "the line broke", elsewhere=False)
    desk.store.finish([Ending(running.assignment, Broken(desk.store.now(), failure))])
    ((_, free),) = desk.placed(ghz())
    assert free.prior.pairs[0].quote.ahead == 0


def test_a_process_that_begins_finds_the_leases_of_the_one_before(
    desk: Desk, settings: Settings, sandbox: Sandbox
) -> None:
    desk.placed(ghz())
    restarted = Desk(settings, sandbox)
    ((_, again),) = restarted.placed(ghz())
    assert again.prior.pairs[0].quote.ahead == SHOTS
    restarted.close()


def test_decisions_are_taken_again_by_the_quotes_that_they_kept(desk: Desk) -> None:
    desk.placed(ghz(), ghz())
    devices = {"distributed": desk.device}
    log = list(desk.store.decision_log(Wanted()))
    refold = Refold(lambda after, limit: desk.store.observations(after=after, limit=limit), CostModel(), devices)
    for decision in log:
        refold.check(decision)
    assert (refold.found.num_same, refold.found.num_different) == (2, 0)
    again = replay(calls(log, Tally()), policy)
    assert (again.num_same, again.num_different) == (2, 0)


def test_what_nobody_quotes_is_estimated_by_what_links_publish(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A file that names QPUs of another network costs its quotes, and no job."""
    device = replace(desk.device, network=replace(cast(Any, desk.device.network), names=("0", "nowhere")))
    desk.store.announce("w", [Announcement("distributed", "w", 1, device)])
    ((_, found),) = desk.placed(ghz())
    assert not found.prior.pairs
    assert found.prior.queue_s is not None
    assert found.prior.queue_s > 0.0
    assert "nowhere" in caplog.text


def test_an_allocator_without_a_clock_costs_its_quotes_and_no_job(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "load", lambda *_: object())
    ((_, found),) = desk.placed(ghz())
    assert not found.prior.pairs
    assert "whose clock can be moved" in caplog.text


def test_a_quote_changes_nothing_for_who_only_asks(desk: Desk) -> None:
    spec = JobSpec(Program.from_any(ghz()), shots=SHOTS)
    once, twice = (desk.pipeline.quoter.quote(spec).offers[0] for _ in range(2))
    assert once.queue_s == twice.queue_s
    assert once.queue_s is not None
    desk.placed(ghz())
    behind = desk.pipeline.quoter.quote(spec).offers[0]
    assert behind.queue_s is not None
    assert behind.queue_s > 1.5 * once.queue_s


def test_jobs_run_after_the_pairs_of_those_before_and_tell_what_came(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Delivered] = []
    monkeypatch.setattr(PairTable, "feedback", lambda _, lease, outcome: told.append(outcome))
    with Client(settings=settings) as client:
        jobs = [client.submit(ghz(), shots=SHOTS, pin="distributed", seed=3 + number) for number in range(2)]
        results = [job.result(60.0) for job in jobs]
        for job, result in zip(jobs, results, strict=True):
            why = client.why(job.id)
            assert why is not None
            shown = Console(width=100, record=True, file=StringIO())
            shown.print(render_why.why(client.explain(job.id)[-1]))
            assert f"{SHOTS} pairs between 0 and 2" in shown.export_text()
            (candidate,) = why.request.candidates
            (promise,) = candidate.prior.pairs
            met = result.measurement
            assert promise.demand.job_id == job.id
            assert met.queue_s == pytest.approx(promise.quote.ready_p50_s, rel=0.25)
            assert met.latency_s > met.queue_s
            assert met.pair_fidelity == pytest.approx(promise.quote.fidelity_mean, abs=0.01)
            assert met.fidelity == pytest.approx(candidate.estimate.fidelity, abs=0.03)
        client.submit(ghz(), shots=SHOTS, pin="distributed").result(60.0)  # its placement hears of the others
    met = [result.measurement for result in results]
    assert [(one.waited_s, one.fidelity_mean) for one in told[:2]] == [(one.queue_s, one.pair_fidelity) for one in met]
    assert all(one.complete and one.num_pairs == SHOTS for one in told)


def test_each_link_hears_what_came_over_it(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A circuit in two halves, each over two of four QPUs of two qubits."""
    told: dict[str, Delivered] = {}
    monkeypatch.setattr(PairTable, "feedback", lambda _, lease, outcome: told.update({lease.demand.src: outcome}))
    provisioned(tmp_path, (2, 2, 2, 2), ("0", "2", "1", "3"))
    halves = ghz(3).remove_final_measurements(inplace=False)
    circuit = QuantumCircuit(6)
    circuit.compose(halves, range(3), inplace=True)
    circuit.compose(halves, range(3, 6), inplace=True)
    circuit.measure_all()
    options = TranspileOptions(initial_layout=(0, 1, 2, 4, 5, 6))
    sandbox = Sandbox()  # whose children know these QPUs
    desk = Desk(settings, sandbox)
    (job,) = desk.pipeline.submit([JobSpec(Program.from_any(circuit), shots=SHOTS, transpile=options)])
    desk.pipeline.place()
    (promised, other) = desk.store.assignments(job.id)[0].prior.pairs
    assert desk.pipeline.execute({"distributed": desk.device})
    desk.placed(ghz(2))  # its placement hears of the other
    met = desk.store.results([job.id])[job.id].measurement
    desk.close()
    sandbox.close()
    assert {"0", "1"} == set(told) == {promised.demand.src, other.demand.src}
    assert met.queue_s is not None
    for one in (promised, other):
        came = told[one.demand.src]
        assert (came.num_pairs, came.complete) == (SHOTS, True)
        assert came.waited_s == pytest.approx(one.quote.ready_p50_s, rel=0.25)
        assert came.fidelity_mean == pytest.approx(one.quote.fidelity_mean, abs=0.01)
        assert met.queue_s > 1.2 * came.waited_s, "the job waited for the later of both, shot by shot"
    assert told["0"].waited_s != told["1"].waited_s


def moving(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the store's time since now, to be set: networks go on as it does."""
    passed_s, now = [0.0], SqlStore.now
    monkeypatch.setattr(SqlStore, "now", lambda store: now(store) + passed_s[0])
    return passed_s


def announced(desk: Desk) -> dict[str, float]:
    """Pairs that the allocator is to put aside, and has, by job."""
    allocator = cast(Any, desk.pipeline)._pairs._live["distributed"].allocator
    return {job_id: held.lease.demand.num_pairs for (job_id, _), (_, held) in allocator._announced.items()}


@pytest.fixture
def live_desk(settings: Settings, sandbox: Sandbox) -> Iterator[Desk]:
    made = Desk(settings.model_copy(update={"experiment_start": None}), sandbox)
    yield made
    made.close()


def chained(desk: Desk, **changes: Any) -> tuple[Job, Job]:
    """A job that needs pairs after one that needs none, placed as far as can be."""
    (first,) = desk.pipeline.submit([JobSpec(Program.from_any(ghz(4)), shots=SHOTS)])
    (then,) = desk.pipeline.submit([JobSpec(Program.from_any(ghz()), shots=SHOTS, after=(first.id,), **changes)])
    while desk.pipeline.place():
        pass
    return first, then


def test_a_job_that_comes_after_another_is_announced_and_waits_less(
    live_desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, passed_s = live_desk, moving(settings, monkeypatch)
    ((_, usual),) = desk.placed(ghz())
    desk.pipeline.cancel(usual.prior.pairs[0].demand.job_id)
    _, then = chained(desk, objective=Objective(fidelity=0.0))
    assert announced(desk) == {then.id: SHOTS}, "without a weight on fidelity all of them are worth it"
    assert desk.store.job(then.id).num_blockers == 1
    passed_s[0] += 2.0
    assert desk.pipeline.execute({"distributed": desk.device})
    while desk.pipeline.place():
        pass
    ((part,), decision) = desk.store.assignments(then.id), desk.store.decision(then.id)
    assert decision is not None
    (alone,), (quoted,) = usual.prior.pairs, part.prior.pairs
    there = quoted.quote.stored
    assert there == pytest.approx(2.0 * alone.quote.rate_hz, rel=0.4), "what came in two seconds"
    assert quoted.quote.ready_p50_s == pytest.approx((SHOTS - there) / alone.quote.rate_hz, rel=0.1)
    assert quoted.quote.ready_p50_s < 0.8 * alone.quote.ready_p50_s
    assert quoted.quote.stored_fidelity < quoted.quote.fidelity_mean < alone.quote.fidelity_mean, "they have aged"
    assert announced(desk) == {}, "a lease has taken its place"
    assert desk.pipeline.execute({"distributed": desk.device})
    met = desk.store.results([then.id])[then.id].measurement
    assert met.queue_s == pytest.approx(quoted.quote.ready_p50_s, rel=0.2), "the run finds them"
    assert met.pair_fidelity == pytest.approx(quoted.quote.fidelity_mean, abs=0.01)


@pytest.mark.parametrize("which", [0, 1], ids=["what it waits for", "the job itself"])
def test_what_was_announced_goes_with_its_job(live_desk: Desk, which: int) -> None:
    desk = live_desk
    both = chained(desk)
    assert list(announced(desk)) == [both[1].id]
    desk.pipeline.cancel(both[which].id)
    ((_, next_one),) = desk.placed(ghz())
    assert announced(desk) == {}
    assert next_one.prior.pairs[0].quote.ahead == 0


def test_of_what_ages_no_more_is_announced_than_is_worth_it(live_desk: Desk) -> None:
    _, then = chained(live_desk, objective=Objective(fidelity=10.0))
    ((_, usual),) = live_desk.placed(ghz())
    coherence_s = cast(Any, live_desk.device.network).links[0].coherence_s
    excess = usual.prior.pairs[0].quote.fidelity_mean - 0.25
    worth = SHOTS * coherence_s * 0.1 / (10.0 * excess)
    assert 0 < worth < SHOTS
    assert announced(live_desk)[then.id] == pytest.approx(worth, abs=1.0)


def test_who_waits_for_what_nobody_knows_is_not_announced(live_desk: Desk) -> None:
    """Behind a job that is itself behind another, nothing is known of when it comes."""
    first, then = chained(live_desk)
    live_desk.pipeline.submit([JobSpec(Program.from_any(ghz()), shots=SHOTS, after=(then.id,))])
    live_desk.pipeline.submit([JobSpec(Program.from_any(ghz(4)), shots=SHOTS, after=(first.id,))])
    while live_desk.pipeline.place():
        pass
    assert list(announced(live_desk)) == [then.id], "nor who needs no pairs"


def test_what_is_expected_while_nobody_looks_is_there_when_somebody_does(live_desk: Desk) -> None:
    office, devices = PairOffice(live), {"distributed": live_desk.device}
    demand, need = PairDemand("later", "0", "2", 50), PairNeed(0, 1, 1, 0.9)

    def stored(moment: float, *unplaced: str) -> int:
        office.follow(devices, moment, lambda _: [], lambda _: unplaced)
        return office.promises(live_desk.device, "later", [need], 50)[0].quote.stored

    assert stored(0.0) == 0
    office.expect("later", 100.0, "distributed", [demand])
    assert stored(5.0, "later") == 0, "far too soon"
    assert stored(100.0, "later") == 50, "although the network went on by no more than ten seconds"
    assert stored(101.0) == 0, "it has a place, or has ended"
