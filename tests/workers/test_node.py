"""A worker announces its devices anew when their records change with the time, and not otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from backends.backend import TranspileOptions
from orchestrator.preparation import fit_key
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from workers.node import Node, devices_here

DAY_S = 86_400.0
JANUARY = 1_672_963_200.0  # 2023-01-06


class Time:
    """An experiment's clock that is set by hand."""

    def __init__(self) -> None:
        self.at = JANUARY

    def moment(self) -> float:
        return self.at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = SqlStore(f"sqlite:///{tmp_path / 'qorch.sqlite'}")
    yield opened
    opened.close()


def test_it_announces_what_is_published_at_the_moment_of_the_experiment(store: SqlStore) -> None:
    time = Time()
    pipeline = SimpleNamespace(store=store, experiment=time)
    devices = devices_here(["ibm_perth_replay", "aer_statevector"])
    node = Node(pipeline, Settings(), worker="w", devices=devices)  # type: ignore[arg-type]
    node.announce(warm=())
    found = {one.backend: one.device for one in store.roll(silent_s=60.0)}
    replayed = found["ibm_perth_replay"]
    assert replayed.calibration is not None
    assert replayed.calibration.taken_at == JANUARY
    assert found["aer_statevector"] == devices["aer_statevector"]

    time.at += 60.0
    assert not node._look_at_devices(), "nothing that is published has changed within the minute"
    time.at += 3600.0
    assert node._look_at_devices(), "the queue is another one"
    node.announce(warm=())
    later = {one.backend: one.device for one in store.roll(silent_s=60.0)}["ibm_perth_replay"]
    options = TranspileOptions()
    assert fit_key(later, options) == fit_key(replayed, options), "and no circuit has to be fitted anew for that"
    assert later.availability != replayed.availability

    time.at += DAY_S
    assert node._look_at_devices()
    assert not node._look_at_devices()
    node.announce(warm=())
    next_day = {one.backend: one.device for one in store.roll(silent_s=60.0)}["ibm_perth_replay"]
    assert fit_key(next_day, options) != fit_key(replayed, options)


def test_what_is_always_the_same_is_not_looked_at(store: SqlStore) -> None:
    pipeline = SimpleNamespace(store=store, experiment=Time())
    node = Node(pipeline, Settings(), worker="w", devices=devices_here(["aer_*", "fake_hanoi"]))  # type: ignore[arg-type]
    assert node._living == {}
    assert not node._look_at_devices()
