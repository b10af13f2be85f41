"""Sockets find a place however long the name of the temporary folder is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from workers.local_bus import LocalBus
from workers.redis_server import binary, private_server
from workers.sockets import MAX_FOLDER_BYTES, short_tempdir


@pytest.fixture
def long_tempdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_short_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert short_tempdir() == Path("/var/tmp")


def test_a_bus_and_a_server_work_below_a_long_one(long_tempdir: Path, tmp_path: Path) -> None:
    assert len(str(short_tempdir())) <= MAX_FOLDER_BYTES
    LocalBus(tmp_path / "data").close()
    if binary() is not None:
        with private_server() as url:
            assert str(long_tempdir) not in url
