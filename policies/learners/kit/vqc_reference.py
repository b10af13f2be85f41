"""The same circuit as :mod:`policies.learners.kit.vqc`, in PennyLane: the reference that it is tested against.

Source: MEQC, V.A ("implemented by pennylane"). On ``default.qubit`` with back-propagation, the fastest of PennyLane's
ways for four qubits; a batch is broadcast through one call.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from circuits.errors import DependencyNotInstalled
from policies.learners.kit.vqc import NUM_QUBITS


def circuit() -> Callable[[Tensor, Tensor], Tensor]:
    """``circuit(angles, weights)``: angles (B, 4) or (4,), weights (2, 4); <Z> of every qubit, (B, 4) or (4,), float64.

    Raises:
        DependencyNotInstalled: PennyLane is missing.
    """
    try:
        import pennylane as qml
    except ImportError as error:
        raise DependencyNotInstalled("the reference of the variational circuit", "pennylane", "learn") from error
    import torch

    @qml.qnode(qml.device("default.qubit", wires=NUM_QUBITS), interface="torch", diff_method="backprop")  # type: ignore[untyped-decorator]
    def node(angles: Tensor, weights: Tensor) -> list[Tensor]:
        qml.AngleEmbedding(angles, wires=range(NUM_QUBITS))
        qml.BasicEntanglerLayers(weights, wires=range(NUM_QUBITS))
        return [qml.expval(qml.PauliZ(qubit)) for qubit in range(NUM_QUBITS)]

    def evaluated(angles: Tensor, weights: Tensor) -> Tensor:
        return torch.stack(list(node(angles, weights)), dim=-1)

    return evaluated
