"""A bucket never lets more through than its rate, and says how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bucket import RATES, MemoryBucket, Rate, rate_of
from orchestrator.errors import InvalidJob

RATE = Rate(per_s=2.0, burst=4.0)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def bucket(clock: Clock, rate: Rate = RATE) -> MemoryBucket:
    return MemoryBucket(lambda _: rate, clock)


def test_a_full_bucket_gives_its_burst_and_then_asks_for_patience() -> None:
    clock = Clock()
    one = bucket(clock)
    assert [one.take("ibm") for _ in range(5)] == [0.0, 0.0, 0.0, 0.0, 0.5]
    clock.now += 0.5
    assert one.take("ibm") == 0.0, "what was refused took nothing"
    assert one.take("ibm") == pytest.approx(0.5)
    assert one.take("braket") == 0.0, "each provider has its own"


@given(
    steps=st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.1, 4.0)), min_size=1, max_size=60),
    rate=st.builds(Rate, per_s=st.floats(0.2, 20.0), burst=st.floats(4.0, 9.0)),
)
def test_no_stretch_of_time_sees_more_than_burst_and_rate(steps: list[tuple[float, float]], rate: Rate) -> None:
    clock = Clock()
    one, gone = bucket(clock, rate), []
    for pause_s, tokens in steps:
        clock.now += pause_s
        if one.take("p", tokens) == 0.0:
            gone.append((clock.now, tokens))
    for first in range(len(gone)):
        for last in range(first, len(gone)):
            span_s = gone[last][0] - gone[first][0]
            assert sum(tokens for _, tokens in gone[first : last + 1]) <= rate.burst + rate.per_s * span_s + 1e-4


@given(st.floats(0.1, 4.0), st.integers(1, 30))
def test_who_waits_as_told_is_served(tokens: float, before: int) -> None:
    clock = Clock()
    one = bucket(clock)
    for _ in range(before):
        one.take("p", 1.0)
    wait_s = one.take("p", tokens)
    if wait_s:
        clock.now += wait_s + 1e-6
        assert one.take("p", tokens) == 0.0


@pytest.mark.parametrize("tokens", [0.0, -1.0, 4.5, float("nan")])
def test_what_no_bucket_can_give_is_refused(tokens: float) -> None:
    with pytest.raises(InvalidJob, match="tokens"):
        bucket(Clock()).take("p", tokens)


def test_every_provider_has_a_rate() -> None:
    assert rate_of("braket") is RATES["braket"]
    assert rate_of("somebody else").per_s > 0.0
    with pytest.raises(InvalidJob, match="per second"):
        Rate(0.0, 1.0)
