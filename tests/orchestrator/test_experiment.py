"""The experiment's clock: one for all processes of a store, as fast as it was asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigurationError
from orchestrator.experiment import Experiment
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore

START = datetime(2023, 1, 5, 12, tzinfo=UTC)


class Wall:
    """A store's clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def of(url: str, wall: Wall, **fields: object) -> Experiment:
    return Experiment(SqlStore(url, clock=wall), Settings.model_validate(fields))


def test_it_begins_when_it_is_first_asked_for_and_runs_at_its_speed(tmp_path: Path) -> None:
    wall = Wall(1e9)
    clock = of(f"sqlite:///{tmp_path / 'a.sqlite'}", wall, experiment_start=START, experiment_speed=3600.0)
    wall.now += 50.0
    assert clock.moment() == START.timestamp()
    wall.now += 2.0
    assert clock.moment() == pytest.approx(START.timestamp() + 7200.0)


def test_processes_of_a_store_agree_and_one_that_starts_anew_goes_on(tmp_path: Path) -> None:
    url, first_wall, second_wall = f"sqlite:///{tmp_path / 'a.sqlite'}", Wall(1e9), Wall(1e9 + 30.0)
    first = of(url, first_wall, experiment_start=START, experiment_speed=10.0)
    assert first.moment() == START.timestamp()
    second = of(url, second_wall, experiment_start="2023-01-05T12:00", experiment_speed=10)
    assert second.moment() == pytest.approx(START.timestamp() + 300.0)
    other = of(url, second_wall, experiment_start=START, experiment_speed=11.0)
    assert other.moment() == START.timestamp(), "another experiment begins by itself"


def test_an_experiment_may_stand_still(tmp_path: Path) -> None:
    wall = Wall(1e9)
    clock = of(f"sqlite:///{tmp_path / 'a.sqlite'}", wall, experiment_start=START, experiment_speed=0)
    wall.now += 1e6
    assert clock.moment() == START.timestamp()


def test_without_an_experiment_it_is_the_stores_time(tmp_path: Path) -> None:
    assert of(f"sqlite:///{tmp_path / 'a.sqlite'}", Wall(1e9)).moment() == 1e9


@pytest.mark.parametrize("text", ["2023-01-05T12:00", "2023-01-05T12:00Z", "2023-01-05 14:00+02:00", str(START)])
def test_a_start_without_a_zone_is_utc(text: str) -> None:
    assert Settings.model_validate({"experiment_start": text}).experiment_start == START


@pytest.mark.parametrize(
    ("field", "value"), [("experiment_start", "soon"), ("experiment_speed", -1), ("experiment_speed", "nan")]
)
def test_what_is_no_experiment_is_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=field.upper()):
        Settings.model_validate({field: value})


@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=10), st.floats(1e-3, 1e7))
def test_it_never_runs_backwards(ticks_s: list[float], speed: float) -> None:
    wall = Wall(1e9)

    class Store:
        def now(self) -> float:
            return wall.now

        def first_asked(self, name: str) -> float:
            assert len(name) <= 32
            return wall.now

    settings = Settings(experiment_start=START, experiment_speed=speed)
    clock = Experiment(Store(), settings)  # type: ignore[arg-type]
    moments = [clock.moment()]
    for tick_s in ticks_s:
        wall.now += tick_s
        moments.append(clock.moment())
    assert moments == sorted(moments)
    assert moments[-1] - moments[0] == pytest.approx(speed * (wall.now - 1e9), rel=1e-6, abs=1e-6)
