"""Canaries: circuits like a job's whose outcome is known, run beside it where its own outcome cannot be judged.

A canary is made of the transpiled circuit, so that it meets the same qubits, gates and waits. What its shots show of
the known outcome becomes a weight: the share of shots without error, which ``backends.calibration.survival`` predicts.

- *Clifford*: every angle is rounded to a quarter turn, up or down by chance so that its mean stays, and alike wherever
  it occurs, so that what undoes itself still does; the ideal is a stabilizer simulation. It is read out as the job is
  if that leaves half of the bits certain (a GHZ state stays blind to its phase), else in the bases of a stabilizer
  drawn at random, whose mean is the fidelity of the state [Flammia & Liu 2011, Phys. Rev. Lett. 106 230501;
  second-hand]. Dynamic circuits are read out as they are.
- *mirror*: the first half of the gates, a random Pauli, and the inverse of the half [Proctor et al. 2022, Nat. Phys.
  18 75; second-hand]. The Pauli is carried through the inverse, whose angles change sign where it anticommutes, so that
  one outcome is certain whatever the angles. Static circuits alone.

The trip uses the first; examples/benchmarks/canaries.py holds both against fidelities that can be known. Not covered:
circuits on gates that are not Clifford at any angle, such as sqrt-iSWAP.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean
from typing import TYPE_CHECKING

from backends.backend import Device, TranspileOptions
from backends.calibration import Calibration
from circuits.family import Counts, Run
from circuits.seeds import derive

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction
    from qiskit.quantum_info import Pauli

COPIES = 4
"""Canaries of one job, each with angles and bases of its own; more average over more, and cost more runs (ours)."""

FEWEST_SHOTS = 512
"""Of all canaries of a job together: their weight then has a standard error of at most 0.05 (ours)."""

_SURPLUS = 40
"""Ideal shots beyond the number of bits: a parity that they all share is a chance event once in 2^40."""

_TURNED = frozenset({"rx", "ry", "rz", "p", "u1", "u", "u2", "u3", "r", "rxx", "ryy", "rzz", "rzx"})
_SELF_INVERSE = frozenset({"id", "x", "y", "z", "h", "cx", "cz", "ecr", "swap"})
_READOUT = frozenset({"measure", "barrier"})


@dataclass(frozen=True)
class Canary:
    """A circuit, and what is certain of its outcome.

    Attributes:
        circuit: on the device's qubits and gates.
        checks: independent parities of classical bits, each as the mask of its bits and their sum modulo 2.
    """

    circuit: QuantumCircuit
    checks: tuple[tuple[int, int], ...]

    def weight(self, counts: Mapping[str, int]) -> float:
        """Weight of the ideal beside uniform noise, from the shots that pass all checks; chance may take it below 0.

        w = (passed - 2^-r) / (1 - 2^-r)  with r checks        (ours)
        """
        passed = sum(
            number
            for bits, number in counts.items()
            if all((int(bits, 2) & mask).bit_count() % 2 == parity for mask, parity in self.checks)
        )
        by_chance = 2.0 ** -len(self.checks)
        return (passed / sum(counts.values()) - by_chance) / (1.0 - by_chance)


def num_shots(device: Device, share: float, shots: int) -> int:
    """Shots that canaries take beside a run whose outcome nobody can judge; 0 on an ideal, or a remote, device.

    Args:
        share: of the run's own ``shots`` that may be spent besides; no less than ``FEWEST_SHOTS`` are.
    """
    if not share or device.calibration is None or device.remote:
        return 0
    return max(FEWEST_SHOTS, math.ceil(share * shots))


def canaries(circuit: QuantumCircuit, calibration: Calibration, *, seed: int) -> list[Canary]:
    """What is run beside a transpiled circuit; empty if no canary of it has a certain outcome."""
    made = (clifford(circuit, calibration, seed=derive(seed, "copy", copy)) for copy in range(COPIES))
    return [one for one in made if one is not None and one.checks]


def runs(asked: Sequence[Canary], shots: int, *, first: int = 0) -> list[Run]:
    """The runs of these canaries, which share the shots; ``first`` is the index of the first one's circuit."""
    return [Run(math.ceil(shots / len(asked)), circuit=first + index) for index in range(len(asked))]


def judged(asked: Sequence[Canary], counts: Sequence[Counts]) -> float:
    """The mean weight of these canaries, in [0, 1]; at least one."""
    found = fmean(one.weight(part) for one, part in zip(asked, counts, strict=True))
    return max(0.0, min(1.0, found))


# ── Clifford ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def clifford(circuit: QuantumCircuit, calibration: Calibration, *, seed: int) -> Canary | None:
    """A Clifford circuit of the same gates on the same qubits; None if rounding angles makes none of it."""
    from circuits.features import features
    from circuits.structure import is_dynamic

    rng = random.Random(seed)
    rounded = _rounded(circuit, {}, rng)
    if not features(rounded).clifford:
        return None
    certain = _checks(rounded)
    if is_dynamic(rounded) or 2 * len(certain) >= features(rounded).num_measurements:
        return Canary(rounded, certain)
    turned = _along_a_stabilizer(rounded, {gate.gate for gate in calibration.gates}, rng)
    return Canary(rounded, certain) if turned is None else Canary(turned, _checks(turned))


