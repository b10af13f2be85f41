"""The family: shipped encoders, what they keep of unseen states, and records that must hold together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from circuits.autoencoder import Autoencoder
from circuits.autoencoder.records import (
    SHIPPED,
    SHIPPED_LATENTS,
    Encoder,
    figures,
    read_encoder,
    shipped,
    write_record,
)
from circuits.autoencoder.states import ensemble
from circuits.errors import InvalidParameter
from circuits.fidelity import ideal_distribution
from circuits.program import Program

CELLS = [(states, n, k) for states, sizes in SHIPPED.items() for n in sizes for k in SHIPPED_LATENTS]


@pytest.mark.parametrize("field", [0.22, 0.513, 0.97, 1.04, 1.39, 1.97])
def test_unseen_states_are_compressed(field: float) -> None:
    assert Autoencoder(field=field).ideal_score >= 0.998


@pytest.mark.parametrize(("states", "num_qubits", "num_latent"), CELLS)
def test_shipped_encoders_reach_their_targets(states: str, num_qubits: int, num_latent: int) -> None:
    found = shipped(states, num_qubits, num_latent).figures
    if states == "digits":
        assert found.test_mean >= 0.975 * found.bound
        return
    least, gap = (0.998, 2e-3) if num_latent == 3 else (0.999, 1e-3)
    assert found.test_mean >= (0.99 if states == "hubbard" else least)
    assert found.gap <= gap


@pytest.mark.parametrize(("states", "num_qubits", "num_latent"), [("tfim", 7, 4), ("hubbard", 8, 5), ("digits", 6, 3)])
def test_the_record_of_a_training_is_true(states: str, num_qubits: int, num_latent: int) -> None:
    encoder = shipped(states, num_qubits, num_latent)
    again = figures(ensemble(states, num_qubits), num_latent, encoder.num_layers, np.array(encoder.angles_rad))
    for name in ("bound", "train_mean", "test_mean", "test_min", "decode_mean"):
        assert getattr(again, name) == pytest.approx(getattr(encoder.figures, name), abs=1e-9)


@pytest.mark.parametrize(("estimator", "num_qubits"), [("direct", 6), ("swap", 10), ("decode", 9)])
@pytest.mark.parametrize("states", sorted(SHIPPED))
def test_every_estimator_measures_its_fidelity(estimator: str, num_qubits: int, states: str) -> None:
    family = Autoencoder(field=0.4, estimator=estimator, states=states)
    circuit = family.build()
    exact = ideal_distribution(circuit)
    assert exact is not None
    assert circuit.num_qubits == num_qubits
    assert family.score(exact) == pytest.approx(family.ideal_score, abs=1e-9)  # type: ignore[arg-type]


def test_each_ensemble_has_its_own_parameter() -> None:
    def states_of(**fields: float) -> set[bytes]:
        names = ("tfim", "hubbard", "digits")
        return {Autoencoder(states=name, **fields).state().tobytes() for name in names}  # type: ignore[arg-type]

    default = states_of()
    for field, value in (("field", 0.3), ("interaction", 2.0), ("image", 5)):
        assert len(default - states_of(**{field: value})) == 1


def test_it_lowers_to_openqasm2_with_few_cx() -> None:
    program = Program.from_any(Autoencoder().build())
    assert program.language == "openqasm2"
    assert program.load().build().count_ops()["cx"] <= 98


def test_scores_of_given_counts() -> None:
    assert Autoencoder().score({"000": 3, "010": 1}) == 0.75
    assert Autoencoder(estimator="swap").score({"0": 3, "1": 1}) == 0.5
    assert Autoencoder(estimator="swap").score({"0": 1, "1": 3}) == 0.0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_latent": 6}, "num_latent: wanted less than num_qubits = 6, got 6"),
        ({"num_qubits": 5}, r"num_qubits: wanted a trained size of tfim, \(6, 7, 8, 9\), got 5"),
        ({"num_qubits": 7, "states": "hubbard"}, r"num_qubits: wanted a trained size of hubbard, \(6, 8\), got 7"),
        ({"num_latent": 2}, r"num_latent: wanted a trained number, \(3, 4, 5\), got 2"),
        ({"states": "bosons"}, "states: wanted one of 'tfim'"),
        ({"image": 160}, r"image: wanted an integer in \[0, 159\], got 160"),
    ],
)
def test_what_was_not_trained_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Autoencoder(**fields)  # type: ignore[arg-type]


def test_an_encoder_is_read_back_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    encoder = shipped("tfim", 6, 3)
    write_record(tmp_path / "mine.json", encoder)
    assert read_encoder(tmp_path / "mine.json") == encoder
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]
    for change, words in (
        ({"angles_rad": encoder.angles_rad[1:]}, "wanted 108 finite angles, got 107"),
        ({"num_latent": 6}, "num_latent < num_qubits"),
    ):
        values = {name: getattr(encoder, name) for name in Encoder.__dataclass_fields__}
        write_record(tmp_path / "bad.json", Encoder(**(values | change)))
        with pytest.raises(InvalidParameter, match=words):
            read_encoder(tmp_path / "bad.json")
