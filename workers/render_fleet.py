"""What a person reads about places, prices and speeds: tables of the fleet, of quotes, of what was calibrated. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from backends.backend import Availability, CostCurve, Device
from backends.curves import Calibrated
from backends.energy import ENERGY_MODELS, model_of
from backends.pricing import Price
from orchestrator.quote import Figure, Offer, Quote
from orchestrator.store import Announcement
from workers.equipment import PriceRow, Unserved
from workers.render_parts import (
    ROOMY,
    STATES,
    age,
    duration,
    energy,
    excluded_for,
    fidelity,
    number,
    pairs,
    power,
    price,
    spaced,
    span,
    table,
    tariff,
)

WIDE = 130
"""Columns of a screen from which on the table of backends shows everything."""


KINDS = {"simulator": "simulator", "emulated_qpu": "emulated", "qpu": "QPU", "cpu": "classical"}


TITLES = {"built in": "Built-in tariffs", "your file": "Your file", "in force": "In force"}


# ── backends ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def backends(
    found: Sequence[Announcement],
    now: float,
    modes: Mapping[str, str],
    *,
    width: int = 80,
    others: Sequence[Unserved] = (),
    num_others: int = 0,
) -> RenderableType:
    """Who serves what.

    Args:
        modes: of backends that are out of service.   width: of the screen, columns.
        others: to be listed, too: what nobody serves, and why.   num_others: of them that are not listed.
    """
    columns = ["backend", "kind", "qubits", "state", "queue", "calibrated", "price", "power"]
    columns += ["energy", "speed", "worker"] if width >= WIDE else []
    made = table(*columns, right=("qubits", "queue", "power"))
    made.columns[0].min_width = max((len(each.backend) for each in found), default=0)
    for each in sorted(found, key=lambda each: (each.backend, each.worker)):
        device = each.device
        cells: list[str | Text] = [
            Text(each.backend, "bold", no_wrap=True),
            KINDS.get(device.kind, device.kind) + (", Clifford" if device.clifford_only and width >= WIDE else ""),
            str(device.num_qubits or "—"),
            _state(device.availability, modes.get(each.backend)),
            _queue(device.availability),
            "ideal" if device.calibration is None else f"{age(now - device.calibration.taken_at)} ago",
            tariff(device.price),
            power(device.power_w),
        ]
        wide = [_energy(device), _speed(device.cost_curve, now), each.worker] if width >= WIDE else []
        made.add_row(*cells, *wide)
    parts: list[RenderableType] = [made]
    away = {each.backend: why for each in found if (why := _why(each.device.availability, now))}
    if away:
        parts.append(Group(*(Text.assemble((name, "bold"), f" — {why}") for name, why in away.items())))
    if others:
        needs: dict[str, list[str]] = {}
        for other in others:
            needs.setdefault("; ".join(other.needs), []).append(other.backend)
        lines = [Text.assemble((", ".join(names), "bold"), f" — {need}") for need, names in needs.items()]
        parts.append(Group(Text("not served; what they need", "yellow"), *lines))
    if num_others:
        parts.append(Text(f"{num_others} more could be turned on: qorch backends --all", "dim"))
    return spaced(*parts)


def _state(found: Availability, mode: str | None) -> Text:
    words = [mode] if mode else []
    words += [found.state] if found.state != "online" or not mode else []
    return Text(", ".join(words), "green" if words == ["online"] else "yellow")


def _why(found: Availability, now: float) -> str:
    """Why a device takes no work, and until when; empty where there is nothing to say."""
    if found.state == "online":
        return ""
    until = "" if found.opens_at is None else f" for {duration(max(0.0, found.opens_at - now))}"
    return f"{found.state}{until}{found.why and ': '}{found.why}"


def _queue(found: Availability) -> str:
    """Jobs that wait there, and the time they are expected to take."""
    told = [] if found.pending_jobs is None else [number(found.pending_jobs)]
    told += [] if found.queue_s is None else [duration(found.queue_s)]
    return " · ".join(told) or "—"


def _energy(device: Device) -> str:
    model = model_of(device)
    return f"{ENERGY_MODELS[model].kind}, {model.replace('_', ' ')}"


def _speed(curve: CostCurve | None, now: float) -> str:
    if curve is None:
        return "—"
    return "built in" if curve.measured_at is None else f"measured {age(now - curve.measured_at)} ago"


def prices(found: Sequence[PriceRow]) -> RenderableType:
    """The price tables, with date and source of every row; backends of one price together."""
    groups: dict[tuple[Price | None, str], list[str]] = {}
    for row in found:
        groups.setdefault((row.price, row.table), []).append(row.name)
    titles = {row.table: TITLES[row.table] for row in found}
    parts: list[RenderableType] = []
    for table_name, title in titles.items():
        rows: dict[str, RenderableType] = {}
        for (each, where), names in groups.items():
            if where == table_name:
                source = "" if each is None else f"\n{each.source} ({each.date})"
                rows["\n".join(names)] = Text.assemble((tariff(each), "bold"), (source, "dim"))
        parts += [Text(title, "bold cyan"), pairs(rows)]
    return spaced(*parts, Text("QORCH_PRICES names a file of your own; `qorch prices --help` shows its form", "dim"))


# ── quotes ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def quote(found: Quote, *, width: int = 80, dry_run: bool = False) -> RenderableType:
    """Every offer with its intervals, the choice, and who was excluded."""
    numbers = ["latency", "fidelity", "energy", "price", "cost", "seen"][: None if width >= ROOMY else 4]
    made = table("", "backend", *numbers, right=numbers)
    made.columns[1].no_wrap = True
    for offer in found.offers:
        if not offer.rejections:
            share = "" if not offer.share else "▶" if offer.share == 1 else f"{offer.share:.0%}"
            made.add_row(
                Text(share, "green"),
                Text(offer.backend, "bold" if share else "default"),
                *_cells(offer)[: len(numbers)],
            )
    reasons: dict[str, list[str]] = {}
    for offer in found.offers:
        if offer.rejections:
            reasons.setdefault("; ".join(offer.rejections), []).append(offer.backend)
    parts: list[RenderableType] = [_headline(found, dry_run=dry_run)]
    if made.row_count:
        parts.append(made)
        parts.append(Text(_legend(found), "dim"))
    if reasons:
        parts.append(excluded_for(reasons))
    return spaced(*parts)


def _headline(found: Quote, *, dry_run: bool) -> Text:
    if not found.choice:
        return Text(found.failure, "red")
    where = " + ".join(name if share == 1 else f"{share:.0%} {name}" for name, share in found.choice.items())
    by = "as pinned" if found.policy == "pin" else f"by {found.policy}"
    end = "; nothing was submitted" if dry_run else ""
    return Text.assemble("would go to ", (where, "bold"), (f" {by}{end}", "dim"))


def _legend(found: Quote) -> str:
    words = [
        f"below each figure its {found.level:.0%} interval: * from measured errors, else from a prior width or known"
    ]
    if found.adaptive:
        words.append("the program chooses its circuits as it goes: without measurements the figures are those of one")
    return "; ".join(words)


def _cells(offer: Offer) -> list[Text]:
    cost = "—" if offer.cost is None else f"{offer.cost:.3g}"
    return [
        _interval(offer.latency_s, duration),
        _interval(offer.fidelity, fidelity),
        _interval(offer.energy_j, energy),
        _interval(offer.cost_usd, price),
        Text(cost),
        Text(f"{offer.num_observations:.3g}"),
    ]


def _interval(found: Figure | None, words: Callable[[float], str]) -> Text:
    if found is None or found.expected is None or found.low is None or found.high is None:
        return Text("unknown" if found is not None else "—")
    if found.low == found.high:
        return Text(words(found.expected))
    mark = "*" if found.basis == "measured" else ""
    return Text.assemble(words(found.expected), (f"\n{span(found.low, found.high, words)}{mark}", "dim"))


# ── calibrate ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def calibrated(found: Sequence[Calibrated], *, file: str) -> RenderableType:
    """What was measured, and what it is worth."""
    if not found:
        return Text("no cost curves were measured here: the built-in ones hold", "dim")
    numbers = ("circuits", "built-in off by", "measured off by")
    made = table("backend", *numbers, "", right=numbers)
    for each in found:
        kept = Text("kept", STATES["ok"]) if each.improved else Text("no better: the built-in one stays", "dim")
        off = (f"× {each.factor_before:.2f}", f"× {each.factor:.2f}")
        made.add_row(Text(each.backend, "bold"), f"{each.num_rows} + {each.num_held_out}", *off, kept)
    words = "off by: median factor over the circuits held out of the fit (the second number)"
    return spaced(made, Text(f"{words}\nkept in {file}; workers read it as they start", "dim", overflow="fold"))
