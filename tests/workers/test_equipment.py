"""What a machine and its user add to its devices: it holds, it can be taken back, and what cannot be read is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends import BACKENDS, load
from backends.curves import Calibrated
from backends.errors import InvalidPrices
from backends.pricing import COLUMNS
from orchestrator.errors import ConfigurationError
from orchestrator.settings import Settings
from workers.equipment import curves_file, equipped, price_rows, read_curves, unserved, write_curves

NAMES = ("aer_statevector", "fake_hanoi")


@pytest.fixture
def calibrated() -> Calibrated:
    device = load("aer_statevector").device()
    assert device.cost_curve is not None
    curve = replace(device.cost_curve, overhead_s=0.5, measured_at=1.0)
    return Calibrated("aer_statevector", device.sdk_version, curve, True, 3.0, 1.1, 24, 5, 1.0)


def prices(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows]))
    return path


def test_a_plain_machine_serves_devices_as_they_are(settings: Settings) -> None:
    devices = {name: load(name).device() for name in NAMES}
    assert equipped(devices, settings) == devices
    assert read_curves(settings) == {}


def test_measured_curves_hold_for_the_version_they_were_measured_with(
    settings: Settings, calibrated: Calibrated
) -> None:
    write_curves(settings, {"aer_statevector": calibrated})
    assert read_curves(settings) == {"aer_statevector": calibrated}
    device = load("aer_statevector").device()
    served = equipped({"aer_statevector": device}, settings)["aer_statevector"]
    assert served.cost_curve == calibrated.curve
    assert served.target_version == device.target_version
    write_curves(settings, {"aer_statevector": replace(calibrated, sdk_version="0.0")})
    assert equipped({"aer_statevector": device}, settings)["aer_statevector"] is device
    write_curves(settings, {})
    assert not curves_file(settings).exists()
    assert [path.name for path in settings.data_dir.iterdir()] == [], "nothing is left behind"


@pytest.mark.parametrize("text", ["", "{", '{"a": {}}', '{"a": 1}', "\x00"])
def test_curves_that_cannot_be_read_are_said_with_the_remedy(settings: Settings, text: str) -> None:
    settings.data_dir.mkdir(parents=True)
    curves_file(settings).write_text(text)
    with pytest.raises(ConfigurationError, match="qorch calibrate --reset"):
        read_curves(settings)


def test_prices_and_the_energy_model_are_the_users(settings: Settings, tmp_path: Path) -> None:
    own = prices(tmp_path, "fake_*,1.5,,,2026-11-21,ours")
    chosen = settings.model_copy(update={"prices": own, "qpu_energy": "cryogenic"})
    served = equipped({name: load(name).device() for name in NAMES}, chosen)
    hanoi = served["fake_hanoi"]
    assert hanoi.price is not None
    assert (hanoi.price.per_task_usd, hanoi.energy_model) == (1.5, "cryogenic")
    assert hanoi.power_w < 1.0
    assert served["aer_statevector"].price == load("aer_statevector").device().price
    rows = {(row.name, row.table): row.price for row in price_rows(chosen)}
    assert rows["fake_*", "your file"] == hanoi.price == rows["fake_hanoi", "in force"]
    with pytest.raises(InvalidPrices, match=r"nowhere\.csv"):
        equipped({}, settings.model_copy(update={"prices": tmp_path / "nowhere.csv"}))


def test_what_nobody_serves_says_what_it_needs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "bought", "tests.workers.test_equipment:Bought")
    monkeypatch.setitem(BACKENDS, "absent", "tests.workers.test_equipment:Absent")
    others = {one.backend: one for one in unserved(set(BACKENDS) - {"bought", "absent", "aer_mps"}, settings)}
    assert sorted(others) == ["absent", "aer_mps", "bought"]
    needs = "; ".join(others["bought"].needs)
    assert "named in QORCH_BACKENDS" in needs
    assert "credentials" in needs
    assert "QORCH_PRICES" in needs
    assert others["aer_mps"].needs == ("a worker: `qorch up`",)
    assert "pip install" in others["absent"].needs[0]
    assert others["absent"].device is None


class Bought:
    """A device that costs money, at a price that nobody knows."""

    def device(self) -> object:
        return replace(load("fake_hanoi").device(), name="bought", kind="qpu", opt_in=True, price=None)


class Absent:
    """One whose SDK is missing."""

    def device(self) -> object:
        from backends.errors import DependencyNotInstalled

        raise DependencyNotInstalled("absent", "absent_sdk", "absent")