def _rounded(circuit: QuantumCircuit, lots: dict[float, float], rng: random.Random) -> QuantumCircuit:
    """Every angle at one of the two quarter turns beside it, the nearer one more often; bodies of branches, too.

    Args:
        lots: the one drawn for each distance from a quarter turn.
    """

    def quarter_turns(angle: float) -> float:
        nearest = round(2.0 * angle / math.pi)
        off = 2.0 * angle / math.pi - nearest
        lot = lots.setdefault(round(abs(off), 9), rng.random())
        return nearest + (math.copysign(1.0, off) if lot < abs(off) else 0.0)

    rounded = circuit.copy_empty_like()
    for item in circuit.data:
        operation = item.operation
        if item.is_control_flow():
            operation = operation.replace_blocks([_rounded(block, lots, rng) for block in operation.blocks])
        elif item.name in _TURNED:
            angles = [quarter_turns(float(angle)) * math.pi / 2.0 for angle in operation.params]
            operation = operation.to_mutable()
            operation.params = angles
        rounded._append(item.replace(operation=operation))
    return rounded


def _checks(circuit: QuantumCircuit) -> tuple[tuple[int, int], ...]:
    """All independent parities of classical bits that are certain, from ideal shots."""
    from backends import aer, stim
    from circuits.structure import has_feed_forward

    engine = aer.stabilizer() if has_feed_forward(circuit) else stim.Stim()
    prepared = engine.prepare([circuit], TranspileOptions())
    shots = circuit.num_clbits + _SURPLUS
    memory = engine.run(prepared, [Run(shots)], seed=7, memory=True).memory
    first, *others = [int(bits, 2) for bits in memory[0]] if memory else [0]
    writing = [item for item in circuit.data if item.name == "measure" or item.is_control_flow()]
    written = {circuit.find_bit(bit).index for item in writing for bit in item.clbits}  # the rest is 0 on any device
    masks = _orthogonal([first ^ other for other in others], [1 << bit for bit in sorted(written)])
    return tuple((mask, (mask & first).bit_count() % 2) for mask in masks)


def _orthogonal(rows: Sequence[int], units: Sequence[int]) -> list[int]:
    """A basis of the vectors over these unit vectors whose product with every row is even; bits are coordinates."""
    pivots: dict[int, int] = {}  # unit -> reduced row with that coordinate, which no other row has
    for row in rows:
        for unit, known in pivots.items():
            row ^= known if row & unit else 0
        lead = next((unit for unit in units if row & unit), 0)
        if lead:
            pivots = {unit: known ^ row if known & lead else known for unit, known in pivots.items()} | {lead: row}
    free = [unit for unit in units if unit not in pivots]
    return [unit | sum(lead for lead, row in pivots.items() if row & unit) for unit in free]


def _along_a_stabilizer(circuit: QuantumCircuit, gates: set[str], rng: random.Random) -> QuantumCircuit | None:
    """Read out in the bases of a random stabilizer of its final state; None if no measured qubits have one of theirs.

    Args:
        circuit: static and Clifford.   gates: of the device.
    """
    turn = next((turn for gate, turn in _TURNS.items() if gate in gates), None)
    paulis = _stabilizer(circuit, rng)
    if turn is None or not paulis:
        return None
    turned = circuit.copy_empty_like()
    last = max(number for number, item in enumerate(circuit.data) if item.name not in _READOUT)
    early = [item for item in circuit.data[: last + 1] if item.name == "measure"]
    for item in circuit.data[: last + 1]:
        if item.name != "measure":
            turned._append(item)
    for qubit, pauli in paulis.items():
        turn(turned, qubit, pauli)
    for item in (*early, *circuit.data[last + 1 :]):
        turned._append(item)
    return turned


def _stabilizer(circuit: QuantumCircuit, rng: random.Random) -> dict[int, str]:
    """Qubit -> "X" or "Y" of a random stabilizer of the final state on measured qubits, leaving out those with Z."""
    import stim

    from backends.conversion import to_stim
    from backends.stim import Stim
    from backends.transpilation import transpile

    written = transpile(Stim().device(), [circuit], TranspileOptions(optimization_level=0))[0]
    converted = to_stim(written)
    measured = {written.find_bit(item.qubits[0]).index for item in written.data if item.name == "measure"}
    simulator = stim.TableauSimulator()
    simulator.do(stim.Circuit("\n".join(str(gate) for gate in converted.circuit if gate.name != "M")))
    simulator.set_num_qubits(len(converted.qubits))
    generators = simulator.canonical_stabilizers()
    units = [1 << number for number in range(len(generators))]
    elsewhere = [place for place, qubit in enumerate(converted.qubits) if qubit not in measured]
    rows = [
        sum(unit for unit, one in zip(units, generators, strict=True) if one[place] in parts)
        for place in elsewhere
        for parts in ((1, 2), (2, 3))
    ]
    product = stim.PauliString(len(converted.qubits))
    for chosen in _some(_orthogonal(rows, units), rng):
        for unit, one in zip(units, generators, strict=True):
            if chosen & unit:
                product *= one
    return {qubit: "_XYZ"[product[place]] for place, qubit in enumerate(converted.qubits) if product[place] in (1, 2)}


