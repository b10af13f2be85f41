"""What a run costs, from a price table whose every row has a date and a source.

The built-in rows are second-hand or ours. A user replaces or extends them with a file of their own (``QORCH_PRICES``):
a CSV with the columns of :data:`COLUMNS`, one row for each backend or pattern of backends, of which the first that fits
counts. An amount that stands in no table is unknown: that is None, never zero, and a device with an unknown price is
no candidate.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import InvalidPrices
from circuits.parameters import short

if TYPE_CHECKING:
    from backends.backend import Device

AMOUNTS = ("per_task_usd", "per_shot_usd", "per_second_usd")
COLUMNS = ("backend", *AMOUNTS, "date", "source")
MAX_AMOUNT_USD = 1e6
MAX_FILE_BYTES = 1_000_000
UNKNOWN_USD = 1e9
"""Stands for an unknown price in records: more than any limit or budget admits, should anybody forget to refuse it."""


@dataclass(frozen=True)
class Price:
    """A tariff: ``per_task_usd + shots * per_shot_usd + run_s * per_second_usd``.

    Attributes:
        source: where it is from.   date: the day it was taken from there, ISO.
    """

    per_task_usd: float = 0.0
    per_shot_usd: float = 0.0
    per_second_usd: float = 0.0
    source: str = "ours: a simulator on one's own machine is free"
    date: str = "2026-11-20"

    def cost_usd(self, *, num_tasks: int, shots: int, run_s: float) -> float:
        """Price in US dollars of ``num_tasks`` tasks with ``shots`` shots in all that run for ``run_s`` seconds."""
        return num_tasks * self.per_task_usd + shots * self.per_shot_usd + run_s * self.per_second_usd


_AWS = "second-hand: a public copy of aws.amazon.com/braket/pricing, of unknown age; check before relying on it"
_IBM = "second-hand, from memory, about 2024: IBM Quantum pay-as-you-go, 96 USD a minute; check before relying on it"


def _braket(per_shot_usd: float) -> Price:
    return Price(per_task_usd=0.30, per_shot_usd=per_shot_usd, source=_AWS, date="2026-11-21")


TARIFFS: dict[str, Price] = {
    "own_simulator": Price(),
    "ibm_pay_as_you_go": Price(per_second_usd=1.60, source=_IBM),
    "braket_iqm_garnet": _braket(0.00145),
    "braket_rigetti_ankaa": _braket(0.00090),
    "braket_ionq_aria": _braket(0.03),
    "braket_ionq_forte": _braket(0.08),
    "braket_quera_aquila": _braket(0.01),
    "braket_qpu": Price(per_task_usd=0.30, source=f"any QPU: a task alone, the device tells its shot; {_AWS}"),
    "emulated_falcon_r5": Price(
        per_second_usd=1.60,
        source="ours, for the emulated device: IBM's pay-as-you-go rate (second-hand) on the device's scheduled time",
    ),
    "emulated_falcon_r4": Price(
        per_second_usd=0.80,
        source="ours, for the emulated device: half the newer device's rate, since it is older and noisier",
    ),
    "emulated_iqm": Price(
        per_task_usd=0.30,
        per_shot_usd=0.00145,
        source=f"ours, for an emulated device that does not exist: that of IQM Garnet; {_AWS}",
    ),
    "emulated_google": Price(
        per_second_usd=1.60,
        source="ours, for the emulated device, as Google publishes no tariff: IBM's pay-as-you-go rate (second-hand) "
        "on the device's scheduled time",
    ),
}
"""Tariffs by name. Only those that say so in ``source`` are a vendor's; nothing here is read from a vendor."""


def cost_usd(price: Price | None, *, num_tasks: int, shots: int, run_s: float) -> float:
    """As :meth:`Price.cost_usd`; UNKNOWN_USD where the price is unknown, so that nothing takes it for free."""
    return UNKNOWN_USD if price is None else price.cost_usd(num_tasks=num_tasks, shots=shots, run_s=run_s)


