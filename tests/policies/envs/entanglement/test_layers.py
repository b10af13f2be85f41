"""A layer is relu(x w + b), summed input by input, however many units there are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from numba import njit

from policies.envs.entanglement.layers import layer


@njit
def put(weights, biases, given, found):  # type: ignore[no-untyped-def]
    layer(weights, biases, given, found)


@pytest.mark.parametrize("units", [0, 1, 5, 8, 32, 45])
def test_sums_are_those_of_input_by_input(units: int) -> None:
    chance = np.random.default_rng(units)
    weights, biases, given = (chance.normal(size=shape).astype(np.float32) for shape in ((14, units), (units,), (14,)))
    given[3] = 0.0
    beyond = np.full(units + 3, 7.0, np.float32)
    put(weights, biases, given, beyond[:units])
    total = biases.copy()
    for value, row in zip(given, weights, strict=True):
        total += value * row
    assert beyond[:units].tolist() == np.maximum(total, np.float32(0.0)).tolist()
    assert beyond[units:].tolist() == [7.0, 7.0, 7.0]
