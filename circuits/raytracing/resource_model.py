"""The MEQC paper's cost of quantum ray tracing: a model of resources, not of the circuits built here.

Source: M. Xu et al., "Learning-based sustainable multi-user computation offloading for mobile edge-quantum computing",
section on quantum ray tracing. Its depth counts Grover iterations over the whole register, each of depth one. The
search space really is 2^pb, so a compiled circuit has far fewer iterations and each is thousands of gates deep: never
mix the two. The quoted ranges (20 to 26 qubits, depth from 813) fix coordinate_bits = 6, primitive_bits = 3 to 9; the
paper's last depth, 6560, disagrees with its own formula, which gives 6460.
"""

from __future__ import annotations

import math


def paper_num_qubits(primitive_bits: int, coordinate_bits: int = 6) -> int:
    """Width of the register, qb + 2 cb + 5 [paper]."""
    return primitive_bits + 2 * coordinate_bits + 5


def paper_depth(primitive_bits: int, coordinate_bits: int = 6) -> int:
    """Model of the depth, 3 qb + floor(pi/4 sqrt(2^(qb + 2 cb + 5))) [paper]."""
    space = 2.0 ** paper_num_qubits(primitive_bits, coordinate_bits)
    return 3 * primitive_bits + math.floor(math.pi / 4 * math.sqrt(space))
