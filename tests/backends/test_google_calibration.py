"""Google's published numbers as our records, and the shipped copies against their source."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from backends.google_calibration import parse_processor, read_grid, read_processor

DOCUMENT = {
    "taken_at": 1.0,
    "two_qubit_gate": "cz",
    "durations_ns": {"u": 25.0, "cz": 42.0, "measure": 600.0},
    "qubit_columns": ["row", "column", "t1_us", "pauli_error", "incoherent_error", "p00_error", "p11_error"],
    "qubits": [[0, 5, 50.0, 3e-3, 1e-3, 0.01, 0.05], [1, 5, 25.0, 6e-3, 1e-5, 0.02, 0.02]],
    "coupler_columns": ["first", "second", "pauli_error", "theta", "phi", "zeta", "gamma"],
    "couplers": [[0, 1, 0.01, 0.1, 0.2, 0.3, 0.4]],
}
NAMES = pytest.mark.parametrize(
    ("processor", "num_qubits", "num_couplers", "gate"),
    [("rainbow", 23, 32, "sqrt_iswap"), ("weber", 53, 86, "sqrt_iswap"), ("willow_pink", 105, 182, "cz")],
)


def test_errors_become_average_infidelities() -> None:
    table = parse_processor(DOCUMENT).calibration.gate_table
    assert table["u", (0,)].error == pytest.approx(2e-3)
    assert table["u", (0,)].duration_s == pytest.approx(25e-9)
    assert (table["rz", (1,)].error, table["rz", (1,)].duration_s) == (0.0, 0.0)
    assert table["cz", (0, 1)].error == pytest.approx(8e-3)


def test_a_coupler_looks_the_same_from_both_ends() -> None:
    table = parse_processor(DOCUMENT).calibration.gate_table
    assert table["cz", (0, 1)].fsim == (0.1, 0.2, 0.3, 0.4)
    assert table["cz", (1, 0)].fsim == (0.1, 0.2, -0.3, 0.4)


def test_readout_keeps_both_its_errors() -> None:
    qubit = parse_processor(DOCUMENT).calibration.qubits[0]
    assert qubit.misread == pytest.approx((0.01, 0.05))
    assert qubit.readout_error == pytest.approx(0.03)


def test_what_relaxation_does_not_explain_of_the_incoherent_error_is_dephasing() -> None:
    noisy, quiet = parse_processor(DOCUMENT).calibration.qubits
    gate_s = 25e-9
    t_phi_s = 1.0 / (1.0 / noisy.t2_s - 1.0 / (2.0 * noisy.t1_s))
    assert gate_s / 3.0 * (1.0 / noisy.t1_s + 1.0 / t_phi_s) == pytest.approx(1e-3)
    assert quiet.t2_s == pytest.approx(2.0 * quiet.t1_s), "no dephasing is left where relaxation explains all of it"


@NAMES
def test_shipped_processors_are_whole(processor: str, num_qubits: int, num_couplers: int, gate: str) -> None:
    found = read_processor(processor)
    assert (found.num_qubits, len(found.coupling), found.basis_gates[-1]) == (num_qubits, num_couplers, gate)
    grid = read_grid(processor)
    assert len(set(grid)) == num_qubits
    assert all(math.dist(grid[first], grid[second]) == 1.0 for first, second in found.coupling)
    assert all(0.0 < qubit.t2_s < 2.001 * qubit.t1_s < 200e-6 for qubit in found.calibration.qubits)
    assert all(0.0 < error < 0.6 for qubit in found.calibration.qubits for error in qubit.misread)
    assert all(0.0 < gate.error < 0.15 for gate in found.calibration.gates if gate.gate != "rz")


def test_they_are_what_cirq_google_ships(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cirq_google", reason="pip install cirq-google")
    path = Path(__file__).parents[2] / "examples" / "google_calibrations.py"
    spec = importlib.util.spec_from_file_location("google_calibrations", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(["--check"]) == 0, capsys.readouterr().out
