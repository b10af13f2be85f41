"""What faraway devices said is kept whole, under safe names, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends import load
from backends.memo import keep, recall


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("QORCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_a_device_comes_back_as_it_was(folder: Path) -> None:
    device = load("fake_guadalupe").device()
    assert recall(device.name) is None
    keep(device)
    assert recall(device.name) == device
    keep(replace(device, power_w=1.0))
    assert recall(device.name) == replace(device, power_w=1.0)
    assert len(list((folder / "cache" / "devices").iterdir())) == 1


def test_a_name_cannot_leave_the_folder(folder: Path) -> None:
    device = replace(load("aer_mps").device(), name="../../elsewhere")
    keep(device)
    assert recall(device.name) == device
    assert [path.parent.name for path in folder.rglob("*.json")] == ["devices"]


def test_what_is_broken_or_another_device_is_not_known(folder: Path) -> None:
    device = load("aer_mps").device()
    keep(device)
    (path,) = folder.rglob("*.json")
    path.rename(path.with_name("other.json"))
    assert recall("other") is None
    path.write_bytes(b'{"name": "aer_mps"\xff')
    assert recall("aer_mps") is None


def test_a_folder_that_cannot_be_made_is_no_error(folder: Path) -> None:
    (folder / "cache").write_text("in the way", encoding="utf-8")
    keep(load("aer_mps").device())
    assert recall("aer_mps") is None
