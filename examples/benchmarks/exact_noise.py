"""What an emulated device answers, exactly: its noise as a density matrix, without shots."""

from __future__ import annotations

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from backends.aer import SINGLE_THREAD
from backends.calibration import Calibration
from backends.noise import noise_model
from backends.virtual.pieces import DENSITY_MATRIX, cut_slice
from backends.virtual.truth import Truth
from circuits.counts import to_bits
from circuits.structure import measurements


def answer(
    prepared: QuantumCircuit, calibration: Calibration, truth: Truth | None = None, moment: float = 0.0
) -> dict[str, float] | None:
    """Probability of every outcome of a transpiled circuit; None if it is too wide for a density matrix, or dynamic.

    Args:
        prepared: transpiled to the device.
        calibration: what the device does.
        truth: what it does besides.
        moment: seconds since the epoch, for readout that drifts.
    """
    piece = cut_slice(prepared, calibration, truth)
    if piece.method != DENSITY_MATRIX:
        return None
    targets = measurements(piece.circuit)
    qubits = sorted(set(targets.values()))
    bare = piece.circuit.copy_empty_like()
    for item in piece.circuit.data:
        if item.name not in ("measure", "barrier"):
            bare._append(item)
    bare.save_probabilities(qubits)
    simulator = AerSimulator(
        method=DENSITY_MATRIX, noise_model=noise_model(calibration, piece.qubits, one_map=True), **SINGLE_THREAD
    )
    found = np.asarray(simulator.run(bare, shots=1).result().data(0)["probabilities"])
    for place, qubit in enumerate(qubits):
        there = piece.qubits[qubit]
        up, down = calibration.qubits[there].misread if truth is None else truth.flips(there, moment)
        found = (np.array([[1.0 - up, down], [up, 1.0 - down]]) @ found.reshape(-1, 2, 2**place)).reshape(-1)
    places = {qubit: place for place, qubit in enumerate(qubits)}
    law: dict[str, float] = {}
    for value, chance in enumerate(found.tolist()):
        if chance > 1e-15:
            written = sum((value >> places[qubit] & 1) << clbit for clbit, qubit in targets.items())
            law[to_bits(written, prepared.num_clbits)] = chance
    return law
