"""Energy: what a run took and how that is known; the cryogenic power model of the mobile edge quantum computing paper.

Source: "Mobile Edge Quantum Computing" (MEQC), Appendices A and B, eqs (36)-(38), which take them from Fellous-Asiani
et al., arXiv 2209.05469 (the paper's [27]). Where the printed text does not settle a matter, the choice is marked ours.
These are powers of one physical gate or qubit; what a whole computation draws is a sum that the caller makes.

Not modelled there: control computers, laboratory infrastructure, and the cooling power's own efficiency beyond
Carnot's. They are most of what an installation draws, so two models stand beside each other (:data:`ENERGY_MODELS`):
"installation" is what the meter of the building would show, "cryogenic" what the paper's objective counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backends.backend import Device

HBAR_J_S = 1.054571817e-34
"""Reduced Planck constant, exact in the SI since 2019."""
BOLTZMANN_J_PER_K = 1.380649e-23
"""Boltzmann constant, exact in the SI since 2019."""

CPU_CORE_POWER_W = 10.0
"""One busy core with its share of memory and board (ours: a desktop or server socket at 65-280 W over 6-64 cores)."""

SUPERCONDUCTING_SYSTEM_POWER_W = 15_000.0
"""A superconducting processor with refrigerator, pumps and control electronics, attributed in full to the run.

