"""Noisy circuits with feed-forward on stim: Pauli frames of many shots at once, each branch run by the shots it is for.

stim has no branches, but its ``FlipSimulator`` lets frames be read and written. Shots whose bits meet a condition are
moved to a simulator of their own, run the branch there, and come back with what changed (ours). A frame tells how a
shot differs from the noiseless run, so this holds where that run has one outcome for every bit that a condition reads,
namely 0, and where a branch changes nothing but the frame of a shot without errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import stim
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.circuit.classical import expr

from circuits.errors import InvalidProgram
from circuits.steane.code import Rows
from circuits.steane.noise import CHANNELS, Place, around

_NAMES = {"measure": "M", "reset": "R"} | {name: name.upper() for name in ("h", "x", "y", "z", "s", "cx", "cz")}
_FLIPS = {"x": "X_ERROR(1)", "y": "Y_ERROR(1)", "z": "Z_ERROR(1)"}
"""A Pauli gate turns no frame where every shot has it; in a branch the noiseless run, which takes none, has not."""
_LOGIC = {expr.Binary.Op.LOGIC_OR: np.logical_or, expr.Binary.Op.LOGIC_AND: np.logical_and}


@dataclass(frozen=True)
class Stretch:
    """Instructions without branches, and the classical bits that its measurements go to, in order."""

    circuit: stim.Circuit
    clbits: tuple[int, ...]


@dataclass(frozen=True)
class Branch:
    """What the shots do whose bits meet a condition, a boolean ``qiskit.circuit.classical.expr`` over ``clbits``."""

    condition: Any
    clbits: dict[Any, int]
    body: tuple[Step, ...]


Step = Stretch | Branch | Place


def steps(circuit: QuantumCircuit, span: range) -> tuple[Step, ...]:
    """The circuit, with a place before or after every instruction in ``span`` that may fail.

    Raises:
        InvalidProgram: an instruction that none of this knows.
    """
    return _steps(circuit, span, list(range(circuit.num_qubits)), list(range(circuit.num_clbits)))


def _steps(
    circuit: QuantumCircuit, span: range, outer: Sequence[int], outer_bits: Sequence[int], *, inside: bool = False
) -> tuple[Step, ...]:
    """As :func:`steps`; ``outer`` and ``outer_bits`` say which of the whole circuit's bits a branch's body has."""
    qubit_of = dict(zip(circuit.qubits, outer, strict=True))
    clbit_of = dict(zip(circuit.clbits, outer_bits, strict=True))
    made: list[Step] = []
    for number, item in enumerate(circuit.data):
        name, operation = item.operation.name, item.operation
        qubits = tuple(qubit_of[bit] for bit in item.qubits)
        clbits = tuple(clbit_of[bit] for bit in item.clbits)
        if name == "barrier":
            continue
        if isinstance(operation, ControlFlowOp):
            block, *otherwise = operation.blocks
            if name != "if_else" or otherwise or not isinstance(operation.condition, expr.Expr):
                raise InvalidProgram(f"wanted branches on an expression without an else, got {name!r}")
            body = _steps(block, range(len(block.data)) if number in span else range(0), qubits, clbits, inside=True)
            made.append(Branch(operation.condition, clbit_of, body))
            continue
        if name not in _NAMES:
            raise InvalidProgram(f"wanted instructions of {' '.join(_NAMES)}, got {name!r}")
        before, after = around(name, qubits) if number in span else (None, None)
        words = _FLIPS.get(name, _NAMES[name]) if inside else _NAMES[name]
        middle = Stretch(stim.Circuit(f"{words} {' '.join(map(str, qubits))}"), clbits)
        made += [step for step in (before, middle, after) if step is not None]
    return tuple(made)


def with_noise(program: Sequence[Step], error: float) -> tuple[Step, ...]:
    """Places become stim's noise of probability ``error``, and neighbours one stretch."""
    made: list[Step] = []
    for straight, group in groupby(program, lambda step: not isinstance(step, Branch)):
        if straight:
            circuit = stim.Circuit()
            clbits: list[int] = []
            for step in group:
                if isinstance(step, Place):
                    circuit.append(CHANNELS[step.channel][0], step.qubits, error)
                elif isinstance(step, Stretch):
                    circuit += step.circuit
                    clbits += step.clbits
            made.append(Stretch(circuit, tuple(clbits)))
        else:
            made += [replace(step, body=with_noise(step.body, error)) for step in group if isinstance(step, Branch)]
    return tuple(made)


def run(program: Sequence[Step], simulator: stim.FlipSimulator, bits: Rows, rng: np.random.Generator) -> None:
    """Run a program of stretches and branches.

    Args:
        program: as :func:`with_noise` gives it.
        simulator: whose frames are changed.
        bits: classical bits, written in place.        bool (num_clbits, batch)
        rng: gives branches their seeds.
    """
    for step in program:
        if isinstance(step, Stretch):
            simulator.do(step.circuit)
            for back, clbit in enumerate(reversed(step.clbits), start=1):
                bits[clbit] = simulator.get_measurement_flips(record_index=-back)
        elif isinstance(step, Branch):
            chosen = np.flatnonzero(_holds(step, step.condition, bits))
            if len(chosen):
                _aside(step.body, simulator, bits, chosen, rng)


def _holds(branch: Branch, node: Any, bits: Rows) -> NDArray[np.bool_]:
    """Value of a condition in every shot."""
    if isinstance(node, expr.Var):
        row: NDArray[np.bool_] = bits[branch.clbits[node.var]]
        return row
    if isinstance(node, expr.Unary) and node.op is expr.Unary.Op.LOGIC_NOT:
        return ~_holds(branch, node.operand, bits)
    if isinstance(node, expr.Binary) and node.op in _LOGIC:
        found: NDArray[np.bool_] = _LOGIC[node.op](_holds(branch, node.left, bits), _holds(branch, node.right, bits))
        return found
    raise InvalidProgram(f"wanted a condition of bits, and, or, not; got {node}")


def _aside(
    body: Sequence[Step], simulator: stim.FlipSimulator, bits: Rows, chosen: NDArray[np.intp], rng: np.random.Generator
) -> None:
    """Let the chosen shots run a body in a simulator of their own."""
    part = stim.FlipSimulator(batch_size=len(chosen), num_qubits=simulator.num_qubits, seed=int(rng.integers(2**62)))
    before = [frames[:, chosen] for frames in _frames(simulator)]
    turn(part, [old ^ new for old, new in zip(_frames(part), before, strict=True)])
    own = bits[:, chosen]
    run(body, part, own, rng)
    bits[:, chosen] = own
    changes = []
    for old, new in zip(before, _frames(part), strict=True):
        change = np.zeros((len(old), simulator.batch_size), dtype=np.bool_)
        change[:, chosen] = old ^ new
        changes.append(change)
    turn(simulator, changes)


def _frames(simulator: stim.FlipSimulator) -> tuple[Rows, Rows]:
    """X part and Z part of every frame; bool (num_qubits, batch) each."""
    xs, zs, *_ = simulator.to_numpy(output_xs=True, output_zs=True)
    return xs, zs


def turn(simulator: stim.FlipSimulator, changes: Sequence[Rows]) -> None:
    """Multiply frames by X where the first array says so, by Z where the second one does."""
    for letter, change in zip("XZ", changes, strict=True):
        simulator.broadcast_pauli_errors(pauli=letter, mask=change)
