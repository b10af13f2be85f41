"""What is said of a circuit and of a result: plain records that cross wires. No SDK is needed to read them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Features:
    """Named features of one circuit; counts are dimensionless.

    Attributes:
        num_qubits: qubits that something acts on.
        width: qubits declared.
        depth: longest chain of gates, measurements and resets over shared qubits or classical bits.
        two_qubit_depth: the same, counting only gates on two or more qubits.
        num_gates: gates, without measurements, resets, barriers and delays.
        num_1q: gates on one qubit.
        num_2q: gates on two qubits.
        num_multi: gates on three or more qubits.
        num_measurements: single-qubit measurements.
        num_clbits: classical bits declared.
        num_parameters: free parameters.
        dynamic: measurement in mid-circuit, reset of a used qubit, or control flow.
        clifford: every gate is Clifford, so a stabilizer simulator can run it.
        feed_forward: control flow: what is done depends on measured bits; such a circuit is dynamic, too.
    """

    num_qubits: int
    width: int
    depth: int
    two_qubit_depth: int
    num_gates: int
    num_1q: int
    num_2q: int
    num_multi: int
    num_measurements: int
    num_clbits: int
    num_parameters: int
    dynamic: bool
    clifford: bool
    feed_forward: bool = False


@dataclass(frozen=True)
class Bonds:
    """Bounds on the bonds of a circuit's matrix product state: see ``circuits.entanglement``.

    Attributes:
        widest: widest bond at the end, in qubits.
        gate_work: sum of the cubed bond dimensions over the cuts that each gate crosses: what gates cost.
        cut_work: sum of the squared bond dimensions over all cuts at the end: what a shot costs.
    """

    widest: int = 0
    gate_work: float = 0.0
    cut_work: float = 0.0


NO_BONDS = Bonds()
"""Of a circuit that entangles nothing, or whose bonds nobody asked for."""


@dataclass(frozen=True)
class Judgement:
    """What a result is worth.

    Attributes:
        fidelity: in [0, 1], relative to the ideal; None if nothing here can tell.
        kind: "score" (a family's score over its ideal), "hellinger" (counts against the exact distribution),
            "canary" (the share of shots without error, measured on circuits like it whose outcome is known), or
            "estimated" (fidelity is None: ask an estimator).
        score: the family's raw score.
        ideal_score: what that score would be without noise.
        floor: Hellinger fidelity that a perfect device would be expected to show with that many shots.
    """

    fidelity: float | None
    kind: str
    score: float | None = None
    ideal_score: float | None = None
    floor: float | None = None
