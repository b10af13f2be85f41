"""The approximate engine: a few noisy copies of a wide circuit, each of which gives many shots.

In each copy every gate and every wait is followed by a Pauli drawn with the probabilities that the calibration gives; a
copy is then a pure state, which is simulated once and sampled. Shots of one copy share its errors: with K copies the
distribution is a mean of K samples of the noise, however many shots are drawn. Relaxation acts as its Pauli twirl, a
gate's error as depolarising; readout errors are drawn for every shot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.aer import run_pools
from backends.calibration import Calibration, QubitCalibration
from backends.sampling import Pool, bind
from backends.virtual.pieces import Slice, woven
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction

MOST_COPIES, FEWEST_COPIES = 128, 16
_AMPLITUDES = 2**24


def num_copies(num_qubits: int, shots: int) -> int:
    """K: as many as 2^24 amplitudes in all allow, 16 to 128, and no more than there are shots (ours)."""
    return min(shots, max(FEWEST_COPIES, min(MOST_COPIES, _AMPLITUDES >> num_qubits)))


def draw_copies(piece: Slice, group: Pool, calibration: Calibration, *, seed: int) -> list[QuantumCircuit]:
    """Noisy copies of a slice for a pool of runs, with its parameters.

    Args:
        piece: with waits, and what the truth does, beside the circuit.
        group: the runs wanted.
        calibration: of the whole device.
        seed: of the errors.
    """
    rng = np.random.default_rng(seed)
    spots = _spots(piece, calibration)
    copies = num_copies(len(piece.qubits), sum(group.shots))
    return [bind(_copy(piece, spots, rng), group.parameters) for _ in range(copies)]


def run_copies(simulator: Any, copies: Sequence[QuantumCircuit], group: Pool, *, seed: int) -> list[str]:
    """The shots of a pool, in random order.

    Args:
        simulator: a state vector with readout errors.
        copies: as drawn.
        group: the runs wanted.
        seed: of the shots.
    """
    shots, number = sum(group.shots), len(copies)
    shares = [shots // number + (copy < shots % number) for copy in range(number)]
    pools = [Pool(copy, {}, (copy,), (share,)) for copy, share in enumerate(shares)]
    tally = run_pools(simulator, copies, pools, seed=seed, memory=True)
    every = [shot for copy in range(number) for shot in tally.memory[copy]]
    return [every[index] for index in np.random.default_rng(derive(seed, "order")).permutation(shots)]


_Spot = tuple[bool, int, tuple[int, ...], tuple[float, ...]]
"""Whether before the instruction or after it, its number, qubits of the slice, probabilities of X, Y, Z, IX, …"""


def _spots(piece: Slice, calibration: Calibration) -> list[_Spot]:
    index = {bit: position for position, bit in enumerate(piece.circuit.qubits)}
    weights = calibration.gate_weights
    spots: list[_Spot] = []
    for number, item in enumerate(piece.circuit.data):
        local = tuple(index[bit] for bit in item.qubits)
        weight = weights.get((item.name, tuple(piece.qubits[position] for position in local)))
        if weight is not None and weight < 1.0:
            others = 4 ** len(local) - 1
            spots.append((False, number, local, ((1.0 - weight) / others,) * others))
    for wait in piece.waits:
        twirled = _twirl(calibration.qubits[piece.qubits[wait.qubit]], wait.duration_s)
        spots.append((True, wait.before, (wait.qubit,), twirled))
    return spots


def _twirl(qubit: QubitCalibration, duration_s: float) -> tuple[float, float, float]:
    """Probabilities of X, Y, Z: p_x = p_y = (1 - exp(-t/T1)) / 4 and p_z = (1 - exp(-t/T2)) / 2 - p_x (second-hand)."""
    flip = -math.expm1(-duration_s / qubit.t1_s) / 4.0
    turn = -math.expm1(-duration_s / min(qubit.t2_s, 2.0 * qubit.t1_s)) / 2.0 - flip
    return flip, flip, max(0.0, turn)


def _copy(piece: Slice, spots: Sequence[_Spot], rng: np.random.Generator) -> QuantumCircuit:
    """The circuit with one draw of all errors."""
    from qiskit.circuit import CircuitInstruction

    paulis = _paulis()
    before: dict[int, list[CircuitInstruction]] = {}
    after: dict[int, list[CircuitInstruction]] = {number: list(done) for number, done in piece.after.items()}
    for (early, number, local, chances), lot in zip(spots, rng.random(len(spots)).tolist(), strict=True):
        choice = _chosen(chances, lot)
        for qubit in local:
            choice, pauli = divmod(choice, 4)
            if pauli:
                bit = piece.circuit.qubits[qubit]
                (before if early else after).setdefault(number, []).append(CircuitInstruction(paulis[pauli], (bit,)))
    return woven(piece.circuit, before, after)


def _chosen(chances: Sequence[float], lot: float) -> int:
    """0 for no error, else 1 + the index of the Pauli; in base 4 its digits are those of the qubits."""
    for index, chance in enumerate(chances):
        if lot < chance:
            return index + 1
        lot -= chance
    return 0


def _paulis() -> Mapping[int, Any]:
    """Labelled, so that no noise model takes them for the device's own gates."""
    from qiskit.circuit.library import XGate, YGate, ZGate

    return {1: XGate(label="error"), 2: YGate(label="error"), 3: ZGate(label="error")}
