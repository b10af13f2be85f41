"""One slot of the QCN: who has which task, which nodes there are, and how fast who reaches which.

Source: QCN paper, Section V, for n and k; numbers of circuits, rates and processors are the study's (ours).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.documents import Numbers, array, check_keys
from policies.envs.qcn.circuits import AMPLITUDE_BIT, DATA_QUBITS, FLOP_PER_GATE, GATES, LATENT_QUBITS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WEIGHTS = ((1.0, 0.0), (0.8, 0.2), (0.5, 0.5), (0.2, 0.8), (0.0, 1.0))
"""Weights of delay and energy that are compared: the "QoS settings" of the paper's claim, which it does not list."""

NUM_CIRCUITS = (200.0, 2000.0)
"""Circuits of a task (study)."""


@dataclass(frozen=True)
class Instance:
    """What is true in one slot. U users, E places: edge nodes first, then clouds.

    Attributes:
        data: n, qubits of a task's states.        int64 (U,)
        latent: k, qubits they are compressed onto.        int64 (U,)
        gates: G, of each circuit.        int64 (U,)
        num_circuits: Nc, of a task.        float64 (U,)
        local_flops: of each user's own processor, flop/s.        float64 (U,)
        server_flops: of each place, shared by those who come.        float64 (E,)
        rate_bps: uplink of a user to a place, shared by those who go there.        float64 (U, E)
        is_cloud: 1 of a cloud, 0 of an edge node; the last place is a cloud.        int64 (E,)
        delay_weight, energy_weight: d, e, in [0, 1].        float64 (U,)
    """

    data: Ints
    latent: Ints
    gates: Ints
    num_circuits: Floats
    local_flops: Floats
    server_flops: Floats
    rate_bps: Floats
    is_cloud: Ints
    delay_weight: Floats
    energy_weight: Floats

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.data)

    @property
    def num_servers(self) -> int:
        """E."""
        return len(self.server_flops)

    @property
    def qubits(self) -> Ints:
        """2n - k + 1 of each task's circuits."""
        return 2 * self.data - self.latent + 1

    @property
    def work_flop(self) -> Floats:
        """W, of each task: 6 G 2^q Nc."""
        return FLOP_PER_GATE * self.gates * 2.0**self.qubits * self.num_circuits

    @property
    def size_bit(self) -> Floats:
        """Of each task's input: 2^n amplitudes a circuit."""
        return AMPLITUDE_BIT * 2.0**self.data * self.num_circuits


RULES: dict[str, Numbers] = {
    "data": Numbers("n", "U", 1, 32, whole=True, open_low=False),
    "latent": Numbers("k", "U", 1, 32, whole=True, open_low=False),
    "gates": Numbers("G", "U", 1, 1e9, whole=True, open_low=False),
    "num_circuits": Numbers("Nc", "U", 0),
    "local_flops": Numbers("Fm", "U", 0),
    "server_flops": Numbers("Fr", "E", 0),
    "rate_bps": Numbers("rate", "UE", 0),
    "is_cloud": Numbers("cloud", "E", 0, 1, whole=True, open_low=False),
    "delay_weight": Numbers("d", "U", 0, 1, open_low=False),
    "energy_weight": Numbers("e", "U", 0, 1, open_low=False),
}
"""How each field is written in a file."""

WHOLE = frozenset(name for name, rule in RULES.items() if rule.whole)
"""Fields whose numbers are integers."""

OPTIONAL = {"G", "cloud"}
"""Keys that may be missing: gates by formula, the last place is the only cloud."""


def parse(document: Mapping[str, Any]) -> Instance:
    """Read an instance; a weight may be one number for all users.

    Raises:
        InvalidParameter: a field is missing, unknown, of the wrong shape or out of range; the message names it.
    """
    keys = {rule.key for rule in RULES.values()}
    check_keys("instance", document, required=keys - OPTIONAL, known=keys)
    sizes = {letter: _length(key, document[key]) for letter, key in (("U", "n"), ("E", "Fr"))}
    users = sizes["U"]
    given = dict(document)
    for key in ("d", "e"):
        if not isinstance(given[key], list):
            given[key] = [given[key]] * users
    given.setdefault("cloud", [0] * (sizes["E"] - 1) + [1])
    known = {name: array(rule.key, rule, given[rule.key], sizes) for name, rule in RULES.items() if rule.key != "G"}
    pairs = list(zip(known["data"].tolist(), known["latent"].tolist(), strict=True))
    for number, (data, latent) in enumerate(pairs):
        if latent >= data:
            raise InvalidParameter(f"k: wanted less than n = {data} of user {number}, got {latent}")
    if known["is_cloud"][-1] != 1:
        raise InvalidParameter("cloud: wanted 1 of the last place, got 0")
    if "G" not in given:
        given["G"] = [_gates(data, latent) for data, latent in pairs]
    return Instance(gates=array("G", RULES["gates"], given["G"], sizes), **known)


def _gates(data: int, latent: int) -> int:
    if (data, latent) not in GATES["paper"]:
        sizes = f"n in {DATA_QUBITS.start}..{DATA_QUBITS[-1]} and k in {LATENT_QUBITS.start}..{LATENT_QUBITS[-1]}"
        raise InvalidParameter(f"G: wanted this field, as the formula is for {sizes}, got n = {data}, k = {latent}")
    return GATES["paper"][data, latent]


def _length(key: str, given: object) -> int:
    if not isinstance(given, list) or not given:
        raise InvalidParameter(f"{key}: wanted a list of at least one number, got {short(given)}")
    return len(given)


def written(instance: Instance) -> dict[str, Any]:
    """The instance as :func:`parse` reads it."""
    return {RULES[item.name].key: getattr(instance, item.name).tolist() for item in fields(instance)}
