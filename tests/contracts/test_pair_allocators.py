"""What every registered allocator of pairs keeps to."""

from __future__ import annotations

import pytest

from circuits.errors import InvalidParameter
from orchestrator.entanglement import Delivered, EntanglementAllocator, PairDemand
from orchestrator.errors import InvalidDemand, UnknownLease, UnknownQuote
from policies.allocators.pairs import PAIR_ALLOCATORS, load
from policies.envs.qnum import topologies

NETWORK = topologies.dumbbell(2)
DEMAND = PairDemand("job", "0", "2", 3)

pytestmark = pytest.mark.parametrize("name", sorted(PAIR_ALLOCATORS))


def made(name: str) -> EntanglementAllocator:
    return load(name, NETWORK, seed=3)


def test_a_quote_is_pure_and_means_something(name: str) -> None:
    allocator = made(name)
    assert isinstance(allocator, EntanglementAllocator)
    other = PairDemand("job", "3", "1", 30, deadline_s=1e-9)
    quotes = allocator.quote([DEMAND, other])
    assert quotes == allocator.quote([DEMAND, other])
    for quote in quotes:
        assert quote.source == name
        assert quote.rate_hz > 0.0
        assert 0.0 <= quote.ready_p50_s <= quote.ready_p90_s
        assert 0.25 <= quote.fidelity_p10 <= quote.fidelity_mean <= 1.0
        assert 0.0 <= quote.deliver_probability <= 1.0
        assert quote.price >= 0.0
    assert quotes[1].deliver_probability < 1e-3
    assert quotes[1].ready_p50_s > quotes[0].ready_p50_s


def test_what_is_reserved_comes_in_order_and_no_more_than_that(name: str) -> None:
    allocator = made(name)
    (quote,) = allocator.quote([DEMAND])
    lease = allocator.reserve(quote.quote_id)
    assert lease.demand == DEMAND
    assert allocator.poll(lease) == []
    allocator.advance(100.0 * quote.ready_p90_s)  # type: ignore[attr-defined]
    pairs = allocator.poll(lease)
    assert [pair.number for pair in pairs] == [0, 1, 2]
    assert sorted(pair.ready_s for pair in pairs) == [pair.ready_s for pair in pairs]
    assert all(0.25 <= pair.fidelity <= 1.0 for pair in pairs)
    allocator.feedback(lease, Delivered(lease.lease_id, 3, pairs[-1].ready_s, 0.9, True))
    allocator.release(lease)
    allocator.release(lease)
    with pytest.raises(UnknownLease):
        allocator.poll(lease)


def test_what_others_reserved_is_in_front(name: str) -> None:
    allocator = made(name)
    before = allocator.quote([DEMAND])[0]
    allocator.reserve(allocator.quote([PairDemand("other", "0", "2", 40)])[0].quote_id)
    behind, urgent = allocator.quote([DEMAND, PairDemand("job", "0", "2", 3, priority=1.0)])
    assert behind.ready_p50_s > 3.0 * before.ready_p50_s
    assert urgent.ready_p50_s == before.ready_p50_s


def test_what_is_announced_is_there_when_it_is_wanted(name: str) -> None:
    allocator = made(name)
    p90_s = allocator.quote([DEMAND])[0].ready_p90_s
    allocator.announce([DEMAND], from_s=10.0 * p90_s)
    allocator.advance(20.0 * p90_s)  # type: ignore[attr-defined]
    lease = allocator.reserve(allocator.quote([DEMAND])[0].quote_id)
    pairs = allocator.poll(lease)
    assert len(pairs) == 3
    assert all(pair.ready_s == lease.granted_s for pair in pairs)


def test_an_announcement_is_told_of_and_can_be_withdrawn(name: str) -> None:
    allocator = made(name)
    (before,) = allocator.quote([DEMAND])
    allocator.announce([DEMAND], from_s=10.0 * before.ready_p90_s)
    allocator.advance(10.0 * before.ready_p90_s)  # type: ignore[attr-defined]
    (stored,) = allocator.quote([DEMAND])
    assert stored.stored > 0
    assert stored.ready_p50_s <= before.ready_p50_s
    assert 0.25 <= stored.stored_fidelity <= 1.0
    allocator.announce([DEMAND], from_s=20.0 * before.ready_p90_s)
    assert allocator.quote([DEMAND])[0].stored == stored.stored, "told again, it keeps what it has"
    allocator.withdraw("another")
    assert allocator.quote([DEMAND])[0].stored == stored.stored
    allocator.withdraw("job")
    assert allocator.quote([DEMAND])[0].stored == 0
    allocator.withdraw("job")


def test_what_cannot_be_is_refused_by_its_field(name: str) -> None:
    allocator = made(name)
    with pytest.raises(InvalidDemand, match=r"dst: .* got '0' and 'mars'"):
        allocator.quote([PairDemand("job", "0", "mars", 1)])
    with pytest.raises(UnknownQuote, match="quote_id"):
        allocator.reserve("nothing")
    old = allocator.quote([DEMAND])[0]
    allocator.advance(old.valid_until_s + 1.0)  # type: ignore[attr-defined]
    with pytest.raises(UnknownQuote):
        allocator.reserve(old.quote_id)


def test_an_unknown_name_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(InvalidParameter, match=name):
        load("nobody", NETWORK)
