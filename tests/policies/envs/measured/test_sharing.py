"""What lanes do to each other is found again in what was measured of them, and taken off where it was not."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from orchestrator.job import Estimate
from orchestrator.placement import Lane
from policies.envs.measured.sharing import alone, busy_beside, longer, slowed_of, trips_of
from policies.envs.measured.twin import Measured

LANES = (Lane("w1", 1, ("a", "b")), Lane("w2", 1, ("c",)), Lane("far", 1, ("d",)))
SLOWED = np.array([[0.0, 0.4, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.0]])
TOLD = Estimate(1.0, 1.0, 1.0, 0.0)


def runs(num: int = 300) -> list[Measured]:
    """Jobs of twenty kinds, beside each other by chance, with a spread of 5 %."""
    chance, found = random.Random(1), []
    for _ in range(num):
        kind, (number, lane) = chance.randrange(20), chance.choice(list(enumerate(LANES)))
        busy = frozenset(one.worker for one in LANES if one is not lane and chance.random() < 0.5)
        others = sum(SLOWED[number, column] for column, one in enumerate(LANES) if one.worker in busy)
        service_s = (1.0 + kind) * math.exp(others + chance.gauss(0.0, 0.05))
        found.append(Measured((str(kind), 1), lane.backends[0], TOLD, service_s, 1.0, 1.0, busy, 0.1 * (1 + kind)))
    return found


def test_what_lanes_do_to_each_other_is_found_again() -> None:
    found = slowed_of(LANES, runs())
    assert found == pytest.approx(SLOWED, abs=0.05)


def test_what_a_job_would_have_taken_alone_does_not_depend_on_who_was_busy() -> None:
    mine = [one for one in runs() if one.backend == "a" and one.work == ("3", 1)]
    assert len({len(one.busy) for one in mine}) > 1
    assert [alone(one, LANES, SLOWED).service_s for one in mine] == pytest.approx([4.0] * len(mine), rel=0.2)
    beside = mine[0]._replace(busy=frozenset({"w2"}))
    assert longer(beside, LANES, SLOWED) == pytest.approx(math.exp(0.4))


def test_few_repetitions_say_nothing() -> None:
    assert not slowed_of(LANES, runs(12)).any()
    once = [one._replace(work=(str(number), 1)) for number, one in enumerate(runs())]
    assert not slowed_of(LANES, once).any(), "nothing was measured twice"


def test_trips_are_spread_as_they_were_found() -> None:
    trips_s = trips_of(runs(), 64)
    assert (trips_s.min(), trips_s.max()) == (pytest.approx(0.1), pytest.approx(2.0))
    assert not trips_of([one._replace(trip_s=None) for one in runs()], 64).any()


def test_who_ran_when_a_job_began() -> None:
    begun_s = {1: 0.0, 2: 1.0, 3: 2.5, 4: 2.5}
    ended_s = {1: 2.0, 2: 3.0, 3: 3.5, 4: 9.0}
    found = busy_beside(begun_s, ended_s, {1: "w1", 2: "w2", 3: "w1", 4: "w3"})
    assert found == {1: frozenset(), 2: {"w1"}, 3: {"w2", "w3"}, 4: {"w1", "w2"}}
