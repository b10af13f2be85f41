"""What the store remembers beside jobs: telemetry, snapshots, decisions, preparation, who is there, what is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

import backends
from circuits.features import features
from circuits.program import Program
from orchestrator.errors import InvalidJob
from orchestrator.job import Assignment, Job
from orchestrator.lifecycle import Completed
from orchestrator.preparation import Fit, Preparation, ProgramFacts
from orchestrator.sql.ledger import append_observations
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement, Ending, Switch
from orchestrator.telemetry import Observation


def test_telemetry_is_numbered_without_gaps_under_a_race(store: SqlStore, observation: Observation) -> None:
    def append(number: int) -> None:
        with store._db.write() as connection:
            seen = [replace(observation, assignment_id=f"a{number}-{each}") for each in range(number % 3)]
            append_observations(connection, seen)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.observations()
    assert [number for number, _ in found] == list(range(1, 10))
    assert [number for number, _ in store.observations(after=4, limit=3)] == [5, 6, 7]
    by_thread = [seen.assignment_id.partition("-") for _, seen in found]
    assert by_thread == sorted(by_thread, key=lambda one: [other[0] for other in by_thread].index(one[0])), "together"


def test_what_was_seen_is_kept_with_its_ending(
    store: SqlStore, place: Callable[..., Job], claim: Callable[..., Assignment], observation: Observation
) -> None:
    for _ in range(3):
        place()
    parts = [claim() for _ in range(3)]
    seen = [replace(observation, assignment_id=part.id) for part in parts]
    store.finish([Ending(part, Completed(0.0), seen=one) for part, one in zip(parts, seen, strict=True)])
    assert store.observations() == list(enumerate(seen, start=1))


def test_whoever_asks_first_settles_when_something_began(store: SqlStore) -> None:
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(store.first_asked("experiment"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert abs(found[0] - store.now()) < 60.0
    assert store.first_asked("another") >= found[0]


def test_the_roll_forgets_who_is_silent(store: SqlStore) -> None:
    device = backends.load("aer_statevector").device()
    store.announce("w", [Announcement("aer_statevector", "w", 2, device)])
    (entry,) = store.roll(silent_s=60.0)
    assert (entry.device, entry.slots) == (device, 2)
    assert store.look(1, silent_s=60.0).roll == [entry]
    assert store.roll(silent_s=-1.0) == store.look(1, silent_s=-1.0).roll == []
    store.heartbeat("w")
    assert store.roll(silent_s=60.0)[0].heartbeat_at > entry.heartbeat_at
    assert entry.warm
    store.announce("w", [Announcement("aer_statevector", "w", 2, device, warm=False)])
    assert not store.roll(silent_s=60.0)[0].warm
    store.announce("w", [])
    assert store.roll(silent_s=60.0) == []


def test_who_was_taken_off_the_roll_is_told(store: SqlStore) -> None:
    assert not store.heartbeat("nobody")
    store.announce("w", [Announcement("aer_mps", "w", 1, backends.load("aer_mps").device())])
    assert store.heartbeat("w")


def test_the_last_word_of_an_operator_counts(store: SqlStore) -> None:
    assert store.switches() == []
    for mode in ("drained", "disabled", "disabled"):
        store.switch(Switch("backend", "aer_mps", mode))
    store.switch(Switch("worker", "w@host", "drained"))
    found = store.switches()
    assert [(one.kind, one.name, one.mode) for one in found] == [
        ("backend", "aer_mps", "disabled"),
        ("worker", "w@host", "drained"),
    ]
    assert store.look(1, silent_s=60.0).switches == found
    assert all(one.at == pytest.approx(store.now(), abs=60.0) for one in found)
    store.switch(Switch("backend", "aer_mps", "on"))
    store.switch(Switch("backend", "nothing", "on"))
    assert [one.kind for one in store.switches()] == ["worker"]


@pytest.mark.parametrize(
    ("kind", "name", "mode"),
    [("backend", "a", "off"), ("worker", "w", "disabled"), ("queue", "q", "on"), ("backend", 3, "on")],
)
def test_what_no_switch_can_be(kind: str, name: Any, mode: str) -> None:
    with pytest.raises(InvalidJob):
        Switch(kind, name, mode)


def test_snapshots_belong_to_their_fold(store: SqlStore) -> None:
    assert store.snapshot(1) is None
    for cursor in (100, 200, 200):
        store.save_snapshot(1, cursor, f"model {cursor}")
    assert store.snapshot(1) == "model 200"
    assert store.snapshot(2) is None


def test_only_the_last_snapshots_are_kept(store: SqlStore) -> None:
    for cursor in range(100, 1000, 100):
        store.save_snapshot(1, cursor, str(cursor))
    with store._db.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM snapshots")).scalar_one() == 2


def test_preparation_is_kept(store: SqlStore) -> None:
    written = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; x q[0]; measure q -> c;'
    circuit: Any = Program("openqasm2", text=written).load().build()
    facts = ProgramFacts("program", features(circuit), adaptive=False, ideal={"1": 1.0})
    store.save_prepared({"h": Preparation(facts, {"k": Fit(num_qubits=1)}), "i": Preparation(facts, {})})
    store.save_prepared({"h": Preparation(facts, {"l": Fit(cannot="no")})})
    store.save_prepared({"h": Preparation(facts, {"l": Fit(cannot="another word")})})
    found = store.prepared(["h", "i", "x"], ["k", "l", "m"])
    assert found == {
        "h": Preparation(facts, {"k": Fit(num_qubits=1), "l": Fit(cannot="no")}),
        "i": Preparation(facts, {}),
    }
    assert store.prepared(["h"], []) == {"h": Preparation(facts, {})}
    assert store.prepared([], ["k"]) == {}