Second-hand: about 15 kW is what Villalonga et al. (Quantum Sci. Technol. 5 034003, 2020) give for Google's Sycamore.
Dominated by cooling, so it hardly depends on the number of qubits; used for every emulated QPU here (ours).
"""


@dataclass(frozen=True)
class CryogenicParameters:
    """The paper's Section V.A, in SI units; fields it does not give are marked.

    Attributes:
        qubit_frequency_hz: 6 GHz.
        qubit_temperature_k: temperature of the coldest stage.
        generation_temperature_k: temperature where signals are generated.
        external_temperature_k: of the room (paper: T_ext = T_gen in eq 38).
        attenuation: total power ratio of the input line; 40 dB.
        num_stages: K.
        innermost_attenuation: A~_0. Not in the paper; 0 means that the last bit of drive power ends at the coldest
            stage (ours; 1 changes P_2 by less than 2 %).
        decay_time_s: 1/gamma, the qubit's quality. Not in the paper; 2 ms is ours.
        one_qubit_gate_s: tau_1.
        measurement_s: tau_M.
        timestep_s: tau_step. Not in the paper; the longest operation (ours).
        generation_heat_w: dissipated at the generation stage.
        hemt_heat_w: dissipated by the amplifiers at ``hemt_temperature_k``.
        paramp_heat_w: dissipated by the parametric amplifiers at ``paramp_temperature_k``.
        hemt_temperature_k: 70 K.
        paramp_temperature_k: 4 K.
    """

    qubit_frequency_hz: float = 6e9
    qubit_temperature_k: float = 0.1
    generation_temperature_k: float = 300.0
    external_temperature_k: float = 300.0
    attenuation: float = 1e4
    num_stages: int = 5
    innermost_attenuation: float = 0.0
    decay_time_s: float = 2e-3
    one_qubit_gate_s: float = 25e-9
    measurement_s: float = 100e-9
    timestep_s: float = 100e-9
    generation_heat_w: float = 10e-6
    hemt_heat_w: float = 50e-6
    paramp_heat_w: float = 10e-9
    hemt_temperature_k: float = 70.0
    paramp_temperature_k: float = 4.0


def stage_temperatures_k(parameters: CryogenicParameters) -> tuple[float, ...]:
    """Temperature of each cooling stage, from the qubits up, evenly spaced in orders of magnitude.

    T_i = T_qb (T_gen / T_qb)^((i - 1) / (K - 1)),  i = 1..K        [MEQC, eq. 36]
    """
    cold, ratio = parameters.qubit_temperature_k, parameters.generation_temperature_k / parameters.qubit_temperature_k
    steps = parameters.num_stages - 1
    return tuple(cold * ratio ** (stage / steps) for stage in range(parameters.num_stages))


def total_attenuations(parameters: CryogenicParameters) -> tuple[float, ...]:
    """Attenuation between each stage and the qubits, as a power ratio.

    A~_i = A_1 A_2 ... A_i  with  A_i = A^(1 / (K - 1)),  i = 1..K-1        [MEQC, eq. 36 and Appendix B]

    The attenuators sit at stages 1..K-1; none is needed where the signal is made.
    """
    steps = parameters.num_stages - 1
    return tuple(parameters.attenuation ** (stage / steps) for stage in range(1, parameters.num_stages))


def thermal_photons(temperature_k: float, frequency_hz: float) -> float:
    """Bose-Einstein occupation of a mode, dimensionless.

    n(T) = 1 / (exp(hbar w / k_B T) - 1)        [MEQC, below eq. 37]
    """
    return 1.0 / math.expm1(2.0 * math.pi * HBAR_J_S * frequency_hz / (BOLTZMANN_J_PER_K * temperature_k))


def qubit_error(parameters: CryogenicParameters) -> float:
    """Error probability of a physical qubit in one timestep.

    e = (gamma tau_step / 2) (1/2 + n(T_1) + sum_{i=1}^{K-1} (n(T_{i+1}) - n(T_i)) / A~_i)        [MEQC, eq. 37]
    """
    photons = [thermal_photons(t, parameters.qubit_frequency_hz) for t in stage_temperatures_k(parameters)]
    attenuations = total_attenuations(parameters)
    steps = zip(photons, photons[1:], attenuations, strict=False)
    leaked = math.fsum((hotter - colder) / attenuation for colder, hotter, attenuation in steps)
    return parameters.timestep_s / parameters.decay_time_s / 2.0 * (0.5 + photons[0] + leaked)


def pi_pulse_power_w(parameters: CryogenicParameters) -> float:
    """Power that turns |0> into |1> within a one-qubit gate.

    P_pi = hbar w_0 pi^2 / (4 gamma tau_1^2)        [MEQC, Appendix B]
    """
    energy_j = HBAR_J_S * 2.0 * math.pi * parameters.qubit_frequency_hz
    return energy_j * math.pi**2 / 4.0 * parameters.decay_time_s / parameters.one_qubit_gate_s**2


def two_qubit_gate_power_w(parameters: CryogenicParameters) -> float:
    """Power of a physical two-qubit gate averaged over the timestep: heat in the attenuators, removed at Carnot cost.

    P_2 = P_pi sum_{i=1}^{K} ((T_gen - T_i) / T_i) (A~_i - A~_{i-1})        [MEQC, Appendix B]

    The last term is zero, since T_K = T_gen.
    """
    hot = parameters.generation_temperature_k
    attenuations = (parameters.innermost_attenuation, *total_attenuations(parameters))
    stages = zip(stage_temperatures_k(parameters), attenuations, attenuations[1:], strict=False)
    heat = math.fsum((hot - cold) / cold * (outer - inner) for cold, inner, outer in stages)
    return pi_pulse_power_w(parameters) * heat


def one_qubit_gate_power_w(parameters: CryogenicParameters) -> float:
    """Power of a physical one-qubit gate averaged over the timestep.

    P_1 = (tau_1 / tau_step) P_2        [MEQC, Appendix B]
    """
    return parameters.one_qubit_gate_s / parameters.timestep_s * two_qubit_gate_power_w(parameters)


def measurement_power_w(parameters: CryogenicParameters) -> float:
    """Power of a physical measurement averaged over the timestep.

    P_M = (tau_M / tau_step) P_2        (ours: the paper names P_M and does not define it; by analogy with P_1)
    """
    return parameters.measurement_s / parameters.timestep_s * two_qubit_gate_power_w(parameters)


def qubit_power_w(parameters: CryogenicParameters) -> float:
    """Power that keeping one physical qubit costs, whatever it does.

    P_Q = (T_ext / T_gen) q_gen + (T_ext / T_hemt) q_hemt + (T_ext / T_para) q_para        [MEQC, eq. 38]
    """
    terms: Sequence[tuple[float, float]] = (
        (parameters.generation_temperature_k, parameters.generation_heat_w),
        (parameters.hemt_temperature_k, parameters.hemt_heat_w),
        (parameters.paramp_temperature_k, parameters.paramp_heat_w),
    )
    return math.fsum(parameters.external_temperature_k / temperature * heat for temperature, heat in terms)


def cryogenic_power_w(num_qubits: int, parameters: CryogenicParameters | None = None) -> float:
    """Most that the qubits of a device can draw: all are kept cold, every pair has a gate in every timestep.

    P = Q P_Q + (Q / 2) P_2        [MEQC, eq. 38 and Appendix B, at its largest number of parallel gates (ours)]

    The gates are 1.2 % of it at the paper's parameters, so that nobody need count them: less than what is not known
    of the rest.
    """
    known = parameters or CryogenicParameters()
    return num_qubits * (qubit_power_w(known) + two_qubit_gate_power_w(known) / 2.0)


@dataclass(frozen=True)
class EnergyModel:
    """How the energy of a run is known.

    Attributes:
        kind: "measured" or "modelled".   source: of the figures.
    """

    kind: str
    source: str


ENERGY_MODELS: dict[str, EnergyModel] = {
    "rapl": EnergyModel("measured", "the processor's own counters (RAPL), the run's share by its CPU time"),
    "cpu_time": EnergyModel("measured", "CPU time of the run, measured, times the stated power of a core (ours)"),
    "wall_time": EnergyModel("modelled", "time of the run times the device's stated power (ours)"),
    "installation": EnergyModel(
        "modelled", "time of the device times 15 kW, the whole installation (Villalonga et al. 2020, second-hand)"
    ),
    "cryogenic": EnergyModel(
        "modelled", "time of the device times what its qubits draw (MEQC eqs 36-38 and Appendix B, paper)"
    ),
    "mixed": EnergyModel("modelled", "a sum over shares that are known in different ways"),
}
"""Models by name; ``Measurement.energy_model`` names the one that was used."""


@dataclass(frozen=True)
class Energy:
    """Energy of one run, and the name of its model."""

    energy_j: float
    model: str


def model_of(device: Device) -> str:
    """Name of the model by which the device's energy is known before a run."""
    if device.energy_model:
        return device.energy_model
    return "cpu_time" if device.kind in ("simulator", "cpu") else "installation"


def energy_j(device: Device, run_s: float) -> float:
    """Energy expected of a run: the device's power times the run's time (ours)."""
    return device.power_w * run_s


def spent(device: Device, *, paid_s: float, cpu_s: float | None, rapl_j: float | None) -> Energy:
    """Energy of a run that was done.

    Args:
        paid_s: time of the device, or of the run where it is a simulator.
        cpu_s: CPU time that the run took here.   rapl_j: its share of what the processor says to have used.
    """
    model = model_of(device)
    if model == "cpu_time":
        if rapl_j is not None:
            return Energy(rapl_j, "rapl")
        if cpu_s is not None:
            return Energy(device.power_w * cpu_s, model)
        model = "wall_time"
    return Energy(energy_j(device, paid_s), model)


def with_qpu_model(device: Device, model: str) -> Device:
    """The device with "installation" or "cryogenic" as its model, if it is one of those that have the choice."""
    if model_of(device) not in ("installation", "cryogenic") or model_of(device) == model:
        return device
    watts = cryogenic_power_w(device.num_qubits) if model == "cryogenic" else SUPERCONDUCTING_SYSTEM_POWER_W
    return replace(device, power_w=watts, energy_model=model)
