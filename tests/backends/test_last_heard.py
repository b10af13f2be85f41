"""What faraway devices said is kept whole, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends import load
from backends.backend import Device
from backends.last_heard import heard_when, keep, path_of, recall


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_a_device_comes_back_as_it_was() -> None:
    device = load("fake_guadalupe").device()
    assert (recall("one", Device), heard_when("one")) == (None, None)
    keep("one", device)
    assert recall("one", Device) == device
    keep("one", replace(device, power_w=1.0))
    assert recall("one", Device) == replace(device, power_w=1.0)
    assert len(list(path_of("one").parent.iterdir())) == 1


def test_what_is_broken_is_as_if_nothing_had_been_heard() -> None:
    keep("one", load("aer_mps").device())
    path_of("one").write_bytes(b'{"name": "aer_mps"\xff')
    assert recall("one", Device) is None
    path_of("one").write_text('{"name": "of another version"}', encoding="utf-8")
    assert recall("one", Device) is None


def test_a_folder_that_cannot_be_made_is_no_error(folder: Path) -> None:
    (folder / "cache").write_text("in the way", encoding="utf-8")
    keep("one", load("aer_mps").device())
    assert recall("one", Device) is None
