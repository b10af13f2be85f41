"""Every policy takes its logged decisions again, bit for bit, wherever the log was; what cannot be repeated is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from backends.backend import Device
from orchestrator.cost_model.model import CostModel
from orchestrator.decision import Decision
from orchestrator.job import Assignment, Estimate
from orchestrator.placement import Choice
from orchestrator.records import from_json, to_json
from orchestrator.sql.archive import Wanted
from orchestrator.sql.store import SqlStore
from orchestrator.store import Placed
from orchestrator.telemetry import Observation
from policies import POLICIES, load
from policies.replay import Refold, Tally, calls, replay, watched
from tests.policies.conftest import MakeLog
from workers import export as exporter
from workers.decision_log import of_export


def stored(store: SqlStore, log: Sequence[Decision], part: Assignment) -> list[Decision]:
    """The log as a store gives it back, under the ids of its own jobs."""
    jobs, _ = store.add_jobs([one.request.spec for one in log])
    placed = []
    for job, one in zip(jobs, log, strict=True):
        request = replace(one.request, job_id=job.id)
        share = replace(part, id=f"{job.id}-0", job_id=job.id)
        placed.append(Placed(replace(one, job_id=job.id, request=request), [share]))
    store.place(placed)
    return list(store.decision_log(Wanted()))


def shows(log: Sequence[Decision], policy: str | None = None) -> tuple[int, int]:
    """Decisions that were the same again, and the others."""
    tally = Tally()
    found = replay(calls(log, tally), cache(load), policy)
    assert tally == Tally()
    return found.num_same, found.num_different


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_every_policy_repeats_itself(policy: str, make_log: MakeLog) -> None:
    log = make_log(policy, (1, 5, 3, 40))
    assert shows(log) == (49, 0)
    again = [from_json(Decision, to_json(one)) for one in log]
    assert again == log
    assert shows(again) == (49, 0)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_every_policy_repeats_itself_from_a_store_and_from_its_export(
    form: str, make_log: MakeLog, new_assignment: Callable[..., Assignment], tmp_path: Path
) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'qorch.sqlite'}")
    kept = []
    for number, policy in enumerate(sorted(POLICIES)):
        before = len(kept)
        kept = stored(store, make_log(policy, seed=number), new_assignment())
        assert len(kept) == before + 9
    assert shows(kept) == (9 * len(POLICIES), 0)
    exporter.export(store, tmp_path / "out", Wanted(), exporter.FORMATS[form])
    store.close()
    exported = list(of_export(tmp_path / "out").decisions())
    assert shows(exported) == (9 * len(POLICIES), 0)
    assert [one.request.candidates for one in exported] == [one.request.candidates for one in kept]
    assert [(one.situation, one.choice, one.id) for one in exported] == [
        (one.situation, one.choice, one.id) for one in kept
    ]


def test_a_store_gives_back_what_it_was_given(
    store: SqlStore, make_log: MakeLog, new_assignment: Callable[..., Assignment]
) -> None:
    log = make_log("eft")
    for one, before in zip(stored(store, log, new_assignment()), log, strict=True):
        request = replace(before.request, job_id=one.job_id)
        assert one == replace(before, job_id=one.job_id, id=one.id, request=request)


def test_whoever_shared_a_batch_with_a_wanted_job_comes_with_it(
    store: SqlStore, make_log: MakeLog, new_assignment: Callable[..., Assignment]
) -> None:
    log = stored(store, make_log("greedy", (2, 3)), new_assignment())
    found = list(store.decision_log(Wanted(), [log[3].job_id]))
    assert found == log[2:]
    assert shows(found) == (3, 0)
    assert store.decisions(log[0].job_id) == [log[0]]
    assert list(store.decision_log(Wanted(tag="nobody"))) == []


def test_a_situation_goes_with_the_last_of_its_decisions(
    store: SqlStore, make_log: MakeLog, new_assignment: Callable[..., Assignment]
) -> None:
    log = stored(store, make_log("eft", (2, 1)), new_assignment())

    def removed(*decisions: Decision) -> int:
        for one in decisions:
            store.request_cancel(one.job_id)
        store.prune(before=store.now() + 60.0, most=10)
        with store._db.read() as tx:
            return len(tx.exec_driver_sql("SELECT id FROM situations").all())

    assert removed() == 2
    assert removed(log[0]) == 2, "the other job of its batch is there"
    tally = Tally()
    assert [one.decisions[0].job_id for one in calls(store.decision_log(Wanted()), tally)] == [log[2].job_id]
    assert tally == Tally(num_incomplete=1)
    assert removed(log[1], log[2]) == 0


def test_what_came_out_otherwise_is_shown(make_log: MakeLog) -> None:
    log = make_log("greedy", (1, 1))
    other = next(one.backend for one in log[1].request.candidates if one.backend not in log[1].choice)
    log[1] = replace(log[1], choice={other: 1.0})
    found = replay(calls(log, Tally()), cache(load))
    assert (found.num_same, found.num_different) == (1, 1)
    assert found.different[0].logged == {other: 1.0}
    assert found.different[0].again != {other: 1.0}


def test_what_cannot_be_asked_again_is_counted(make_log: MakeLog) -> None:
    log = make_log("eft", (1, 3, 1))
    pinned = replace(log[0], request=replace(log[0].request, spec=replace(log[0].request.spec, pin={"a": 1.0})))
    tally = Tally()
    whole = list(calls([pinned, *log[2:4], replace(log[4], situation=None)], tally))
    assert whole == []
    assert tally == Tally(num_pinned=1, num_too_old=1, num_incomplete=2)


def test_a_policy_that_fails_now_answers_nothing(make_log: MakeLog) -> None:
    class Broken:
        def place(self, *_: object) -> list[Choice]:
            raise ZeroDivisionError

    log = make_log("eft", (2,))
    found = replay(calls(log, Tally()), lambda name: Broken())
    assert (found.num_different, found.different[0].again) == (2, {})

    class Short:
        def place(self, *_: object) -> list[Choice]:
            return [{"a": 1.0}]

    assert replay(calls(log, Tally()), lambda name: Short()).num_different == 2


def test_only_what_one_policy_answered(make_log: MakeLog) -> None:
    first, tally = make_log("eft", (2,)), Tally()
    second = [replace(one, id=one.id + 2) for one in make_log("random", (3,))]
    assert [len(call.decisions) for call in calls([*first, *second], tally, "random")] == [3]
    assert tally == Tally()


def test_a_call_that_another_policy_answered_is_asked_of_that_one(make_log: MakeLog) -> None:
    log = [
        replace(one, policy="clever", situation=replace(one.situation, instead="it took too long"))
        for one in make_log("eft", (2,))
        if one.situation is not None
    ]
    found = replay(calls(log, Tally()), cache(load))
    assert (found.num_same, found.num_different, found.num_instead, found.num_gone) == (2, 0, 2, 0)
    gone = [replace(one, situation=replace(one.situation, policy="clever")) for one in log if one.situation]
    assert replay(calls(gone, Tally()), cache(load)).num_gone == 2


# ── estimates ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Bench:
    """A log of measurements, and decisions whose estimates came from the model as it was."""

    def __init__(self, log: Sequence[Decision], observation: Observation, prior: Estimate) -> None:
        self.devices = {name: _device(name) for name in "abcd"}
        self.seen = [
            (number, replace(observation, backend="abcd"[number % 4], prior=replace(prior, service_s=1 / number)))
            for number in range(1, 30)
        ]
        self.decisions = [self._estimated(one, 3 * number) for number, one in enumerate(log)]

    def _estimated(self, decision: Decision, cursor: int) -> Decision:
        model = CostModel().fold(self.seen[:cursor])
        program_hash = decision.request.spec.program.content_hash()
        told = tuple(
            replace(
                one,
                estimate=model.estimate(one.prior, self.devices[one.backend], decision.group, program_hash),
                target_version=self.devices[one.backend].target_version,
            )
            for one in decision.request.candidates
        )
        return replace(decision, cursor=cursor, request=replace(decision.request, candidates=told))

    def observe(self, after: int, limit: int) -> list[tuple[int, Observation]]:
        return [one for one in self.seen if one[0] > after][:limit]

    def checked(self, decisions: Sequence[Decision]) -> Refold:
        refold = Refold(self.observe, CostModel(), self.devices)
        assert list(watched(decisions, refold)) == list(decisions)
        return refold


def _device(name: str) -> Device:
    from backends import load as backend

    return replace(backend("aer_statevector").device(), name=name)


@pytest.fixture
def bench(make_log: MakeLog, observation: Observation, estimate: Estimate) -> Bench:
    """Decisions of which each saw three more measurements than the one before."""
    return Bench(make_log("eft"), observation, estimate)


def test_estimates_are_made_again_bit_for_bit(bench: Bench) -> None:
    assert bench.checked(bench.decisions).found.num_same == 4 * len(bench.decisions)
    backwards = bench.checked(bench.decisions[::-1]).found
    assert (backwards.num_same, backwards.num_different) == (4 * len(bench.decisions), 0)


def test_a_wrong_estimate_or_measurement_is_noticed(bench: Bench) -> None:
    number, first = bench.seen[0]
    bench.seen[0] = (number, replace(first, measurement=replace(first.measurement, service_s=1.0000001)))
    found = bench.checked(bench.decisions).found
    assert found.num_different > 0
    assert found.num_same == 4 * len(bench.decisions) - found.num_different
    assert bench.decisions[0].cursor == 0, "the first saw nothing, so it is the same"
    assert found.different[0][0] == bench.decisions[1].job_id


def test_what_cannot_be_estimated_again_is_counted(bench: Bench) -> None:
    del bench.devices["a"]
    bench.devices["b"] = replace(bench.devices["b"], num_qubits=bench.devices["b"].num_qubits - 1)
    changed = bench.devices["b"].target_version != bench.decisions[0].request.candidates[1].target_version
    found = bench.checked(bench.decisions).found
    assert found.num_unknown == len(bench.decisions) * (1 + changed)
    del bench.seen[:5]
    pruned = bench.checked(bench.decisions).found
    assert (pruned.num_pruned, pruned.num_decisions) == (len(bench.decisions) - 1, 1)
    other = [
        replace(one, situation=replace(one.situation, fold_version=-1)) for one in bench.decisions if one.situation
    ]
    assert bench.checked(other).found.num_too_old == len(other)
