"""The words and shapes that every table of the command line is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from backends.pricing import Price

ROOMY = 100
"""On narrower screens tables of candidates leave out their last columns; --json has everything."""

STATES = {
    "done": "green",
    "ok": "green",
    "running": "cyan",
    "placed": "cyan",
    "sent": "cyan",
    "failed": "red",
    "fail": "red",
    "cancelled": "yellow",
    "warn": "yellow",
}


def duration(value_s: float | None) -> str:
    """Seconds with a fitting unit."""
    if value_s is None or not math.isfinite(value_s):
        return "—"
    if value_s == 0:
        return "0 s"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if abs(value_s) < limit:
            return f"{value_s * factor:.3g} {unit}"
    return f"{value_s / 3600:.1f} h" if value_s < 172_800 else f"{value_s / 86_400:.0f} d"


def age(value_s: float) -> str:
    """How long ago something was, in whole units."""
    for limit, unit_s, unit in ((120, 1, "s"), (7_200, 60, "min"), (172_800, 3_600, "h"), (math.inf, 86_400, "d")):
        if value_s < limit:
            return f"{max(0.0, value_s) // unit_s:.0f} {unit}"
    return "—"


def energy(value_j: float) -> str:
    """Joules with a fitting unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µJ"), (1.0, 1e3, "mJ"), (1e3, 1.0, "J"), (1e6, 1e-3, "kJ")):
        if abs(value_j) < limit:
            return f"{value_j * factor:.3g} {unit}"
    return f"{value_j * 1e-6:.3g} MJ"


def price(value_usd: float) -> str:
    """US dollars; nothing is "free"."""
    return "free" if value_usd == 0 else f"${value_usd:.4g}"


def number(value: int) -> str:
    """A whole number in groups of three."""
    return f"{value:_}".replace("_", "\N{NARROW NO-BREAK SPACE}")


def fidelity(value: float | None) -> str:
    """A fidelity; a dash where none could be measured."""
    return "—" if value is None else f"{value:.4f}"


def span(low: float, high: float, words: Callable[[float], str]) -> str:
    """Both ends in two digits, or four decimals; the unit once where it is the same."""
    ends = [words(end if words is fidelity else float(f"{end:.2g}")) for end in (low, high)]
    first, unit, other = ends[0].partition(" ")[0], ends[0].partition(" ")[2], ends[1].partition(" ")[2]
    return f"{first if unit == other else ends[0]}–{ends[1]}"


def short(text: str, width: int = 32) -> str:
    """The text, with its middle left out if it is longer."""
    if len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def state(name: str) -> Text:
    """A state in its colour."""
    return Text(name, STATES.get(name, "default"))


def plain(value: Any) -> str:
    """A value of a record in one line; a text stands for itself."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the house's dress; ``right`` names the columns of numbers."""
    made = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, show_edge=False, collapse_padding=True)
    numbers = set(right)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    return made


def pairs(rows: Mapping[str, RenderableType]) -> Table:
    """Names and values, one pair a row."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(name, value)
    return made


def spaced(*parts: RenderableType) -> Group:
    """Parts with an empty line between two of them."""
    lines: list[RenderableType] = []
    for part in parts:
        lines.extend((part, ""))
    return Group(*lines[:-1])


def excluded_for(reasons: Mapping[str, Iterable[str]]) -> RenderableType:
    """Backends that do not come into question, by reason."""
    lines = [Text.assemble(", ".join(names), (f" — {reason}", "dim")) for reason, names in reasons.items()]
    return Group(Text("excluded", "red"), *lines)


def tariff(found: Price | None) -> str:
    """A tariff in a few characters."""
    if found is None:
        return "unknown"
    amounts = ((found.per_task_usd, "task"), (found.per_shot_usd, "shot"), (found.per_second_usd, "s"))
    return " + ".join(f"${amount:g}/{unit}" for amount, unit in amounts if amount) or "free"


def power(value_w: float) -> str:
    """Watts with a fitting unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µW"), (1.0, 1e3, "mW"), (1e3, 1.0, "W")):
        if abs(value_w) < limit:
            return f"{value_w * factor:.3g} {unit}"
    return f"{value_w * 1e-3:.3g} kW"
