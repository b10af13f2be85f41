"""A curve is found again from the times it gives, and one that foretells nothing better is not put in force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import time
from types import SimpleNamespace

import pytest
from qiskit import QuantumCircuit

from backends import BACKENDS, curves, load
from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.curves import QUICK, THOROUGH, Row, Sweep, calibrate, chained, factor_off, fit, layered, sweeps_of
from backends.errors import UnsupportedCircuit
from circuits.family import Run
from circuits.features import features
from tests.here import is_here

BUILT_IN = CostCurve(overhead_s=1e-3, shot_s=1e-6, fixed_gate_s=1e-5, gate_s=1e-9, qubit_exponent=1.0)
SLOWER = CostCurve(overhead_s=5e-3, shot_s=4e-6, fixed_gate_s=3e-5, gate_s=5e-9, qubit_exponent=1.0)


class Clockwork:
    """A backend that takes exactly as long as a curve says, told and not waited for."""

    def __init__(self, truth: CostCurve, device: Device) -> None:
        self._truth = truth
        self._device = device
        self.num_runs = 0
        self.clock_s = 0.0

    def device(self) -> Device:
        return self._device

    def warm_up(self) -> None:
        """Nothing to warm."""

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        if circuits[0].num_qubits > self._device.max_active_qubits:
            raise UnsupportedCircuit("too wide")
        return list(circuits)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        self.num_runs += 1
        asked = features(prepared[0])
        late = 1.0 if seed % 2 else 1.02
        run_s = self._truth.run_s(asked.num_qubits, asked.num_gates, runs[0].shots) * late
        self.clock_s += run_s
        return Execution(({"0": 1},), run_s)


Made = Callable[..., Clockwork]


@pytest.fixture
def clockwork(device: Device, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes such backends; nothing takes time meanwhile but they."""

    def made(truth: CostCurve, like: Device = device) -> Clockwork:
        one = Clockwork(truth, like)
        told = SimpleNamespace(perf_counter=lambda: one.clock_s, process_time=lambda: one.clock_s, time=time)
        monkeypatch.setattr(curves, "time", told)
        return one

    return made


@pytest.fixture(scope="module")
def device() -> Device:
    return replace(load("aer_statevector").device(), cost_curve=BUILT_IN)


def test_a_curve_is_found_again_from_its_own_times() -> None:
    sweep = Sweep((4, 8, 12), (1, 1000), (0.0, 1.0))
    rows = [
        Row(width, gates, shots, time_s, time_s, time_s)
        for width in sweep.widths
        for gates in (10, 100)
        for shots in sweep.shots
        for time_s in [SLOWER.run_s(width, gates, shots)]
    ]
    found = fit(sweep, rows)
    assert found.worst_factor == pytest.approx(1.0, abs=1e-6)
    assert found.curve.overhead_s == pytest.approx(SLOWER.overhead_s)
    assert found.curve.gate_s == pytest.approx(SLOWER.gate_s)
    assert found.curve.qubit_exponent == 1.0


def test_calibrating_a_slower_machine_foretells_what_was_held_out(clockwork: Made) -> None:
    told: list[tuple[int, int]] = []
    found = calibrate(clockwork(SLOWER), step=lambda done, total: told.append((done, total)))
    assert found is not None
    assert found.improved
    assert found.factor < 1.05 < 2.0 < found.factor_before
    assert found.curve.measured_at == found.measured_at
    assert found.num_held_out > 0
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)]


def test_a_curve_that_is_right_already_stays(clockwork: Made) -> None:
    truth = replace(BUILT_IN, overhead_s=BUILT_IN.overhead_s * 1.0001)
    found = calibrate(clockwork(truth))
    assert found is not None
    assert found.factor_before < 1.03


def test_what_would_take_long_is_left_out(clockwork: Made) -> None:
    quick = clockwork(BUILT_IN)
    found = calibrate(quick, replace(QUICK, within_s=4e-3))
    assert found is not None
    assert 0 < found.num_rows < 24
    nothing = clockwork(BUILT_IN)
    left = calibrate(nothing, replace(QUICK, within_s=0.0))
    assert left is not None
    assert (left.num_rows, left.num_held_out, left.improved, nothing.num_runs) == (0, 0, False, 0)


def test_both_engines_of_an_emulated_device_are_measured(clockwork: Made) -> None:
    device = load("fake_hanoi").device()
    before = device.cost_curve
    assert before is not None
    truth = replace(SLOWER, qubit_exponent=2.0, gate_s=1e-8)
    found = calibrate(clockwork(truth, device), THOROUGH)
    assert found is not None
    assert found.curve.up_to_qubits == before.up_to_qubits
    assert found.curve.beyond is not None
    assert found.curve.beyond != before.beyond
    quick = calibrate(clockwork(truth, device))
    assert quick is not None
    assert quick.curve.beyond == before.beyond, "trajectories take too long for a quick look: what was known stays"


def test_what_is_not_simulated_here_has_nothing_to_measure() -> None:
    assert sweeps_of(load("cpu").device()) == ()
    assert calibrate(load("cpu")) is None
    assert sweeps_of(replace(load("fake_hanoi").device(), kind="qpu", cost_curve=None)) == ()
    for name in filter(is_here, BACKENDS):
        device = load(name).device()
        assert all(max(sweep.widths) <= device.max_active_qubits for sweep in sweeps_of(device)), name


@pytest.mark.parametrize("clifford", [True, False])
def test_held_out_circuits_are_others_than_those_of_the_fit(clifford: bool) -> None:
    fitted, held_out = features(layered(6, 2, clifford=clifford)), features(chained(6, clifford=clifford))
    assert fitted.clifford == held_out.clifford == clifford
    assert held_out.two_qubit_depth > fitted.two_qubit_depth


def test_a_factor_is_the_same_either_way() -> None:
    row = Row(4, 10, 100, BUILT_IN.run_s(4, 10, 100) * 3.0, 0.0, 0.0)
    other = replace(row, median_s=row.median_s / 9.0)
    assert factor_off(BUILT_IN, row) == pytest.approx(factor_off(BUILT_IN, other)) == pytest.approx(3.0)
