"""What this machine and its user add to the devices it serves: prices, measured cost curves, the energy model.

Cost curves rest in the data folder and not in the store: they tell of this machine, and a store may serve several.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import backends
from backends.backend import Device
from backends.curves import Calibrated
from backends.energy import with_qpu_model
from backends.errors import BackendError
from backends.pricing import TARIFFS, Price, priced, read_prices, unpriced
from orchestrator.errors import ConfigurationError
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings


def curves_file(settings: Settings) -> Path:
    """Where `qorch calibrate` keeps what it measured."""
    return settings.data_dir / "cost_curves.json"


def read_curves(settings: Settings) -> dict[str, Calibrated]:
    """What was measured on this machine, by backend.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = curves_file(settings)
    try:
        return from_json(dict[str, Calibrated], path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the measured cost curves in {path} cannot be read: {error}; measure anew with `qorch calibrate --reset`"
        ) from error


def write_curves(settings: Settings, curves: Mapping[str, Calibrated]) -> None:
    """Keep these and no others; whoever reads meanwhile sees the ones before."""
    path = curves_file(settings)
    if not curves:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".json", delete=False, encoding="utf-8") as file:
        file.write(to_json(dict(curves)))
    Path(file.name).replace(path)


def own_prices(settings: Settings) -> dict[str, Price]:
    """The user's own price table. Raises: InvalidPrices."""
    return {} if settings.prices is None else read_prices(settings.prices.expanduser())


def equipment(settings: Settings) -> Callable[[Device], Device]:
    """What makes of a device the one that is announced here. The files are read now and not again.

    Raises:
        InvalidPrices, ConfigurationError: a file that cannot be read.
    """
    prices, curves = own_prices(settings), read_curves(settings)

    def equip(device: Device) -> Device:
        found = with_qpu_model(priced(device, prices), settings.qpu_energy)
        calibrated = curves.get(device.name)
        if calibrated is None or calibrated.sdk_version != device.sdk_version:  # another version takes other times
            return found
        return replace(found, cost_curve=calibrated.curve)

    return equip


def equipped(devices: Mapping[str, Device], settings: Settings) -> dict[str, Device]:
    """The devices as they are announced here. Raises: as :func:`equipment`."""
    equip = equipment(settings)
    return {name: equip(device) for name, device in devices.items()}


@dataclass(frozen=True)
class PriceRow:
    """A row of the price tables as they hold here.

    Attributes:
        name: of a tariff, a backend, or a pattern of backends.   price: None where it is unknown.
        table: "built in", "your file" or, of a backend that is registered, "in force".
    """

    name: str
    price: Price | None
    table: str


def price_rows(settings: Settings) -> list[PriceRow]:
    """The built-in tariffs, the user's own rows, and what holds for each backend that can be loaded here.

    Raises:
        InvalidPrices: the user's file cannot be read.
    """
    own = own_prices(settings)
    rows = [PriceRow(name, price, "built in") for name, price in TARIFFS.items()]
    rows += [PriceRow(name, price, "your file") for name, price in own.items()]
    devices = (device for _, device in registered() if isinstance(device, Device))
    return rows + [PriceRow(device.name, priced(device, own).price, "in force") for device in devices]


@dataclass(frozen=True)
class Unserved:
    """A registered backend that nobody serves, and what it would need."""

    backend: str
    needs: tuple[str, ...]
    device: Device | None = None


def unserved(served: Container[str], settings: Settings) -> list[Unserved]:
    """The registered backends that nobody serves. Raises: InvalidPrices."""
    own = own_prices(settings)
    return [
        Unserved(name, (str(found),)) if isinstance(found, BackendError) else _unserved(priced(found, own), settings)
        for name, found in registered()
        if name not in served
    ]


def _unserved(device: Device, settings: Settings) -> Unserved:
    needs = []
    if device.opt_in or settings.backends:
        needs.append("to be named in QORCH_BACKENDS, or by a worker of `qorch up --worker`")
    else:
        needs.append("a worker: `qorch up`")
    if device.kind == "qpu":
        needs.append("credentials where its SDK looks for them")
    missing = unpriced(device)
    needs += [] if missing is None else [missing]
    return Unserved(device.name, tuple(needs), device)


def registered() -> Iterator[tuple[str, Device | BackendError]]:
    """Every registered backend with its device, or why it cannot be had here."""
    for name in backends.BACKENDS:
        try:
            yield name, backends.load(name).device()
        except BackendError as error:
            yield name, error
