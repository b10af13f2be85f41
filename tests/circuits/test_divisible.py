"""Families whose work can be divided: whatever the parts, they are the whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3

from circuits.autoencoder import Autoencoder, AutoencoderBatch
from circuits.autoencoder.states import SOURCES
from circuits.errors import InvalidParameter
from circuits.family import DivisibleFamily, SolvableFamily
from circuits.raytracing import RayTracing

FAMILIES = (
    RayTracing(width=5, height=9, x0=2, y0=3, camera="perspective", light_x=-2, light_y=-3, light_z=-4),
    AutoencoderBatch(num_samples=11, first=3, num_latent=4),
    AutoencoderBatch(num_samples=7, states="digits", estimator="decode"),
)


@settings(deadline=None, max_examples=15)
@given(family=st.sampled_from(FAMILIES), data=st.data())
def test_the_parts_are_the_whole(family: RayTracing | AutoencoderBatch, data: st.DataObject) -> None:
    assert isinstance(family, DivisibleFamily)
    assert isinstance(family, SolvableFamily)
    cuts = sorted({0, family.num_items, *data.draw(st.lists(st.integers(1, family.num_items - 1), max_size=4))})
    parts = [family.part(first, last) for first, last in pairwise(cuts)]
    assert sum(part.num_items for part in parts) == family.num_items
    assert sum(part.num_operations for part in parts) == family.num_operations
    assert family.merged([part.solve() for part in parts]) == family.solve()
    assert family.part(0, family.num_items) == family


def test_a_part_runs_the_circuits_of_the_whole() -> None:
    for family in FAMILIES:
        own, whole = ([*each.circuits()] for each in (family.part(1, 3), family))
        assert [_read(one) for one in own] == [_read(one) for one in whole]
        assert qasm3.dumps(own[:2][-1]) == qasm3.dumps(whole[:2][-1])  # with what boxes are made of


def _read(circuit: QuantumCircuit) -> list[tuple[str, tuple[object, ...], list[int]]]:
    return [
        (one.operation.name, tuple(map(str, one.operation.params)), [circuit.find_bit(bit).index for bit in one.qubits])
        for one in circuit
    ]


def test_a_batch_is_its_samples() -> None:
    batch = AutoencoderBatch(num_samples=2, first=4)
    assert batch.samples() == pytest.approx(SOURCES["tfim"].make(6)[1][4:6])
    alone = Autoencoder(states="digits", image=7)
    of_batch = AutoencoderBatch(states="digits", first=7, num_samples=1)
    assert of_batch.ideal_outcome_score == pytest.approx(alone.ideal_score)
    assert of_batch.build().count_ops() == alone.build().count_ops()


def test_a_batch_stays_among_the_states_that_there_are() -> None:
    with pytest.raises(InvalidParameter, match=r"num_samples: .*19 unseen states"):
        AutoencoderBatch(num_samples=20)
    with pytest.raises(InvalidParameter, match="first"):
        AutoencoderBatch(num_samples=1, first=19)
    with pytest.raises(InvalidParameter, match="num_latent"):
        AutoencoderBatch(num_latent=2)
