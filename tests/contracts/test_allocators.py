"""What every registered allocator keeps to."""

from __future__ import annotations

import numpy as np
import pytest

from circuits.errors import InvalidParameter
from policies.allocators import ALLOCATORS, load
from policies.allocators.optimum import optimum
from policies.envs.qnum import problem, topologies


@pytest.mark.parametrize("name", sorted(ALLOCATORS))
def test_an_allocation_is_feasible_and_no_better_than_the_optimum(name: str) -> None:
    for network in (topologies.dumbbell(3, "neg"), topologies.with_flows(topologies.nsfnet(), 12, "mixed", 3)):
        found = load(name)(network)
        assert found.rates_hz.shape == (network.num_flows,)
        assert found.werner.shape == (network.num_links,)
        assert ((found.werner > 0) & (found.werner <= 1)).all()
        made = problem.capacities_hz(network, found.werner)
        assert (problem.loads_hz(network, found.rates_hz) <= made * (1 + 1e-9) + 1e-9).all()
        assert problem.utility(network, found.rates_hz, found.werner) <= optimum(network).utility + 1e-6


@pytest.mark.parametrize("name", sorted(ALLOCATORS))
def test_the_same_network_gets_the_same_allocation(name: str) -> None:
    network = topologies.with_flows(topologies.nsfnet(), 6, "neg", 3)
    one, other = load(name)(network), load(name)(network)
    np.testing.assert_array_equal(one.rates_hz, other.rates_hz)
    np.testing.assert_array_equal(one.werner, other.werner)


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InvalidParameter, match="max_min_fair"):
        load("max_min_fare")
