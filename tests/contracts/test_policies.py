"""What every registered policy keeps to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import UnknownPolicy
from orchestrator.job import Estimate
from orchestrator.placement import Backlog, Candidate, Lane, Policy, Request, Scales
from policies import POLICIES, load
from tests.policies.batches import LANES, batches, one

FEW_EXAMPLES = {"nsga2": 1}
"""Of policies that take their time."""


@pytest.fixture(scope="module", params=sorted(POLICIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def policy(name: str) -> Policy:
    if name == "nsga2":
        pytest.importorskip("pymoo", reason="pip install 'qorch[peers]'")
    return load(name)


def test_it_chooses_feasible_places_and_the_same_again(name: str, policy: Policy) -> None:
    @settings(max_examples=FEW_EXAMPLES.get(name, 25), deadline=None)
    @given(batch=batches(), busy_s=st.floats(0, 1e3))
    def check(batch: list[Request], busy_s: float) -> None:
        backlog = Backlog(LANES, {"w1": busy_s}, {"c": 2.0})
        choices = policy.place(batch, backlog.copy(), Scales())
        assert len(choices) == len(batch)
        for request, choice in zip(batch, choices, strict=True):
            assert set(choice) <= {candidate.backend for candidate in request.feasible}
            assert len(choice) <= request.spec.max_parts
            assert sum(choice.values()) == pytest.approx(1.0)
            assert all(share > 0 for share in choice.values())
        assert policy.place(batch, backlog.copy(), Scales()) == choices, "a decision can be taken again"
        if not hasattr(policy, "chances"):
            return
        for choice, chances in zip(choices, policy.chances(batch, backlog.copy(), Scales()), strict=True):
            assert sum(chances.values()) == pytest.approx(1.0)
            assert set(choice) <= set(chances), "what was chosen has a chance"

    check()


def test_an_empty_batch_is_no_trouble(policy: Policy) -> None:
    assert policy.place([], Backlog(LANES), Scales()) == []


def test_it_says_what_it_is(policy: Policy) -> None:
    assert (type(policy).__doc__ or "").strip()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownPolicy, match="greedy"):
        load("gredy")


def test_a_burst_does_not_herd() -> None:
    batch = [one(number, a=1.0, d=1.5) for number in range(1, 6)]
    lanes = (Lane("w1", 1, ("a",)), Lane("w3", 1, ("d",)))
    for name in ("eft", "greedy", "shortest_queue"):
        places = [next(iter(choice)) for choice in load(name).place(batch, Backlog(lanes), Scales())]
        assert set(places) == {"a", "d"}, name
    eft = [next(iter(choice)) for choice in load("eft").place(batch, Backlog(lanes), Scales())]
    assert eft == ["a", "d", "a", "a", "d"], "1, 1.5, 2, 3 and 3 seconds are the earliest ends"


def test_greedy_weighs_what_the_user_weighs() -> None:
    good, quick = Estimate(1.0, 0.99, 0.0, 0.0), Estimate(0.1, 0.80, 0.0, 0.0)
    request = one(1, a=1.0, d=0.1)
    candidates = (Candidate("a", good, good, 0.0, "v"), Candidate("d", quick, quick, 0.0, "v"))
    request = replace(request, candidates=candidates)
    lanes = (Lane("w1", 1, ("a",)), Lane("w3", 1, ("d",)))

    def chosen(latency: float, fidelity: float) -> str:
        objective = replace(request.spec.objective, latency=latency, fidelity=fidelity)
        asked = replace(request, spec=replace(request.spec, objective=objective))
        return next(iter(load("greedy").place([asked], Backlog(lanes), Scales())[0]))

    assert chosen(latency=0.1, fidelity=1.0) == "a"
    assert chosen(latency=5.0, fidelity=0.1) == "d"


def test_round_robin_takes_turns_and_random_follows_the_seed() -> None:
    batch = [one(number, a=1.0, d=1.0) for number in range(1, 9)]
    turns = [next(iter(choice)) for choice in load("round_robin").place(batch, Backlog(LANES), Scales())]
    assert turns == ["d", "a"] * 4
    drawn = [next(iter(choice)) for choice in load("random").place(batch, Backlog(LANES), Scales())]
    assert set(drawn) == {"a", "d"}


def test_best_fidelity_queues_at_the_best_device() -> None:
    good, equal, worse = (Estimate(1.0, fidelity, 0.0, 0.0) for fidelity in (0.9, 0.9, 0.8))
    candidates = tuple(Candidate(n, e, e, 0.0, "v") for n, e in (("a", good), ("d", equal), ("c", worse)))
    batch = [replace(one(number, a=1.0), candidates=candidates) for number in range(1, 4)]
    lanes = (Lane("w1", 1, ("a",)), Lane("w2", 1, ("d",)), Lane("w3", 1, ("c",)))
    places = [next(iter(choice)) for choice in load("best_fidelity").place(batch, Backlog(lanes), Scales())]
    assert places == ["a", "d", "a"], "of equally good ones the first that is free; never the worse one"
