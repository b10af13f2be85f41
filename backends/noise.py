"""Aer noise from our calibration records, one gate at a time, so that a slice costs only the gates it has.

A gate relaxes its qubits for as long as it lasts and then depolarises them by what is missing to its published average
infidelity; if relaxation alone is already worse, nothing is added. This is the device model that Aer documents for
``NoiseModel.from_backend``, built here from records instead of a vendor's backend object. Waiting is the addition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backends.calibration import Calibration, GateCalibration, QubitCalibration

if TYPE_CHECKING:
    from qiskit_aer.noise import NoiseModel

_MAX_DEPOLARISING = {1: 4.0 / 3.0, 2: 16.0 / 15.0}  # parameter of the channel whose output is most mixed by Paulis


Flips = tuple[float, float]
"""Probability to read 1 in state 0, and 0 in state 1."""


def noise_model(
    calibration: Calibration, qubits: Sequence[int], *, one_map: bool, flips: Sequence[Flips] | None = None
) -> NoiseModel:
    """Gate and readout noise of some of a device's qubits.

    Args:
        calibration: of the whole device.
        qubits: the device's qubit behind each of the slice's 0..k-1.
        flips: of each of these qubits; None for the published readout errors.
        one_map: write each error as one exact Kraus map. A density matrix takes that several times faster than a
            mixture of circuits, since Aer converts every error anew in each run. Trajectories need the mixture; see
            :func:`gate_error` for what it leaves out.
    """
    place = {qubit: position for position, qubit in enumerate(qubits)}
    model = readout_model(calibration, qubits, flips)
    for gate in calibration.gates:
        if all(qubit in place for qubit in gate.qubits) and (gate.error > 0.0 or gate.duration_s > 0.0):
            error = gate_error(gate, tuple(calibration.qubits[qubit] for qubit in gate.qubits), one_map=one_map)
            if error is not None:
                model.add_quantum_error(error, gate.gate, [place[qubit] for qubit in gate.qubits], warnings=False)
    return model


def readout_model(calibration: Calibration, qubits: Sequence[int], flips: Sequence[Flips] | None = None) -> NoiseModel:
    """Readout noise alone; arguments as for :func:`noise_model`."""
    from qiskit_aer.noise import NoiseModel, ReadoutError

    model = NoiseModel(basis_gates=sorted({gate.gate for gate in calibration.gates}))
    for position, qubit in enumerate(qubits):
        up, down = calibration.qubits[qubit].misread if flips is None else flips[position]
        model.add_readout_error(ReadoutError([[1.0 - up, up], [down, 1.0 - down]]), [position], warnings=False)
    return model


@lru_cache(maxsize=4096)
def gate_error(gate: GateCalibration, qubits: tuple[QubitCalibration, ...], *, one_map: bool = False) -> Any:
    """The gate's channel after its ideal action, a ``QuantumError``; None if it is the identity.

    Composing relaxation of average fidelity F, the coherent error before it if one is published, with a depolarising
    channel of parameter p leaves 1 - r = (1 - p) F + p/d, so p = d (r - 1 + F) / (d F - 1) for a published
    infidelity r.

    As a mixture (``one_map=False``) a qubit whose T2 is longer than its T1 relaxes Pauli-twirled: at the same rates,
    with the same infidelity, but without preferring the ground state. Its exact channel is a Kraus map, for about one
    in fifty of which Aer's trajectories end in "Kraus is empty", a failure of its eigenvalue solver.
    """
    from qiskit.circuit.library import UnitaryGate
    from qiskit.quantum_info import Kraus, SuperOp, average_gate_fidelity
    from qiskit_aer.noise import QuantumError, depolarizing_error

    from backends.fsim import fsim_matrix

    channel = _relaxing(qubits, gate.duration_s, exact=one_map)
    if gate.fsim is not None:
        coherent = QuantumError([([(UnitaryGate(fsim_matrix(*gate.fsim)), [0, 1])], 1.0)])
        channel = coherent if channel is None else coherent.compose(channel)
    fidelity = 1.0 if channel is None else float(average_gate_fidelity(channel.to_quantumchannel()))
    dimension = 2.0 ** len(qubits)
    parameter = dimension * (gate.error - 1.0 + fidelity) / (dimension * fidelity - 1.0)
    error = channel
    if parameter > 0.0:
        depolarising = depolarizing_error(min(parameter, _MAX_DEPOLARISING[len(qubits)]), len(qubits))
        error = depolarising if channel is None else channel.compose(depolarising)
    return QuantumError(Kraus(SuperOp(error))) if one_map and error is not None else error


def _relaxing(qubits: tuple[QubitCalibration, ...], duration_s: float, *, exact: bool) -> Any:
    if duration_s <= 0.0:
        return None
    channel = _thermal(qubits[0], duration_s, exact=exact)
    for qubit in qubits[1:]:
        channel = channel.expand(_thermal(qubit, duration_s, exact=exact))  # the first qubit is the least significant
    return channel


def relaxation(qubit: QubitCalibration, duration_s: float, *, exact: bool) -> Any:
    """What waiting does to a qubit, as an instruction. Durations are rounded to 1 ns, to keep few of them.

    Args:
        exact: if not, a mixture, as in :func:`gate_error`.
    """
    return _relaxation(qubit, max(1, round(duration_s * 1e9)), exact)


@lru_cache(maxsize=16384)
def _relaxation(qubit: QubitCalibration, duration_ns: int, exact: bool) -> Any:
    return _thermal(qubit, duration_ns * 1e-9, exact=exact).to_instruction()


def _thermal(qubit: QubitCalibration, duration_s: float, *, exact: bool) -> Any:
    """Relaxation to the ground state, or its Pauli twirl where it is no mixture; T2 is capped at 2 T1.

    Twirled: p_x = p_y = (1 - exp(-t/T1)) / 4 and p_z = (1 - exp(-t/T2)) / 2 - p_x.
    """
    from qiskit_aer.noise import pauli_error, thermal_relaxation_error

    t2_s = min(qubit.t2_s, 2.0 * qubit.t1_s)
    if exact or t2_s <= qubit.t1_s:
        return thermal_relaxation_error(qubit.t1_s, t2_s, duration_s)
    flip = -math.expm1(-duration_s / qubit.t1_s) / 4.0
    turn = max(0.0, -math.expm1(-duration_s / t2_s) / 2.0 - flip)
    return pauli_error([("I", 1.0 - 2.0 * flip - turn), ("X", flip), ("Y", flip), ("Z", turn)])
