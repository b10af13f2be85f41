"""A trained encoder as a file: its angles, how it was trained, and what it reached."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

from circuits.autoencoder.ansatz import encode, encoder_circuit, num_angles
from circuits.autoencoder.estimators import decode_fidelities, trash_fidelities
from circuits.autoencoder.states import Ensemble, ky_fan
from circuits.errors import InvalidParameter

Array = NDArray[np.float64]
Record = TypeVar("Record")

SHIPPED = {"tfim": (6, 7, 8, 9), "hubbard": (6, 8), "digits": (6,)}
"""Ensemble -> sizes whose encoders ship, each for every number of latent qubits."""
SHIPPED_LATENTS = (3, 4, 5)


@dataclass(frozen=True)
class Figures:
    """What an encoder reaches on an ensemble. Fidelities are in [0, 1].

    Attributes:
        bound: Ky Fan: the best mean trash fidelity that any encoder can reach on the training states.
        train_mean, train_min: trash fidelity on the training states.
        test_mean, test_min: trash fidelity on unseen states.
        decode_mean, decode_min: decode fidelity on unseen states.
    """

    bound: float
    train_mean: float
    train_min: float
    test_mean: float
    test_min: float
    decode_mean: float
    decode_min: float

    @property
    def gap(self) -> float:
        """What is missing to the bound on the training states."""
        return max(0.0, self.bound - self.train_mean)  # below zero only by rounding


@dataclass(frozen=True)
class Encoder:
    """A trained encoder.

    Attributes:
        states: the ensemble's name.
        version: of the ensemble; see :class:`circuits.autoencoder.states.Ensemble`.
        num_qubits, num_latent, num_layers: its shape.
        seed: of its training.
        num_starts: how many random starts the training chose from.
        figures: what it reaches.
        angles_rad: block by block in time order.
    """

    states: str
    version: str
    num_qubits: int
    num_latent: int
    num_layers: int
    seed: int
    num_starts: int
    figures: Figures
    angles_rad: tuple[float, ...]

    def circuit(self) -> QuantumCircuit:
        """The encoder as gates; its inverse decodes."""
        return encoder_circuit(self.num_qubits, self.num_latent, self.num_layers, self.angles_rad)

    def encode(self, states: Array) -> Array:
        """Real states after the encoder; float64 (batch, 2^n)."""
        return encode(states, self.num_latent, self.num_layers, self.angles_rad)


def figures(ensemble: Ensemble, num_latent: int, num_layers: int, angles_rad: Array) -> Figures:
    """Judge angles on an ensemble."""
    seen, unseen = (encode(part, num_latent, num_layers, angles_rad) for part in (ensemble.train, ensemble.test))
    parts = (trash_fidelities(seen, num_latent), trash_fidelities(unseen, num_latent))
    each = (*parts, decode_fidelities(unseen, num_latent))
    values = [float(pick(part)) for part in each for pick in (np.mean, np.min)]
    return Figures(ky_fan(ensemble.train, num_latent), *values)


def write_record(path: Path, record: Any) -> None:
    """Write a record as JSON, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(msgspec.json.encode(record) + b"\n")
    part.replace(path)


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a record that :func:`write_record` wrote.

    Raises:
        InvalidParameter: the file cannot be read or holds something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise InvalidParameter(f"{path}: cannot be read: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise InvalidParameter(f"{path}: wanted the JSON of a {kind.__name__}: {error}") from error


def read_encoder(path: Path) -> Encoder:
    """Read a trained encoder, as ``qorch autoencoder train`` leaves one.

    Raises:
        InvalidParameter: the file cannot be read, holds something else, or its number of angles does not fit its shape.
    """
    found = read_record(path, Encoder)
    shape = (found.num_qubits, found.num_latent, found.num_layers)
    if not (1 <= found.num_latent < found.num_qubits <= 12 and 1 <= found.num_layers <= 1000):
        raise InvalidParameter(f"{path}: wanted 1 <= num_latent < num_qubits <= 12 and some layers, got {shape}")
    wanted = num_angles(*shape)
    if len(found.angles_rad) != wanted or not np.all(np.isfinite(found.angles_rad)):
        raise InvalidParameter(f"{path}: wanted {wanted} finite angles, got {len(found.angles_rad)}")
    return found


def shipped_name(states: str, num_qubits: int, num_latent: int) -> str:
    """File name of a shipped encoder in ``circuits/data``."""
    return f"autoencoder_{states}_{num_qubits}_{num_latent}.json"


@lru_cache
def shipped(states: str, num_qubits: int, num_latent: int) -> Encoder:
    """The encoder that ships for an ensemble."""
    resource = files("circuits").joinpath("data", shipped_name(states, num_qubits, num_latent))
    return msgspec.json.decode(resource.read_bytes(), type=Encoder)
