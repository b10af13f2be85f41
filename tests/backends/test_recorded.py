"""Records of past days answer about any moment, with what was known then."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import CalibrationMissing
from backends.recorded import DAY_S, pending_jobs, perth_day, perth_place, perth_snapshot, place

NUM_DAYS = 181


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(st.floats(-4e9, 4e9), st.floats(-1e9, 2e9), st.sampled_from([300.0, 3600.0, DAY_S]), st.integers(1, 3000))
def test_a_moment_has_its_entry_and_the_same_one_a_whole_record_later(
    at: float, begins: float, step_s: float, number: int
) -> None:
    found = place(at, begins=begins, step_s=step_s, number=number)
    assert 0 <= found.index < number
    assert -1e-3 <= at - found.made_at < step_s + 1e-3
    middle = found.made_at + step_s / 2
    later = place(middle + number * step_s, begins=begins, step_s=step_s, number=number)
    assert later.index == place(middle, begins=begins, step_s=step_s, number=number).index


def test_the_newest_calibration_is_that_of_the_day() -> None:
    first = perth_place(moment("2023-01-01T00:00"))
    assert (first.index, first.made_at) == (0, moment("2023-01-01"))
    assert perth_place(moment("2023-01-01T23:59")) == first
    assert perth_place(moment("2023-01-02T00:00")).index == 1
    assert perth_place(moment("2023-06-30T12:00")).index == NUM_DAYS - 1
    assert perth_place(moment("2023-07-01T12:00")).index == 0, "beyond its end the record begins again"
    assert perth_place(moment("2022-12-31T12:00")).index == NUM_DAYS - 1


def test_a_day_is_what_was_recorded() -> None:
    snapshot = perth_snapshot(perth_day(0), moment("2023-01-01"))
    calibration = snapshot.calibration
    first = calibration.qubits[0]
    assert (first.t1_s, first.t2_s, first.readout_error) == pytest.approx((203.098e-6, 100.393e-6, 0.0157))
    assert first.readout_duration_s == pytest.approx(675.556e-9)
    assert snapshot.coupling == ((0, 1), (1, 2), (1, 3), (3, 5), (4, 5), (5, 6))
    there, back = (calibration.gate_table["cx", pair] for pair in ((0, 1), (1, 0)))
    assert there.error == back.error
    assert (there.duration_s, back.duration_s) == pytest.approx((391.111e-9, 426.667e-9))


def test_what_failed_to_calibrate_is_not_there() -> None:
    all_down = perth_place(moment("2023-06-25T12:00"))
    snapshot = perth_snapshot(perth_day(all_down.index), all_down.made_at)
    assert snapshot.coupling == ()
    assert "cx" not in snapshot.basis_gates
    one_down = perth_place(moment("2023-03-21T12:00"))
    assert (3, 5) not in perth_snapshot(perth_day(one_down.index), one_down.made_at).coupling


@pytest.mark.parametrize(
    ("machine", "at", "number"),
    [
        ("ibm_algiers", "2023-11-16T14:00", 42),
        ("ibm_algiers", "2023-11-26T14:04", 42),
        ("ibm_perth", "2023-11-16T14:04", 1328),
    ],
)
def test_pending_jobs_are_those_recorded_up_to_five_minutes_before(machine: str, at: str, number: int) -> None:
    found, recorded_at = pending_jobs(machine, moment(at))
    assert found == number
    assert 0 <= moment(at) - recorded_at < 300.0


@given(st.floats(0.0, 2e9), st.sampled_from(["ibm_perth", "ibm_nairobi", "ibmq_kolkata"]))
def test_a_hole_in_the_record_shows_what_was_known_before_it(at: float, machine: str) -> None:
    number, recorded_at = pending_jobs(machine, at)
    assert number >= 0
    assert 0.0 <= at - recorded_at < 2 * 3600.0
    assert pending_jobs(machine, recorded_at) == (number, recorded_at)


def test_an_unrecorded_machine_is_refused_with_those_that_are() -> None:
    with pytest.raises(CalibrationMissing, match=r"ibm_algiers, .*ibmq_mumbai.*got 'ibm_osaka'"):
        pending_jobs("ibm_osaka", 0.0)


def test_the_notice_lies_beside_the_data() -> None:
    text = files("backends").joinpath("data", "qonductor.NOTICE").read_text()
    assert "Copyright (c) 2023 Dmitry Lugovoy" in text
    assert "The above copyright notice and this permission notice shall be included" in text