def unpriced(device: Device) -> str | None:
    """Why nothing may be bought there, in words; None if its price is known."""
    if device.price is not None and not (device.remote and device.price == Price()):  # the tariff of a simulator
        return None
    return (
        f"the price of {device.name} is unknown, and what is not known is not free: give it a row in the file that "
        "QORCH_PRICES names (`qorch prices`)"
    )


def priced(device: Device, prices: Mapping[str, Price]) -> Device:
    """The device at the price of the first name or pattern that fits its own."""
    fitting = (price for pattern, price in prices.items() if fnmatchcase(device.name, pattern))
    price = next(fitting, device.price)
    return device if price is device.price else replace(device, price=price)


def read_prices(path: Path) -> dict[str, Price]:
    """A user's own table: backend or pattern -> price, in the order of the file.

    Lines that begin with ``#`` are remarks. An empty cell of an amount is nothing to pay of that kind; a row in which
    all three are empty is refused, and so is a second row for the same name.

    Raises:
        InvalidPrices: it cannot be read so; the message names the line and the field.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidPrices(f"{path}: a price table may have {MAX_FILE_BYTES} bytes; this file has more")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPrices(f"{path}: wanted a price table, UTF-8 text; got {error}") from error
    rows = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    numbers = [number for number, _ in rows]
    try:
        cells = list(csv.reader([line for _, line in rows], strict=True))
    except csv.Error as error:
        raise InvalidPrices(f"{path}: not CSV: {error}") from error
    if len(cells) != len(rows):
        raise InvalidPrices(f"{path}: wanted each row on a line of its own; a quoted cell goes over several")
    if not cells or tuple(cell.strip() for cell in cells[0]) != COLUMNS:
        where = f"line {numbers[0]}" if numbers else "an empty file"
        raise InvalidPrices(f"{path}, {where}: wanted the header {','.join(COLUMNS)}; got {short(cells[:1])}")
    found: dict[str, Price] = {}
    for number, row in zip(numbers[1:], cells[1:], strict=True):
        where = f"{path}, line {number}"
        name, price = _row(where, [cell.strip() for cell in row])
        if name in found:
            raise InvalidPrices(f"{where}, field backend: {short(name)} has a row already; keep one of them")
        found[name] = price
    return found


def _row(where: str, row: Sequence[str]) -> tuple[str, Price]:
    """One row as name and price. Raises: InvalidPrices."""
    if len(row) != len(COLUMNS):
        raise InvalidPrices(f"{where}: wanted {len(COLUMNS)} fields, {','.join(COLUMNS)}; got {len(row)}")
    cells = dict(zip(COLUMNS, row, strict=True))
    for field in ("backend", "source"):
        if not cells[field] or not cells[field].isprintable():
            wanted = "a backend's name or a pattern such as ibm_*" if field == "backend" else "where the price is from"
            raise InvalidPrices(f"{where}, field {field}: wanted {wanted}; got {short(cells[field])}")
    if not any(cells[amount] for amount in AMOUNTS):
        raise InvalidPrices(f"{where}: wanted at least one of {', '.join(AMOUNTS)}; got none: write 0 for what is free")
    amounts = {amount: _amount(where, amount, cells[amount]) for amount in AMOUNTS}
    try:
        day = date.fromisoformat(cells["date"]).isoformat()
    except ValueError as error:
        wanted = "the day the price was looked up, such as 2026-11-21"
        raise InvalidPrices(f"{where}, field date: wanted {wanted}; got {short(cells['date'])}") from error
    return cells["backend"], Price(**amounts, source=cells["source"], date=day)


def _amount(where: str, field: str, text: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_AMOUNT_USD:
        wanted = f"US dollars, a number from 0 to {MAX_AMOUNT_USD:g}"
        raise InvalidPrices(f"{where}, field {field}: wanted {wanted}; got {short(text)}")
    return value
