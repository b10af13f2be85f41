"""Checkpoints: what is saved comes back, what is not ours is refused by name, an interrupt leaves the last one."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from circuits.errors import InvalidParameter
from policies.envs.meqc.world import Setting
from policies.learners.kit import checkpoint
from policies.learners.kit.checkpoint import FILES, LATEST, Run
from policies.train import train
from tests.policies.learners.toy import Config

pytestmark = pytest.mark.usefixtures("toy")


def run(**config: object) -> Run:
    return Run("toy", "MEQC-v1", 1, Config(**config), Setting(users=2, servers=3))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint after two epochs."""
    return train(run(), 2, tmp_path / "run").folder


def forged(folder: Path, file: str, content: bytes) -> Path:
    """The checkpoint with another file, under the name that it then has."""
    (folder / file).write_bytes(content)
    held = {name: (folder / name).read_bytes() for name in FILES}
    return folder.rename(folder.with_name(checkpoint.name_of(held)))


def test_what_is_saved_comes_back(folder: Path) -> None:
    found = checkpoint.load(folder.parent)
    assert found.run == run()
    assert found.name == folder.name
    assert [one.epoch for one in found.curve] == [1, 2]
    assert set(found.curve[0].figures) == {"share"}
    assert len(found.times_s) == 2
    trained, untrained = found.learner().state(), run().begin().state()
    assert not torch.equal(trained["layer.bias"], untrained["layer.bias"])
    assert all(torch.equal(trained[name], found.training[name]) for name in found.training)


def test_a_run_holds_its_last_checkpoint_alone(folder: Path) -> None:
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([LATEST, folder.name])


def test_a_changed_byte_is_noticed(folder: Path) -> None:
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(content))
    with pytest.raises(InvalidParameter, match="changed or renamed"):
        checkpoint.load(folder)


def changed(key: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda document: document.update({key: value})


def inside(part: str, key: str, value: object) -> Callable[[dict[str, object]], None]:
    return lambda document: document[part].update({key: value})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("format", 2), "format: wanted 1, got 2"),
        (changed("colour", "red"), "'colour'"),
        (changed("learner", "nobody"), "no learner is called 'nobody'"),
        (changed("learner", 3), "learner: wanted str"),
        (changed("env", "Chess-v1"), "no world is called 'Chess-v1'"),
        (changed("seed", True), "seed: wanted int"),
        (changed("epochs", 3), "curve.csv: wanted 3 rows"),
        (inside("config", "steps", 0), r"Config.steps: wanted an integer in \[1, 1000\], got 0"),
        (inside("config", "stride", 1), "'stride'"),
        (lambda document: document["config"].pop("steps"), "steps: wanted this field"),  # type: ignore[attr-defined]
        (inside("setting", "users", 0), "users: wanted"),
        (inside("setting", "mode", "poetic"), "mode: wanted one of"),
        (inside("setting", "overrides", {"gamma_inv": float("nan")}), "gamma_inv"),
        (lambda document: document.pop("setting"), "setting: wanted this field"),
        (inside("setting", "colour", 1), "'colour'"),
    ],
)
def test_a_config_that_is_not_ours_is_refused_by_field(
    folder: Path, change: Callable[[dict[str, object]], None], said: str
) -> None:
    document = json.loads((folder / "config.json").read_text())
    change(document)
    with pytest.raises(InvalidParameter, match=said):
        checkpoint.load(forged(folder, "config.json", json.dumps(document).encode()))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe nonsense", b"[" * 100_000])
def test_a_file_of_something_else_is_refused(folder: Path, file: str, content: bytes) -> None:
    with pytest.raises(InvalidParameter, match=file):
        checkpoint.load(forged(folder, file, content))


def test_a_pickle_is_never_run(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    with pytest.raises(InvalidParameter, match=r"weights\.safetensors: wanted tensors"):
        checkpoint.load(forged(folder, "weights.safetensors", pickle.dumps(Bomb())))
    assert not (tmp_path / "ran").exists()


def test_numbers_that_are_none_are_refused(folder: Path) -> None:
    tensors = load((folder / "weights.safetensors").read_bytes())
    tensors["layer.bias"].fill_(torch.nan)
    with pytest.raises(InvalidParameter, match=r"weights\.safetensors: 'layer.bias': wanted numbers, got NaN"):
        checkpoint.load(forged(folder, "weights.safetensors", save(tensors)))


def test_weights_of_another_shape_are_refused_by_name(folder: Path) -> None:
    tensors = load((folder / "weights.safetensors").read_bytes())
    tensors["layer.weight"] = torch.zeros(1, 4)
    found = checkpoint.load(forged(folder, "weights.safetensors", save(tensors)))
    with pytest.raises(InvalidParameter, match=r"'layer.weight': wanted shape \(1, 9\), got \(1, 4\)"):
        found.actor()


def test_a_training_of_something_else_is_refused(folder: Path) -> None:
    found = checkpoint.load(forged(folder, "training.safetensors", save({"epoch": torch.tensor(2)})))
    with pytest.raises(InvalidParameter, match=r"training\.safetensors: wanted what this learner saves"):
        found.learner()


def test_a_training_that_has_failed_leaves_the_last_checkpoint(folder: Path, tmp_path: Path) -> None:
    train(run(trouble="nan"), 2, tmp_path / "nan")
    before = checkpoint.load(tmp_path / "nan")
    with pytest.raises(InvalidParameter, match="got NaN"):
        train(run(trouble="nan"), 3, tmp_path / "nan", before=before)
    assert checkpoint.load(tmp_path / "nan").name == before.name


@pytest.mark.parametrize("moment", [1, 2])
def test_an_end_in_the_middle_of_writing_leaves_the_last_whole_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    root, before = folder.parent, checkpoint.load(folder)
    real, calls = Path.replace, []

    def interrupted(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return real(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(run(), 3, root, before=before)
    assert checkpoint.load(root).name == before.name
    assert len(checkpoint.load(train(run(), 3, root, before=before).folder).curve) == 3
    assert len(list(root.iterdir())) == 2 + (moment == 2)  # one that nobody points to may stay


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"config\.json: wanted a file of a checkpoint"):
        checkpoint.load(tmp_path)
