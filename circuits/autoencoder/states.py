"""Ensembles of states to compress: ground states of two models, images of digits, and what a user brings.

Each has states to train on and states that training never sees. All are real: the ansatz is, and complex states are
refused by name unless a global phase makes them real.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter

Array = NDArray[np.float64]
MIN_QUBITS, MAX_QUBITS = 2, 10
MIN_EIGENVALUE = 1e-14  # below is rounding
MAX_FILE_BYTES = 2**28
LONGITUDINAL_FIELD = 0.01  # ours: lifts the ground state's degeneracy in the ordered phase
FIELDS = (0.2, 2.0)  # transverse fields of the Ising ensemble, in units of the coupling
INTERACTIONS = (0.5, 8.0)  # U of the Hubbard ensemble, in units of the hopping
NUM_TRAIN, NUM_TEST = 24, 19
TOLERANCE = 1e-6  # of norm and of reality; single precision passes


@dataclass(frozen=True)
class Ensemble:
    """States to train on and states to judge by.

    Attributes:
        name: what it is called, or the path it was read from.
        version: changes when the states do; the name, or the digest of a file.
        train: float64 (num_train, 2^n), index bit i is qubit i, each row of norm 1.
        test: float64 (num_test, 2^n), none of them in ``train``.
    """

    name: str
    version: str
    train: Array
    test: Array

    @property
    def num_qubits(self) -> int:
        """Qubits that hold a state."""
        return num_qubits_of(self.train)


def num_qubits_of(states: NDArray[Any]) -> int:
    """Qubits of states whose last axis has 2^n amplitudes."""
    return int(states.shape[-1]).bit_length() - 1


# ── models ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def tfim_ground_state(num_qubits: int, field: float) -> Array:
    """Ground state of H = -sum Z_i Z_{i+1} - h sum X_i - 0.01 sum Z_i on an open chain, with positive amplitudes.

    Returns:
        Amplitudes; index bit i is qubit i.        float64 (2^num_qubits,)
    """
    index = np.arange(2**num_qubits)
    spins = 1.0 - 2.0 * (index[:, None] >> np.arange(num_qubits) & 1)
    diagonal = -np.sum(spins[:, :-1] * spins[:, 1:], axis=1) - LONGITUDINAL_FIELD * np.sum(spins, axis=1)
    matrix = np.diag(diagonal)
    for qubit in range(num_qubits):
        matrix[index, index ^ (1 << qubit)] -= field
    state: Array = np.abs(_lowest(matrix))  # Perron-Frobenius: all amplitudes share one sign
    return state


def hubbard_ground_state(num_qubits: int, interaction: float) -> Array:
    """Ground state of the open Hubbard chain at half filling, two qubits a site.

    H = -sum_{i,s} (c+_{i,s} c_{i+1,s} + h.c.) + U sum_i n_{i,up} n_{i,down},  hopping 1        [Hubbard 1963]
    By Jordan-Wigner with spins interleaved: qubit 2i is (site i, up), 2i + 1 (site i, down), so a hop passes one mode
    and takes its sign. An odd chain has one more electron up than down, which makes its ground state unique. The sign
    is fixed by the largest amplitude.

    Returns:
        Amplitudes; index bit i is qubit i.        float64 (2^num_qubits,)
    """
    num_sites = num_qubits // 2
    sector, hopping, doubled = _hubbard(num_sites)
    state = np.zeros(2**num_qubits)
    state[sector] = _lowest(hopping + interaction * np.diag(doubled))
    largest = int(np.argmax(np.abs(np.round(state, 9))))  # rounded: equal ones must not swap places
    sign = 1.0 if state[largest] > 0 else -1.0
    return sign * state


@lru_cache
def _hubbard(num_sites: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Basis states at half filling, the hopping between them, and how many sites of each are doubly occupied."""
    index = np.arange(4**num_sites)
    occupied = index[:, None] >> np.arange(2 * num_sites) & 1
    up, down = occupied[:, ::2], occupied[:, 1::2]
    (sector,) = np.nonzero((up.sum(1) == (num_sites + 1) // 2) & (down.sum(1) == num_sites // 2))
    position = {int(value): place for place, value in enumerate(sector)}
    hopping = np.zeros((len(sector), len(sector)))
    for place, value in enumerate(sector.tolist()):
        for mode in range(2 * num_sites - 2):
            if (value >> mode ^ value >> mode + 2) & 1:
                hopping[position[value ^ 5 << mode], place] = 1.0 if value >> mode + 1 & 1 else -1.0
    return sector, hopping, (up & down).sum(1)[sector].astype(np.float64)


def _lowest(matrix: Array) -> Array:
    from scipy.linalg import eigh

    vectors: Array = eigh(matrix, subset_by_index=(0, 0))[1]
    return vectors[:, 0]


@lru_cache
def digits() -> tuple[Array, Array]:
    """Handwritten 0 and 1 as amplitudes: 8x8 pixels, each image divided by its norm; index = 8 row + column.

    Returns:
        200 images to train on, 160 to judge by.        float64 (200, 64), (160, 64)
    """
    resource = files("circuits").joinpath("data", "digits_0_1.npz")
    with np.load(io.BytesIO(resource.read_bytes()), allow_pickle=False) as file:
        train, test = (file[part].astype(np.float64) for part in ("train", "test"))
    return _normalised(train), _normalised(test)


def _normalised(states: Array) -> Array:
    norms: Array = np.linalg.norm(states, axis=1, keepdims=True)
    return states / norms


# ── ensembles by name ─────────────────────────────────────────────────────────────────────────────────────────────────
def _grid(state: Callable[[int, float], Array], span: tuple[float, float], num_qubits: int) -> tuple[Array, Array]:
    """States at equidistant points, and at points in between that the first grid never meets."""
    train, test = np.linspace(*span, NUM_TRAIN), np.linspace(*span, 2 * NUM_TEST + 1)[1::2]
    return np.array([state(num_qubits, float(at)) for at in train]), np.array([state(num_qubits, at) for at in test])


@dataclass(frozen=True)
class Source:
    """An ensemble that has a name.

    Attributes:
        make: qubits -> states to train on, states to judge by.
        num_qubits: sizes it exists in.
    """

    make: Callable[[int], tuple[Array, Array]]
    num_qubits: tuple[int, ...]


SOURCES = {
    "tfim": Source(lambda num_qubits: _grid(tfim_ground_state, FIELDS, num_qubits), tuple(range(2, MAX_QUBITS + 1))),
    "hubbard": Source(lambda num_qubits: _grid(hubbard_ground_state, INTERACTIONS, num_qubits), (4, 6, 8, 10)),
    "digits": Source(lambda _: digits(), (6,)),
}


def ensemble(states: str, num_qubits: int | None = None) -> Ensemble:
    """The ensemble of that name, or the one in that file.

    Args:
        states: "tfim", "hubbard", "digits", or a path that ends in .npy or .npz; see :func:`from_file`.
        num_qubits: its size; None takes what a file or the digits have.

    Raises:
        InvalidParameter: neither a name nor a file, a size it does not exist in, or states that are none.
    """
    if states.endswith((".npy", ".npz")):
        found = from_file(Path(states))
        if num_qubits not in (None, found.num_qubits):
            raise InvalidParameter(
                f"{states}: its states have {found.num_qubits} qubits, but num_qubits = {num_qubits} was asked for"
            )
        return found
    source = SOURCES.get(states)
    if source is None:
        raise InvalidParameter(
            f"states: wanted {', '.join(SOURCES)} or a file that ends in .npy or .npz, got {states[:80]!r}"
        )
    if num_qubits is None and len(source.num_qubits) == 1:
        (num_qubits,) = source.num_qubits
    if num_qubits not in source.num_qubits:
        listed = ", ".join(map(str, source.num_qubits))
        raise InvalidParameter(f"num_qubits: {states} states exist for {listed}, got {num_qubits}")
    return Ensemble(states, states, *source.make(num_qubits))


def from_file(path: Path) -> Ensemble:
    """A user's states.

    A .npz file holds ``train`` and ``test``; a .npy file holds one array, of which every fourth state is kept apart for
    testing. Rows are states of 2^n amplitudes, n in [2, 10], of norm 1 within 1e-6.

    Raises:
        InvalidParameter: no such array, wrong shape or type, not finite, not normalised, or not real up to a phase.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise InvalidParameter(f"{path}: wanted at most {MAX_FILE_BYTES} bytes, got {size_bytes}")
        data = path.read_bytes()
        loaded: Any = np.load(io.BytesIO(data), allow_pickle=False)
        parts = {name: loaded[name] for name in loaded.files} if path.suffix == ".npz" else {"states": loaded}
    except OSError as error:
        raise InvalidParameter(f"{path}: cannot be read: {error.strerror or error}") from error
    except InvalidParameter:
        raise
    except Exception as error:  # numpy and zipfile have a dozen ways to say so
        raise InvalidParameter(f"{path}: wanted a numpy file without pickled objects: {error}") from error
    if "states" in parts and path.suffix == ".npy":
        rows = checked_states(parts["states"], str(path))
        if len(rows) < 2:
            raise InvalidParameter(f"{path}: wanted at least 2 states, one of them to test with, got {len(rows)}")
        held = np.arange(len(rows)) % 4 == (3 if len(rows) > 3 else 1)
        parts = {"train": rows[~held], "test": rows[held]}
    missing = {"train", "test"} - set(parts)
    if missing:
        raise InvalidParameter(f"{path}: wanted arrays train and test, got {', '.join(sorted(parts)) or 'none'}")
    train, test = (checked_states(parts[name], f"{path}: {name}") for name in ("train", "test"))
    if train.shape[1] != test.shape[1]:
        raise InvalidParameter(f"{path}: train has {train.shape[1]} amplitudes a state, test {test.shape[1]}")
    return Ensemble(path.name, hashlib.sha256(data).hexdigest(), train, test)


def checked_states(states: Any, where: str, *, real: bool = True) -> NDArray[Any]:
    """States that can be trained on, each divided by its norm.

    Args:
        states: real or complex (batch, 2^n).
        where: what the message calls them.
        real: turn each by a phase that makes it real, and refuse it if there is none.

    Raises:
        InvalidParameter: see :func:`from_file`.
    """
    rows = np.asarray(states)
    sizes = [2**number for number in range(MIN_QUBITS, MAX_QUBITS + 1)]
    if rows.ndim != 2 or rows.shape[0] < 1 or rows.shape[1] not in sizes or rows.dtype.kind not in "iufc":
        raise InvalidParameter(
            f"{where}: wanted numbers of shape (states, 2^n) with 2^n in {sizes}, got {rows.dtype} {rows.shape}"
        )
    if not np.all(np.isfinite(rows)):
        row = int(np.nonzero(~np.isfinite(rows).all(axis=1))[0][0])
        raise InvalidParameter(f"{where}: wanted finite amplitudes, got some that are not in state {row}")
    norms = np.linalg.norm(rows, axis=1)
    worst = int(np.argmax(np.abs(norms - 1.0)))
    if abs(norms[worst] - 1.0) > TOLERANCE:
        raise InvalidParameter(f"{where}: wanted norms in 1 ± {TOLERANCE:g}, got {norms[worst]:.9g} in state {worst}")
    checked: NDArray[Any] = (_real(rows, where) if real else rows) / norms[:, None]
    return checked


def _real(rows: Any, where: str) -> Array:
    """Rows turned by the phase of their largest amplitude."""
    if rows.dtype.kind != "c":
        return np.asarray(rows, dtype=np.float64)
    largest = rows[np.arange(len(rows)), np.argmax(np.abs(rows), axis=1)]
    turned = rows * (np.abs(largest) / largest)[:, None]
    worst = int(np.argmax(np.abs(turned.imag).max(axis=1)))
    if np.abs(turned.imag[worst]).max() > TOLERANCE:
        raise InvalidParameter(
            f"{where}: wanted states that are real up to a phase, since the encoder is; state {worst} has an imaginary"
            f" part of {np.abs(turned.imag[worst]).max():.2g}. Train an encoder of your own on complex states:"
            " circuits.autoencoder.reference.train_qnode"
        )
    return np.asarray(turned.real, dtype=np.float64)


# ── the best that any encoder can do ──────────────────────────────────────────────────────────────────────────────────
def spectrum(states: NDArray[Any], num_latent: int) -> tuple[Array, NDArray[Any]]:
    """Leading eigenvalues and eigenvectors of the ensemble's density matrix, largest first.

    Args:
        states: float64 or complex128 (batch, 2^n).
        num_latent: k; at most 2^k are returned, and none that is rounding.

    Returns:
        float64 (count,) and one eigenvector a row, (count, 2^n).
    """
    _, singular, vectors = np.linalg.svd(states, full_matrices=False)
    values = singular[: 2**num_latent] ** 2 / len(states)
    count = int(np.sum(values > MIN_EIGENVALUE))
    return values[:count], vectors[:count]


def ky_fan(states: NDArray[Any], num_latent: int) -> float:
    """Best mean trash fidelity that any encoder can reach: the sum of the 2^k largest eigenvalues [Ky Fan 1949]."""
    return min(1.0, float(np.sum(spectrum(states, num_latent)[0])))
