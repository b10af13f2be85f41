"""What fault tolerance costs: qubits and gates of a concatenated seven-qubit code, as the MEQC paper counts them.

Source: M. Xu, D. Niyato, J. Kang, Z. Xiong, M. Chen, "Learning-based sustainable multi-user computation offloading for
mobile edge-quantum computing", its Appendix C, eqs. (39) to (42), and eq. (10) for the success probability. A model of
resources, not a circuit. Deviation: eq. (42) is only the leading term for large levels (3.7 % off in gates and 20 % in
idles at level 1), so :func:`physical_gates` uses the matrix power of eq. (40).
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from circuits.errors import InvalidParameter
from circuits.parameters import integer, real, validate

QUBITS_PER_LEVEL = 91
"""7 data qubits and 3 x 28 ancillas.        [paper, above eq. 39]"""

GATE_MATRIX_TIMES_3 = ((135, 64, 64, 0), (56, 35, 28, 0), (58, 29, 36, 0), (56, 28, 28, 7))
"""3 A of eq. (41); rows and columns: two-qubit gates, one-qubit gates, idles, measurements.        [paper]"""

EXTRACTION = (64, 28, 29, 28)
"""Gates of one error correction in the same order: A = (EXTRACTION (2, 1, 1, 0) + 7 I)/3.        (ours, from eq. 41)"""


@dataclass(frozen=True)
class GateCounts:
    """Gates in parallel, by kind; fractions are averages over time steps."""

    num_2q: float
    num_1q: float
    num_idle: float
    num_measurements: float


@dataclass(frozen=True)
class Resources:
    """What a memory of logical qubits costs, and what the paper expects of it.

    Attributes:
        k: levels of concatenation.
        qubits: logical qubits.
        depth: logical depth; with ``qubits`` it makes up the locations N_L.
        p: chance that a physical gate fails.
        threshold: eps_thr; the paper's is 2e-4.
    """

    k: int = integer(1, low=0, high=8, doc="levels of concatenation")
    qubits: int = integer(1, low=1, high=10**6, doc="logical qubits")
    depth: int = integer(1, low=1, high=10**9, doc="logical depth")
    p: float = real(1e-4, low=0.0, high=1.0, doc="chance that a physical gate fails")
    threshold: float = real(2e-4, low=1e-9, high=1.0, doc="threshold of the code")

    def __post_init__(self) -> None:
        validate(self)

    @property
    def physical_qubits(self) -> int:
        """91^k for each logical qubit."""
        return physical_qubits(self.qubits, self.k)

    @property
    def gates(self) -> GateCounts:
        """Physical gates in parallel while the logical qubits idle, by the matrix power."""
        return physical_gates(GateCounts(0, 0, self.qubits, 0), self.k)

    @property
    def gates_leading_term(self) -> GateCounts:
        """The same by eq. (42)."""
        return physical_gates_leading(self.qubits, self.k)

    @property
    def success_probability(self) -> float:
        """Eq. (10)."""
        return success_probability(self.qubits * self.depth, self.p, self.k, self.threshold)


def physical_qubits(num_logical: int, level: int) -> int:
    """Physical qubits Q = 91^k Q_L [paper, eq. 39]."""
    _check_level(level)
    return int(QUBITS_PER_LEVEL**level * num_logical)


def physical_gates(logical: GateCounts, level: int) -> GateCounts:
    """Physical gates N = A^k N_L, by repeated products [paper, eqs. 40 and 41]."""
    _check_level(level)
    vector = tuple(float(count) for count in astuple(logical))
    for _ in range(level):
        vector = tuple(
            sum(entry * count for entry, count in zip(row, vector, strict=True)) / 3.0 for row in GATE_MATRIX_TIMES_3
        )
    return GateCounts(*vector)


def physical_gates_closed(logical: GateCounts, level: int) -> GateCounts:
    """The same from the eigenvalues 64 and 7/3 of A.

    A^k v = (7/3)^k v + (64^k - (7/3)^k)/185 (2 N_2 + N_1 + N_id) e,  e = (64, 28, 29, 28)        (ours)
    """
    _check_level(level)
    small = (7.0 / 3.0) ** level
    scale = (64.0**level - small) / 185.0 * (2.0 * logical.num_2q + logical.num_1q + logical.num_idle)
    return GateCounts(*(small * count + scale * each for count, each in zip(astuple(logical), EXTRACTION, strict=True)))


def physical_gates_leading(num_logical: int, level: int) -> GateCounts:
    """Leading term e/185 64^k Q_L [paper, eq. 42]: for comparison with the paper only, poor at level 1."""
    _check_level(level)
    return GateCounts(*(each / 185.0 * 64.0**level * num_logical for each in EXTRACTION))


def expected_failures(num_locations: float, error: float, level: int, threshold: float = 2e-4) -> float:
    """Logical errors to expect: a chance while it is small, above 1 where the estimate does not hold any more.

    N_L eps_thr (eps/eps_thr)^(2^k)        [paper, eq. 10; its threshold is 2e-4]

    Args:
        num_locations: N_L, logical qubits times logical depth.
        error: eps, error probability of a physical gate.
        level: k, levels of concatenation.
        threshold: eps_thr.
    """
    _check_level(level)
    if not (0.0 <= error <= 1.0 and 0.0 < threshold <= 1.0 and num_locations >= 0.0):
        raise InvalidParameter(f"wanted error and threshold in [0, 1] and num_locations >= 0, got {error}, {threshold}")
    try:
        return num_locations * threshold * float((error / threshold) ** (2**level))
    except OverflowError:
        return math.inf if num_locations else 0.0


def success_probability(num_locations: float, error: float, level: int, threshold: float = 2e-4) -> float:
    """Chance that no logical error happens: one less :func:`expected_failures`, not below 0 [paper, eq. 10]."""
    return max(0.0, 1.0 - expected_failures(num_locations, error, level, threshold))


def _check_level(level: int) -> None:
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 8:
        raise InvalidParameter(f"level: wanted an integer in [0, 8], got {level!r}")
