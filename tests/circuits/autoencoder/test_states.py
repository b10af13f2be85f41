"""Ensembles: ground states that are, digits, states that a user brings, and the bound of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit.quantum_info import Operator, SparsePauliOp

from circuits.autoencoder.states import (
    checked_states,
    ensemble,
    hubbard_ground_state,
    ky_fan,
    spectrum,
    tfim_ground_state,
)
from circuits.errors import InvalidParameter


def states(num_states: int, size: int, *, seed: int = 0, phase: complex = 1.0) -> Any:
    rows = np.random.default_rng(seed).normal(size=(num_states, size))
    return phase * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def hubbard_by_paulis(num_sites: int, interaction: float) -> Any:
    """The Hamiltonian from the Jordan-Wigner strings of the textbook: -(X Z X + Y Z Y)/2, U (1 - Z)(1 - Z)/4."""
    num_modes = 2 * num_sites
    terms: list[tuple[str, list[int], float]] = []
    for mode in range(num_modes - 2):
        terms += [(f"{axis}Z{axis}", [mode, mode + 1, mode + 2], -0.5) for axis in "XY"]
    for up in range(0, num_modes, 2):
        parts = (("", [], 1.0), ("Z", [up], -1.0), ("Z", [up + 1], -1.0), ("ZZ", [up, up + 1], 1.0))
        terms += [(axes, modes, sign * interaction / 4) for axes, modes, sign in parts]
    return SparsePauliOp.from_sparse_list(terms, num_qubits=num_modes).to_matrix().real


def test_ising_ground_state_has_the_lowest_energy() -> None:
    paulis = {"ZZI": -1.0, "IZZ": -1.0, "XII": -0.7, "IXI": -0.7, "IIX": -0.7, "ZII": -0.01, "IZI": -0.01, "IIZ": -0.01}
    matrix = sum(weight * Operator.from_label(label).data for label, weight in paulis.items())
    state = tfim_ground_state(3, 0.7)
    assert state @ matrix @ state == pytest.approx(np.linalg.eigvalsh(matrix)[0])


@pytest.mark.parametrize(("num_sites", "interaction"), [(2, 0.5), (3, 4.0), (4, 8.0)])
def test_hubbard_ground_state_is_the_lowest_at_half_filling(num_sites: int, interaction: float) -> None:
    matrix = hubbard_by_paulis(num_sites, interaction)
    state = hubbard_ground_state(2 * num_sites, interaction)
    energy = state @ matrix @ state
    np.testing.assert_allclose(matrix @ state, energy * state, atol=1e-10)
    ones = np.array([f"{index:b}".count("1") for index in range(4**num_sites)])
    assert set(ones[np.abs(state) > 1e-12]) == {num_sites}
    half = ones == num_sites
    assert energy == pytest.approx(np.linalg.eigvalsh(matrix[np.ix_(half, half)])[0])


def test_two_sites_have_the_energy_of_the_textbook() -> None:
    state = hubbard_ground_state(4, 4.0)
    energy = state @ hubbard_by_paulis(2, 4.0) @ state
    assert energy == pytest.approx((4.0 - np.sqrt(4.0**2 + 16.0)) / 2)  # (U - sqrt(U^2 + 16 t^2))/2


@pytest.mark.parametrize(("name", "num_qubits"), [("tfim", 5), ("hubbard", 6), ("digits", None)])
def test_what_is_judged_by_was_not_trained_on(name: str, num_qubits: int | None) -> None:
    found = ensemble(name, num_qubits)
    for part in (found.train, found.test):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1.0, atol=1e-12)
    overlaps = np.abs(found.test @ found.train.T)
    assert overlaps.max() < 1.0 - 1e-12
    assert found.num_qubits == (num_qubits or 6)


def test_digits_are_two_hundred_and_a_hundred_and_sixty() -> None:
    found = ensemble("digits")
    assert (len(found.train), len(found.test)) == (200, 160)


@given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 100))
def test_no_projection_keeps_more_than_the_bound(num_states: int, num_latent: int, seed: int) -> None:
    rows = states(num_states, 16, seed=seed)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(16, 16)))[0]
    kept = np.mean(np.sum((rows @ turn)[:, : 2**num_latent] ** 2, axis=1))
    assert kept <= ky_fan(rows, num_latent) + 1e-12
    values, vectors = spectrum(rows, num_latent)
    assert np.mean(np.sum((rows @ vectors.T) ** 2, axis=1)) == pytest.approx(ky_fan(rows, num_latent))
    assert np.all(np.diff(values) <= 0)


class TestFiles:
    def test_an_array_is_divided_and_a_pair_is_taken_as_it_is(self, tmp_path: Path) -> None:
        rows = states(8, 8)
        np.save(tmp_path / "mine.npy", rows)
        np.savez(tmp_path / "mine.npz", train=rows[:5], test=rows[5:])
        one, two = (ensemble(str(tmp_path / name)) for name in ("mine.npy", "mine.npz"))
        np.testing.assert_allclose(one.test, rows[3::4])
        assert (len(one.train), one.num_qubits) == (6, 3)
        np.testing.assert_allclose(two.train, rows[:5])
        assert one.version != two.version

    def test_a_global_phase_is_no_obstacle(self) -> None:
        rows = states(3, 4)
        found = checked_states(np.exp(0.3j) * rows, "mine")
        np.testing.assert_allclose(np.abs(np.sum(found * rows, axis=1)), 1.0)

    @pytest.mark.parametrize(
        ("rows", "words"),
        [
            (states(3, 6), r"shape \(states, 2\^n\).*\(3, 6\)"),
            (states(3, 2), r"2\^n"),
            (states(1, 4)[0], r"\(4,\)"),
            (np.zeros((0, 4)), r"\(0, 4\)"),
            (np.array([["a", "b", "c", "d"]]), "numbers"),
            (2.0 * states(3, 4), "norms in 1 ± 1e-06, got 2 in state"),
            (np.full((2, 4), np.nan), "finite amplitudes.*state 0"),
            (np.array([[1.0, 1.0j, 0.0, 0.0]]) / np.sqrt(2), "real up to a phase.*train_qnode"),
        ],
    )
    def test_what_is_no_state_is_refused_with_its_value(self, rows: Any, words: str, tmp_path: Path) -> None:
        np.savez(tmp_path / "bad.npz", train=rows, test=rows)
        with pytest.raises(InvalidParameter, match=words):
            ensemble(str(tmp_path / "bad.npz"))

    def test_what_is_no_file_of_states_is_refused(self, tmp_path: Path) -> None:
        objects, text, lone, named, uneven = (
            tmp_path / name for name in ("objects.npy", "text.npz", "lone.npy", "named.npz", "uneven.npz")
        )
        np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
        text.write_text("no archive")
        np.save(lone, states(1, 4))
        np.savez(named, mine=states(2, 4))
        np.savez(uneven, train=states(2, 4), test=states(2, 8))
        for path, words in (
            (objects, "without pickled objects"),
            (text, "numpy file"),
            (lone, "at least 2 states"),
            (named, "arrays train and test, got mine"),
            (uneven, "train has 4 amplitudes a state, test 8"),
            (tmp_path / "none.npy", "cannot be read"),
        ):
            with pytest.raises(InvalidParameter, match=words):
                ensemble(str(path))

    def test_a_size_that_does_not_fit_is_refused(self, tmp_path: Path) -> None:
        np.save(tmp_path / "mine.npy", states(4, 8))
        with pytest.raises(InvalidParameter, match="3 qubits, but num_qubits = 4"):
            ensemble(str(tmp_path / "mine.npy"), 4)
        for name, size in (("tfim", 11), ("hubbard", 7), ("digits", 5), ("tfim", None)):
            with pytest.raises(InvalidParameter, match=f"num_qubits: {name}"):
                ensemble(name, size)
        with pytest.raises(InvalidParameter, match=r"tfim, hubbard, digits or a file.*'fermions'"):
            ensemble("fermions", 4)
