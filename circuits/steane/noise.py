"""Where a circuit may fail and how: one convention for stim, for Aer and for the audit of single faults.

After a gate on one or two qubits: any of its 3 or 15 Paulis, with total probability p (stim's DEPOLARIZE1 and
DEPOLARIZE2; Qiskit's ``depolarizing_error`` has 4p/3 and 16p/15 for the same). After a reset and before a measurement:
a bit flip with probability p. Waiting costs nothing.        (the usual circuit-level noise, here without idling)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ControlFlowOp

from circuits.structure import NOT_GATES

CHANNELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "flip": ("X_ERROR", ("X",)),
    "one": ("DEPOLARIZE1", ("X", "Y", "Z")),
    "two": ("DEPOLARIZE2", tuple(first + second for first, second in product("IXYZ", repeat=2))[1:]),
}
"""Channel -> stim's name, and the Paulis that it mixes with equal weights."""


@dataclass(frozen=True)
class Place:
    """One location where something may go wrong.

    Attributes:
        channel: key of ``CHANNELS``.
        qubits: that it acts on.
    """

    channel: str
    qubits: tuple[int, ...]


def around(name: str, qubits: tuple[int, ...]) -> tuple[Place | None, Place | None]:
    """What may go wrong before and after an instruction."""
    if name == "measure":
        return Place("flip", qubits), None
    if name == "reset":
        return None, Place("flip", qubits)
    if name in NOT_GATES:
        return None, None
    return None, Place("one" if len(qubits) == 1 else "two", qubits)


def noisy(circuit: QuantumCircuit, span: range, error: float) -> QuantumCircuit:
    """The circuit with Aer's noise instructions in its instructions ``span``, branches included.

    Args:
        circuit: gates on one and two qubits.
        span: which of its instructions may fail.
        error: p, in [0, 1].
    """
    made = circuit.copy_empty_like()
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    for number, item in enumerate(circuit.data):
        operation = item.operation
        if number not in span:
            made._append(item)
        elif isinstance(operation, ControlFlowOp):
            blocks = [noisy(block, range(len(block.data)), error) for block in operation.blocks]
            made._append(CircuitInstruction(operation.replace_blocks(blocks), item.qubits, item.clbits))
        else:
            before, after = around(operation.name, tuple(index[bit] for bit in item.qubits))
            if before is not None:
                made.append(_aer_channel(before.channel, error), before.qubits)
            made._append(item)
            if after is not None:
                made.append(_aer_channel(after.channel, error), after.qubits)
    return made


@lru_cache(maxsize=64)
def _aer_channel(channel: str, error: float) -> Any:
    from qiskit_aer.noise import pauli_error

    paulis = CHANNELS[channel][1]
    nothing = "I" * len(paulis[0])
    return pauli_error([(nothing, 1.0 - error), *((pauli, error / len(paulis)) for pauli in paulis)]).to_instruction()
