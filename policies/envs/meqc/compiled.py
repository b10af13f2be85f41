"""Qubits and depth of a search over 2^pb primitives whose circuit was really built and compiled.

Source: ours. The circuit is :mod:`circuits.raytracing`'s (the paper's registers, pb + 2 cb + 5 qubits with cb = 6, and
a reversible test that the paper leaves open), compiled to CX and single-qubit gates on all-to-all connections. A search
runs up to ceil(sqrt(2^pb)) - 1 iterations; the depth is that of one iteration times those, and of a layer of Hadamards
and one of measurements. The paper's formula has one step for each iteration over all 2^Q states instead: fewer and
deeper iterations make 6 to 2800 times its depth.

The last of them takes 40 s to compile, so they are written down here; a test builds the first ones anew.
"""

from __future__ import annotations

COMPILED: dict[int, tuple[int, int]] = {
    3: (20, 4_774),
    4: (21, 23_246),
    5: (22, 100_527),
    6: (23, 390_966),
    7: (24, 1_561_199),
    8: (25, 5_202_452),
    9: (26, 18_159_748),
}
"""Qubits and depth by primitive bits, as :func:`measured` finds them with Qiskit 2.3."""


def measured(bits: int, coordinate_bits: int = 6) -> tuple[int, int]:
    """Qubits and depth of the deepest search over 2^bits primitives, built and compiled now."""
    from qiskit import transpile

    from circuits.raytracing.amplify import iteration
    from circuits.raytracing.axial import AxialOracle
    from circuits.raytracing.scene import random_scene
    from circuits.raytracing.search import max_iterations

    oracle = AxialOracle(random_scene(2**bits, coordinate_bits, seed=1), coordinate_bits)
    once = transpile(iteration(oracle), basis_gates=["cx", "u"], optimization_level=1, seed_transpiler=7)
    return once.num_qubits, once.depth() * max_iterations(2**bits) + 2
