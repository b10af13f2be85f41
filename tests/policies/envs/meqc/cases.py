"""What the tests of MEQC share: the vectors of the model, and instances and actions to draw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from policies.envs.meqc.document import Case, read_cases
from policies.envs.meqc.instance import Instance, draw
from policies.envs.meqc.model import MODES, Model

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())
VECTORS: list[dict[str, Any]] = DOCUMENT["instances"]
CASES: list[Case] = read_cases(DOCUMENT)

READINGS: dict[str, Model] = {
    **MODES,
    "economic": Model(qpu_use="economic"),
    "lowest_index": Model(qpu_admission="lowest_index"),
    "physical_qubits": Model(qubit_capacity="physical"),
    "good_qubits": replace(Model(), cryogenics=replace(Model().cryogenics, decay_time_s=0.05)),
    "auto": Model(concatenation="auto"),
    "second_level": Model(concatenation="2"),
    "megabytes": Model(work_unit_byte=1e6),
    "zero_measurement": Model(measurement_power="zero"),
    "parallel": Model(overlap="max"),
    "crowded": Model(bandwidth="shared"),
    "deep": Model(quantum_time="depth", qubit_capacity="physical"),
}
"""The three readings, and one of each option beside them."""


def drawn(seed: int, users: int = 3, servers: int = 2, weights: tuple[float, float] = (0.5, 0.5)) -> Instance:
    return draw(np.random.default_rng(seed), users, servers, weights)


@st.composite
def instances(draw_from: st.DrawFn, most_users: int = 5, most_servers: int = 3) -> Instance:
    users, servers = draw_from(st.integers(1, most_users)), draw_from(st.integers(1, most_servers))
    delay = draw_from(st.floats(0.0, 1.0))
    return drawn(draw_from(st.integers(0, 10_000)), users, servers, (delay, 1.0 - delay))


@st.composite
def played(draw_from: st.DrawFn) -> tuple[Instance, list[int], list[float]]:
    """A slot, and what everybody does in it."""
    instance = draw_from(instances())
    each = range(instance.num_users)
    servers = [draw_from(st.integers(0, instance.num_servers - 1)) for _ in each]
    shares = [draw_from(st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)) for _ in each]
    return instance, servers, shares


readings = st.sampled_from(sorted(READINGS)).map(READINGS.__getitem__)
