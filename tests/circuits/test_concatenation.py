"""The MEQC paper's resource model of concatenated codes, eqs. (39) to (42)."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.concatenation import (
    GateCounts,
    physical_gates,
    physical_gates_closed,
    physical_gates_leading,
    physical_qubits,
    success_probability,
)
from circuits.errors import InvalidParameter

IDLE = GateCounts(0, 0, 1, 0)
numbers = st.floats(0, 1e4)


def test_qubits_of_equation_39() -> None:
    assert [physical_qubits(1, level) for level in (0, 1, 2, 3)] == [1, 91, 8281, 753571]


def test_an_idle_logical_qubit_at_level_one() -> None:
    assert astuple(physical_gates(IDLE, 1)) == pytest.approx((64 / 3, 28 / 3, 12.0, 28 / 3))


@given(numbers, numbers, numbers, numbers, st.integers(0, 5))
def test_closed_form_equals_the_matrix_power(two: float, one: float, idle: float, measure: float, level: int) -> None:
    logical = GateCounts(two, one, idle, measure)
    exact = astuple(physical_gates(logical, level))
    assert astuple(physical_gates_closed(logical, level)) == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("level", "off"), [(1, 0.21), (2, 0.0072), (3, 0.0003)])
def test_equation_42_is_the_leading_term(level: int, off: float) -> None:
    exact, leading = astuple(physical_gates(IDLE, level)), astuple(physical_gates_leading(1, level))
    assert max(abs(b / a - 1) for a, b in zip(exact, leading, strict=True)) <= off
    if level == 1:
        assert leading == pytest.approx((22.14, 9.69, 10.03, 9.69), abs=0.005)


def test_success_of_equation_10() -> None:
    assert success_probability(1000, 1e-4, 1) == pytest.approx(1 - 1000 * 2e-4 * 0.25)
    assert success_probability(1000, 2e-4, 3) == pytest.approx(0.8)  # at the threshold no level helps
    assert success_probability(1000, 1.0, 8) == 0.0


@pytest.mark.parametrize("level", [-1, 9, True, 1.0])
def test_levels_out_of_range_are_refused(level: int) -> None:
    with pytest.raises(InvalidParameter, match="level"):
        physical_qubits(1, level)
