"""Cryogenic powers against independent reference values, their scaling, and the fleet's simple energy model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, load
from backends.energy import (
    CPU_CORE_POWER_W,
    ENERGY_MODELS,
    SUPERCONDUCTING_SYSTEM_POWER_W,
    CryogenicParameters,
    Energy,
    cryogenic_power_w,
    energy_j,
    measurement_power_w,
    model_of,
    one_qubit_gate_power_w,
    pi_pulse_power_w,
    qubit_error,
    qubit_power_w,
    spent,
    stage_temperatures_k,
    thermal_photons,
    total_attenuations,
    two_qubit_gate_power_w,
    with_qpu_model,
)
from tests.here import is_here

# decay time -> error per step, P_pi, P_1, P_2, P_M, at the paper's Section V.A and 40 dB; computed apart from this code
REFERENCE = {
    1e-3: (5.69941608109574e-05, 1.5695205857831285e-11, 6.764040711175593e-07, 2.7056162844702373e-06),
    2e-3: (2.84970804054787e-05, 3.139041171566257e-11, 1.3528081422351186e-06, 5.411232568940475e-06),
    1e-2: (5.69941608109574e-06, 1.5695205857831285e-10, 6.764040711175593e-06, 2.7056162844702373e-05),
}


@pytest.mark.parametrize("decay_time_s", REFERENCE)
def test_errors_and_powers_are_the_reference_ones(decay_time_s: float) -> None:
    parameters = CryogenicParameters(decay_time_s=decay_time_s)
    error, pi_pulse, one_qubit, two_qubit = REFERENCE[decay_time_s]
    assert qubit_error(parameters) == pytest.approx(error, rel=1e-6)
    assert pi_pulse_power_w(parameters) == pytest.approx(pi_pulse, rel=1e-6)
    assert one_qubit_gate_power_w(parameters) == pytest.approx(one_qubit, rel=1e-6)
    assert two_qubit_gate_power_w(parameters) == pytest.approx(two_qubit, rel=1e-6)
    assert measurement_power_w(parameters) == pytest.approx(two_qubit, rel=1e-6)
    assert qubit_power_w(parameters) == pytest.approx(2.250357142857143e-4, rel=1e-9)


def test_stages_run_from_the_qubits_to_room_temperature_in_equal_ratios() -> None:
    parameters = CryogenicParameters()
    temperatures = stage_temperatures_k(parameters)
    assert temperatures == pytest.approx([0.1, 0.7400828044922854, 5.477225575051662, 40.53600464421103, 300.0])
    assert total_attenuations(parameters) == pytest.approx([10.0, 100.0, 1000.0, 10000.0])
    photons = [thermal_photons(temperature, parameters.qubit_frequency_hz) for temperature in temperatures]
    assert photons == pytest.approx([0.059501905, 2.102479430, 18.52552476, 140.2728070, 1041.331037], rel=1e-6)


def test_the_refrigerator_of_one_qubit_is_dominated_by_its_amplifier() -> None:
    quiet = replace(CryogenicParameters(), hemt_heat_w=0.0)
    assert qubit_power_w(quiet) < 0.06 * qubit_power_w(CryogenicParameters())


@given(st.floats(1e-4, 1.0), st.floats(1.1, 100.0))
def test_better_qubits_err_less_and_draw_more(decay_time_s: float, factor: float) -> None:
    worse, better = (CryogenicParameters(decay_time_s=value) for value in (decay_time_s, factor * decay_time_s))
    assert qubit_error(better) == pytest.approx(qubit_error(worse) / factor)
    assert two_qubit_gate_power_w(better) == pytest.approx(two_qubit_gate_power_w(worse) * factor)


@given(st.floats(10.0, 1e6), st.floats(1.5, 100.0))
def test_more_attenuation_errs_less_and_costs_more(attenuation: float, factor: float) -> None:
    weak, strong = (CryogenicParameters(attenuation=value) for value in (attenuation, factor * attenuation))
    assert qubit_error(strong) < qubit_error(weak)
    assert two_qubit_gate_power_w(strong) > two_qubit_gate_power_w(weak)


def test_energy_of_a_run_is_power_times_time() -> None:
    assert energy_j(load("aer_statevector").device(), 2.5) == pytest.approx(2.5 * CPU_CORE_POWER_W)
    assert energy_j(load("fake_hanoi").device(), 1.0) > 100 * energy_j(load("cirq_simulator").device(), 1.0)


def test_what_the_qubits_draw_is_bounded_by_cooling_and_hardly_depends_on_gates() -> None:
    idle = 27 * qubit_power_w(CryogenicParameters())
    assert idle < cryogenic_power_w(27) < 1.02 * idle
    assert cryogenic_power_w(54) == pytest.approx(2 * cryogenic_power_w(27))
    assert cryogenic_power_w(27) < 1e-5 * SUPERCONDUCTING_SYSTEM_POWER_W, "what the building draws is not in the model"


def test_the_model_of_a_qpu_can_be_chosen_and_chosen_back_and_that_of_a_simulator_cannot() -> None:
    hanoi, aer = load("fake_hanoi").device(), load("aer_statevector").device()
    qubits = with_qpu_model(hanoi, "cryogenic")
    assert (model_of(hanoi), model_of(qubits), model_of(aer)) == ("installation", "cryogenic", "cpu_time")
    assert energy_j(qubits, 1.0) == pytest.approx(cryogenic_power_w(27))
    assert with_qpu_model(qubits, "installation").power_w == hanoi.power_w
    assert with_qpu_model(hanoi, "installation") is hanoi
    assert with_qpu_model(aer, "cryogenic") is aer
    assert qubits.target_version == hanoi.target_version


def test_energy_that_was_spent_names_how_it_is_known() -> None:
    aer, hanoi = load("aer_statevector").device(), load("fake_hanoi").device()
    assert spent(aer, paid_s=2.0, cpu_s=1.5, rapl_j=7.0) == Energy(7.0, "rapl")
    assert spent(aer, paid_s=2.0, cpu_s=1.5, rapl_j=None) == Energy(1.5 * CPU_CORE_POWER_W, "cpu_time")
    assert spent(aer, paid_s=2.0, cpu_s=None, rapl_j=None) == Energy(2.0 * CPU_CORE_POWER_W, "wall_time")
    assert spent(hanoi, paid_s=2.0, cpu_s=1.5, rapl_j=7.0) == Energy(30_000.0, "installation")
    gpu = replace(aer, energy_model="wall_time", power_w=300.0)
    assert spent(gpu, paid_s=2.0, cpu_s=0.1, rapl_j=1.0) == Energy(600.0, "wall_time")


def test_every_backend_has_a_model_with_a_source() -> None:
    for name in filter(is_here, BACKENDS):
        model = ENERGY_MODELS[model_of(load(name).device())]
        assert model.kind in ("measured", "modelled")
        assert any(word in model.source for word in ("ours", "second-hand", "paper", "counters")), name
