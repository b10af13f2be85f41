"""Logarithm and exponential: near the library's everywhere that they are used, the same bits plain and compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from numba import njit

from policies.envs.entanglement.elementary import MOST, exponential, logarithm

CHANCE = np.random.default_rng(0)
ARGUMENTS = {
    logarithm: np.concatenate((np.exp(CHANCE.uniform(-200.0, 200.0, 2000)), 1.0 + CHANCE.uniform(-1e-3, 1e-3, 2000))),
    exponential: np.concatenate((CHANCE.uniform(-MOST, MOST, 2000), CHANCE.uniform(-1e-3, 1e-3, 2000))),
}
LIBRARY = {logarithm: math.log, exponential: math.exp}


@pytest.mark.parametrize("function", LIBRARY)
def test_it_is_the_librarys_but_for_the_last_bit(function: Any) -> None:
    for x in ARGUMENTS[function]:
        there = LIBRARY[function](x)
        assert abs(function(x) - there) <= math.ulp(there)


@pytest.mark.parametrize("function", LIBRARY)
def test_plain_and_compiled_give_the_same_bits(function: Any) -> None:
    row, x = njit(function), ARGUMENTS[function]
    assert [float(function(each)) for each in x] == [row(each) for each in x]


def test_what_is_known_exactly() -> None:
    assert logarithm(1.0) == 0.0
    assert exponential(0.0) == 1.0


def test_beyond_the_most_there_is_no_more() -> None:
    assert exponential(1e6) == exponential(MOST)
    assert exponential(-1e6) == exponential(-MOST) > 0.0
    assert exponential(7.0, 3.0) == exponential(3.0)
