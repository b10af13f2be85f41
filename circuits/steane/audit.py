"""Every single fault of one round: which of them turn the logical value of a shot that is kept?

A fault-tolerant scheme has none. Each fault is one shot of one simulation, so nothing is drawn at random but the bits
that are random without faults, too. Branches are not looked into: without an earlier fault no shot enters one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import stim

from circuits.steane.code import Rows
from circuits.steane.extraction import SCHEMES, decode
from circuits.steane.family import memory_circuit
from circuits.steane.frames import run, steps, turn, with_noise
from circuits.steane.noise import CHANNELS, Place


@dataclass(frozen=True)
class Fault:
    """One Pauli at one location.

    Attributes:
        place: number of the location, in time order.
        pauli: one letter for each of ``qubits``.
        qubits: that it acts on.
    """

    place: int
    pauli: str
    qubits: tuple[int, ...]


@dataclass(frozen=True)
class Audit:
    """What single faults do.

    Attributes:
        num_faults: locations times their Paulis.
        rejected: faults whose shot is discarded.
        failures: faults that are accepted and leave the wrong logical value.
    """

    num_faults: int
    rejected: int
    failures: tuple[Fault, ...]


def audit(scheme: str, basis: str, rounds: int = 1, seed: int = 0) -> Audit:
    """Try every Pauli at every location of a memory experiment with a perfect state before and readout after it.

    Args:
        scheme: key of ``SCHEMES``.
        basis: "z" or "x".
        rounds: of syndrome extraction, >= 1.
        seed: of the bits that are random without faults, too.
    """
    circuit, span = memory_circuit(scheme, rounds, basis, reset_all=True)
    program = steps(circuit, span)
    faults = [
        Fault(number, pauli, step.qubits)
        for number, step in enumerate(program)
        if isinstance(step, Place)
        for pauli in CHANNELS[step.channel][1]
    ]
    rng = np.random.default_rng(seed)
    simulator = stim.FlipSimulator(batch_size=len(faults), num_qubits=circuit.num_qubits, seed=seed)
    bits = np.zeros((circuit.num_clbits, len(faults)), dtype=np.bool_)
    by_place: dict[int, list[int]] = {}
    for shot, fault in enumerate(faults):
        by_place.setdefault(fault.place, []).append(shot)
    for number, step in enumerate(program):
        if isinstance(step, Place):
            turn(simulator, _paulis(faults, by_place[number], circuit.num_qubits))
        else:
            run(with_noise([step], 0.0), simulator, bits, rng)
    value, kept = decode(SCHEMES[scheme], bits, rounds, basis)
    wrong = tuple(faults[shot] for shot in np.flatnonzero(value & kept))
    return Audit(len(faults), int(np.count_nonzero(~kept)), wrong)


def _paulis(faults: list[Fault], shots: list[int], num_qubits: int) -> tuple[Rows, Rows]:
    """X part and Z part of the faults of some shots; bool (num_qubits, len(faults)) each."""
    xs, zs = (np.zeros((num_qubits, len(faults)), dtype=np.bool_) for _ in "XZ")
    for shot in shots:
        for letter, qubit in zip(faults[shot].pauli, faults[shot].qubits, strict=True):
            xs[qubit, shot] = letter in "XY"
            zs[qubit, shot] = letter in "ZY"
    return xs, zs
