"""Guardrails: every reason to fall back, and that nothing else changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from orchestrator.job import Estimate
from orchestrator.placement import FALLBACKS, Backlog, Choice, Instead, Scales
from policies import load
from policies.baselines import EarliestFinish
from policies.guarded import FEATURES, MOST_REST, REST, SLOW_S, Guarded, Learned
from policies.table import Table
from tests.policies.batches import APART, one

BATCH = [one(number, a=2.0, b=1.0) for number in range(1, 6)]


@dataclass
class Stubborn:
    """Sends everything to one backend, and takes its time on a clock that the test holds."""

    trained_on: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    takes_s: float = 0.0
    now_s: float = 0.0

    def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
        self.now_s += self.takes_s
        for row, _ in enumerate(table.requests):
            backlog.add("a", table.service_s.item(row, table.backends.index("a")))
        return [{"a": 1.0} for _ in table.requests]


def reasons(choices: Sequence[Choice]) -> list[str]:
    return [choice.reason if isinstance(choice, Instead) else "" for choice in choices]


def place(policy: Guarded, requests: Sequence[object] = BATCH) -> list[Choice]:
    return policy.place(requests, Backlog(APART), Scales())  # type: ignore[arg-type]


def test_inside_of_its_range_a_policy_decides() -> None:
    inside = Guarded(lambda: Stubborn(dict.fromkeys(FEATURES, (0.0, 1000000000.0))))
    assert place(inside) == [{"a": 1.0}] * 5
    assert reasons(place(inside)) == [""] * 5


@pytest.mark.parametrize(
    ("feature", "bounds"),
    [("shots", (1, 1000)), ("shortest_elapsed_s", (2, 9)), ("num_feasible", (3, 4)), ("longest_wait_s", (0.5, 1))],
)
def test_outside_of_it_eft_does(feature: str, bounds: tuple[float, float]) -> None:
    choices = place(Guarded(lambda: Stubborn({feature: bounds})))
    assert reasons(choices) == ["range"] * 5
    assert choices == EarliestFinish().place(BATCH, Backlog(APART), Scales())
    assert {choice.policy for choice in choices if isinstance(choice, Instead)} == {"eft"}


def test_one_strange_job_does_not_cost_the_others_their_policy() -> None:
    strange = replace(BATCH[2], spec=replace(BATCH[2].spec, shots=10**6))
    nothing = replace(one(9, a=Estimate(math.nan, 0.5, 0.0, 0.0), b=1.0))
    backlog = Backlog(APART)
    choices = Guarded(lambda: Stubborn({"shots": (1, 5000)})).place(
        [*BATCH[:2], strange, *BATCH[3:], nothing], backlog, Scales()
    )
    assert reasons(choices) == ["", "", "range", "", "", "estimates"]
    assert choices[2] == {"b": 1.0}
    assert (backlog.wait_s("a"), backlog.wait_s("b")) == (8.0, 2.0), "all is booked"


def test_a_backend_that_a_fixed_fleet_has_no_place_for_is_left_to_eft() -> None:
    class Fixed(Stubborn):
        places = ("a", "b")

    may_go = one(9, a=2.0, b=1.0, c=0.5)
    may_not = replace(may_go, candidates=(*may_go.candidates[:2], replace(may_go.candidates[2], rejections=("no",))))
    choices = place(Guarded(Fixed), [BATCH[0], may_go, may_not])
    assert reasons(choices) == ["", "fleet", ""]
    assert choices[1] == {"c": 1.0}


def test_a_checkpoint_that_cannot_be_read_is_waited_for() -> None:
    there = False

    def make() -> Learned:
        if not there:
            raise FileNotFoundError("mappo-1f3c.npz")
        return Stubborn()

    policy = Guarded(make)
    assert reasons(place(policy)) == ["checkpoint"] * 5
    there = True
    assert reasons(place(policy)) == [""] * 5


def test_a_policy_that_fails_leaves_nothing_booked() -> None:
    class Broken(Stubborn):
        def decide(self, table: Table, backlog: Backlog) -> list[Choice]:
            super().decide(table, backlog)
            raise ZeroDivisionError

    backlog = Backlog(APART)
    choices = Guarded(Broken).place(BATCH[:1], backlog, Scales())
    assert reasons(choices) == ["error"]
    assert (backlog.wait_s("a"), backlog.wait_s("b")) == (0.0, 1.0)


def test_a_slow_policy_rests_and_is_tried_again_later_and_later() -> None:
    slow = Stubborn(takes_s=SLOW_S + 0.1)
    policy = Guarded(lambda: slow, clock=lambda: slow.now_s)
    assert reasons(place(policy)) == [""] * 5, "a late answer still counts"
    for expected in (REST, 2 * REST, 4 * REST):
        rested = 0
        while reasons(place(policy)) == ["slow"] * 5:
            rested += 1
        assert rested == expected
    for _ in range(2 * MOST_REST):
        policy.chances(BATCH, Backlog(APART), Scales())  # to ask is not to decide
    slow.takes_s = 0.0
    rested = 0
    while reasons(place(policy)) == ["slow"] * 5:
        rested += 1
    assert rested == 8 * REST
    assert [reasons(place(policy)) for _ in range(3)] == [[""] * 5] * 3, "it has recovered"


def test_who_has_no_chances_is_certain() -> None:
    assert Guarded(Stubborn).chances(BATCH, Backlog(APART), Scales()) == [{"a": 1.0}] * 5


def test_every_reason_is_known() -> None:
    assert set(FALLBACKS) == {"error", "range", "fleet", "estimates", "checkpoint", "slow"}
    assert {name for name in ("bandit", "lcb", "joint") if isinstance(load(name), Guarded)} == {
        "bandit",
        "lcb",
        "joint",
    }
