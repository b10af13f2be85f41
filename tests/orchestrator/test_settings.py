"""Settings come from the environment and keep their secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.settings import Settings


def test_every_field_is_an_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QORCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("QORCH_SLOTS", "3")
    monkeypatch.setenv("QORCH_BACKENDS", "aer_mps, aer_statevector")
    settings = Settings()
    assert (settings.data_dir, settings.slots) == (tmp_path, 3)
    assert settings.backends == ("aer_mps", "aer_statevector")
    assert settings.resolved_store_url == f"sqlite:///{tmp_path / 'qorch.sqlite'}"


def test_secrets_do_not_show() -> None:
    settings = Settings.model_validate(
        {"store_url": "postgresql+psycopg://u:secret@host/db", "redis_url": "redis://:secret@host"}
    )
    assert "secret" not in repr(settings)
    assert "secret" in settings.resolved_store_url


def test_a_folder_that_an_address_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="may hold no"):
        Settings(data_dir=tmp_path / "what?")


@pytest.mark.parametrize("name", ["slots", "max_shots", "default_timeout_s", "scale_price_usd", "lease_s"])
def test_nothing_can_be_set_to_nothing(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Settings.model_validate({name: 0})


def test_what_cannot_be_used_is_said_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QORCH_SLOTS", "hunter2")
    monkeypatch.setenv("QORCH_LOG_FORMAT", "hunter2")
    with pytest.raises(
        ConfigurationError, match=r"QORCH_LOG_FORMAT: .*'human' or 'json'; QORCH_SLOTS: .*unset"
    ) as caught:
        Settings()
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
