"""One slot of the MEQC world: who has which task, which servers there are, and who hears whom how well.

Source: MEQC, Section V.A for the ranges, III.E for the circuits of ray tracing. Where the text contradicts itself: the
"number of primitives {3..9}" are bits, since the cycles are 3 * {2^3..2^9}; qb + 2 cb + 5 qubits give the stated 20 to
26 with cb = 6; the printed depth 6560 is a typo of 6460, and its radicand is 2^(qb + 2 cb + 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.documents import Numbers, array, check_keys
from policies.envs.meqc.compiled import COMPILED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COORDINATE_BITS = 6
"""cb: four bits of the grid and two of guard (ours, from the stated numbers of qubits)."""

PRIMITIVE_BITS = range(3, 10)
"""pb.        [paper, V.A]"""

FRAMES = (1024, 10240)
"""Frames of a task, both ends included.        [paper, V.A]"""

FRAME_BYTE = 160e6 / 1024
"""Size of a frame: 160 MB for 1024.        [paper, V.A]"""

WEIGHTS = ((1.0, 0.0), (0.8, 0.2), (0.5, 0.5), (0.2, 0.8))
"""Weights of delay and energy that are compared.        [paper, Figures 4 to 6, and ours]"""


def num_qubits(primitive_bits: int) -> int:
    """Q = pb + 2 cb + 5        [MEQC, III.E]."""
    return primitive_bits + 2 * COORDINATE_BITS + 5


def depth(primitive_bits: int) -> int:
    """D = 3 pb + floor(pi/4 sqrt(2^Q))        [MEQC, III.E]."""
    return 3 * primitive_bits + math.floor(math.pi / 4.0 * math.sqrt(2.0 ** num_qubits(primitive_bits)))


CIRCUITS: dict[str, dict[int, tuple[int, int]]] = {
    "paper": {bits: (num_qubits(bits), depth(bits)) for bits in PRIMITIVE_BITS},
    "compiled": COMPILED,
}
"""Qubits and depth by primitive bits: the paper's formulas, or circuits that were built (ours)."""


@dataclass(frozen=True)
class Instance:
    """What is true in one slot. U users, E servers.

    Attributes:
        local_hz: f^L, of each user's own processor.        float64 (U,)
        edge_hz: f^E, what any server gives the user.        float64 (U,)
        size_byte: s.        float64 (U,)
        cycles_per_byte: n.        float64 (U,)
        num_qubits: Q, of the task's circuit.        int64 (U,)
        depth: D, of the task's circuit.        int64 (U,)
        transmit_w: p.        float64 (U,)
        gain: g, of user u at server e.        float64 (U, E)
        level: k, of each server's code.        int64 (E,)
        qubits: Q^E, of each server.        int64 (E,)
        delay_weight, energy_weight: lambda^D, lambda^E, in [0, 1].        float64 (U,)
    """

    local_hz: Floats
    edge_hz: Floats
    size_byte: Floats
    cycles_per_byte: Floats
    num_qubits: Ints
    depth: Ints
    transmit_w: Floats
    gain: Floats
    level: Ints
    qubits: Ints
    delay_weight: Floats
    energy_weight: Floats

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.local_hz)

    @property
    def num_servers(self) -> int:
        """E."""
        return len(self.level)


_RULES: dict[str, Numbers] = {
    "local_hz": Numbers("f_l", "U", 0),
    "edge_hz": Numbers("f_e", "U", 0),
    "size_byte": Numbers("s", "U", 0),
    "cycles_per_byte": Numbers("n", "U", 0),
    "num_qubits": Numbers("Q", "U", 0, whole=True),
    "depth": Numbers("D", "U", 0, whole=True),
    "transmit_w": Numbers("p_tx", "U", 0),
    "gain": Numbers("g", "UE", 0),
    "level": Numbers("k", "E", 1, 3, whole=True, open_low=False),
    "qubits": Numbers("Qcap", "E", 0, whole=True, open_low=False),
    "delay_weight": Numbers("lam_d", "U", 0, 1, open_low=False),
    "energy_weight": Numbers("lam_e", "U", 0, 1, open_low=False),
}
WHOLE = frozenset(name for name, rule in _RULES.items() if rule.whole)
"""Fields whose numbers are integers."""

_UNUSED = {"pb"}
"""Keys of a file that say how it was made: Q, D and n follow from pb."""


def parse(document: object) -> Instance:
    """Read the ``inputs`` of a file; its keys are the paper's letters.

    Raises:
        InvalidParameter: a field is missing, unknown, of the wrong shape or out of range; the message names it.
    """
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"inputs: wanted an object, got {short(document)}")
    keys = {rule.key for rule in _RULES.values()}
    check_keys("inputs", document, required=keys, known=keys | _UNUSED)
    if not isinstance(document["k"], list) or not isinstance(document["f_l"], list):
        raise InvalidParameter("inputs: wanted lists of numbers as f_l and k")
    sizes = {"U": len(document["f_l"]), "E": len(document["k"])}
    for letter, key in (("U", "f_l"), ("E", "k")):
        if not sizes[letter]:
            raise InvalidParameter(f"inputs.{key}: wanted at least one number, got none")
    return Instance(
        **{name: array(f"inputs.{rule.key}", rule, document[rule.key], sizes) for name, rule in _RULES.items()}
    )


def written(instance: Instance) -> dict[str, Any]:
    """The instance as :func:`parse` reads it."""
    return {_RULES[item.name].key: getattr(instance, item.name).tolist() for item in fields(instance)}


def draw(
    generator: np.random.Generator,
    num_users: int,
    num_servers: int,
    weights: tuple[float, float] = (0.5, 0.5),
    circuits: str = "paper",
) -> Instance:
    """One slot as Section V.A draws it.

    Args:
        generator: of chance.   num_users: U.   num_servers: E.   weights: of delay and energy, for all users.
        circuits: whose qubits and depths tasks have, a key of :data:`CIRCUITS`.
    """
    sizes = CIRCUITS[circuits]
    bits = generator.choice(list(PRIMITIVE_BITS), num_users)
    return Instance(
        local_hz=generator.choice([1e9, 2e9, 3e9], num_users),
        edge_hz=generator.choice([10e9, 15e9, 20e9], num_users),
        size_byte=FRAME_BYTE * generator.integers(FRAMES[0], FRAMES[1] + 1, num_users).astype(np.float64),
        cycles_per_byte=3.0 * 2.0**bits,
        num_qubits=np.array([sizes[each][0] for each in bits], dtype=np.int64),
        depth=np.array([sizes[each][1] for each in bits], dtype=np.int64),
        transmit_w=generator.uniform(1e-5, 2e-4, num_users),
        gain=generator.uniform(4.0, 8.0, (num_users, num_servers)),
        level=generator.integers(1, 4, num_servers),
        qubits=generator.integers(1000, 5001, num_servers),
        delay_weight=np.full(num_users, weights[0]),
        energy_weight=np.full(num_users, weights[1]),
    )