def _some(members: Sequence[int], rng: random.Random) -> list[int]:
    """Each with an even chance, but not none of them."""
    return next(chosen for _ in count() if (chosen := [one for one in members if rng.random() < 0.5]) or not members)


def _turn_sx(circuit: QuantumCircuit, qubit: int, pauli: str) -> None:
    if pauli == "X":
        circuit.rz(math.pi / 2, qubit)
    circuit.sx(qubit)


def _turn_r(circuit: QuantumCircuit, qubit: int, pauli: str) -> None:
    circuit.r(math.pi / 2, math.pi / 2 if pauli == "X" else 0.0, qubit)


def _turn_rx(circuit: QuantumCircuit, qubit: int, pauli: str) -> None:
    if pauli == "X":
        circuit.rz(math.pi / 2, qubit)
    circuit.rx(math.pi / 2, qubit)


_TURNS: dict[str, Callable[[QuantumCircuit, int, str], None]] = {"sx": _turn_sx, "r": _turn_r, "rx": _turn_rx}
"""By a gate of the device: what brings X or Y of a qubit to Z, but for the sign."""


# ── mirror ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def mirror(circuit: QuantumCircuit, calibration: Calibration, *, seed: int) -> Canary | None:
    """Half of the circuit and back; None if it is dynamic, or has a gate that cannot be turned back by its own kind."""
    from circuits.structure import active_qubits, is_dynamic

    gates = [item for item in circuit.data if item.name not in (*_READOUT, "delay")]
    known = _SELF_INVERSE | {"rz", "sx"}
    if is_dynamic(circuit) or not {item.name for item in gates} | {"rz", "x"} <= known:
        return None
    if not {"rz", "x"} <= {gate.gate for gate in calibration.gates}:
        return None
    half = gates[: _middle(gates)]
    active = active_qubits(circuit)
    frame = _drawn(circuit.num_qubits, active, random.Random(seed))
    mirrored = circuit.copy_empty_like()
    for item in half:
        mirrored._append(item)
    mirrored.barrier(active)
    for qubit in active:
        if frame.z[qubit]:
            mirrored.rz(math.pi, qubit)
        if frame.x[qubit]:
            mirrored.x(qubit)
    mirrored.barrier(active)
    for item in reversed(half):
        where = [circuit.find_bit(qubit).index for qubit in item.qubits]
        for operation in _back(item, turned=bool(frame.x[where[0]])):
            mirrored._append(operation)
        if item.name != "rz":
            frame = frame.evolve(item.operation.inverse(), qargs=where, frame="s")
    for item in circuit.data:
        if item.name in _READOUT:
            mirrored._append(item)
    checks = {
        circuit.find_bit(item.clbits[0]).index: int(frame.x[circuit.find_bit(item.qubits[0]).index])
        for item in circuit.data
        if item.name == "measure"
    }
    return Canary(mirrored, tuple((1 << bit, value) for bit, value in sorted(checks.items())))


def _middle(gates: Sequence[CircuitInstruction]) -> int:
    """How many gates are the first half, by those on two qubits if there are any."""
    pairs = [number for number, item in enumerate(gates) if len(item.qubits) == 2]
    return pairs[(len(pairs) - 1) // 2] + 1 if pairs else (len(gates) + 1) // 2


def _drawn(num_qubits: int, qubits: Sequence[int], rng: random.Random) -> Pauli:
    """A random Pauli on these qubits."""
    import numpy as np
    from qiskit.quantum_info import Pauli

    z, x = np.zeros(num_qubits, dtype=bool), np.zeros(num_qubits, dtype=bool)
    for qubit in qubits:
        z[qubit], x[qubit] = rng.random() < 0.5, rng.random() < 0.5
    return Pauli((z, x))


def _back(item: CircuitInstruction, *, turned: bool) -> Iterator[CircuitInstruction]:
    """The inverse of a gate out of the same gates; of a rotation about Z as it is behind a Pauli that ``turned`` it."""
    from qiskit.circuit.library import RZGate

    if item.name == "rz":
        angle = float(item.operation.params[0])
        yield item.replace(operation=RZGate(angle if turned else -angle))
    elif item.name == "sx":
        half_turn = item.replace(operation=RZGate(math.pi))
        yield from (half_turn, item, half_turn)
    else:
        yield item
