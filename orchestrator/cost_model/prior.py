"""The prior: what calibration, circuit features and price lists alone say, before anything was measured."""

from __future__ import annotations

from backends.backend import Device
from backends.energy import energy_j
from orchestrator.job import Estimate
from orchestrator.preparation import Fit

PREPARE_GATE_S = 2e-5
"""Seconds to transpile one gate with a reused pass manager (ours, the order of magnitude; measurements correct it)."""

QPU_REPETITION_S = 250e-6
"""Seconds between two shots on a superconducting device (second-hand: the default repetition delay of IBM machines)."""


def prior(device: Device, fit: Fit, shots: int) -> Estimate:
    """Estimate of one assignment on a device where nothing like it has run yet.

    Args:
        device: as announced.   fit: the program on that device's target.   shots: of this assignment.
    """
    if device.cost_curve is not None:
        run_s = device.cost_curve.run_s(fit.num_qubits, fit.num_gates, shots)
    else:
        run_s = shots * (fit.duration_s + QPU_REPETITION_S)
    return of_service(device, run_s + PREPARE_GATE_S * fit.num_gates, fit.fidelity, shots)


def of_service(
    device: Device, service_s: float, fidelity: float, shots: int, num_observations: float = 0.0
) -> Estimate:
    """The estimate whose energy and price follow from how long the device is busy."""
    return Estimate(
        service_s=service_s,
        fidelity=fidelity,
        energy_j=energy_j(device, service_s),
        cost_usd=device.price.cost_usd(num_tasks=1, shots=shots, run_s=service_s),
        num_observations=num_observations,
    )
