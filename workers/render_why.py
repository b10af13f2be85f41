"""Why a job went where it went, and what that cost: as a record, and as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from orchestrator.hindsight import Explanation
from orchestrator.job import Interval, Measurement
from orchestrator.records import to_plain
from workers.render_parts import ROOMY, duration, energy, excluded_for, fidelity, price, spaced, span, table

FROM = {
    "measured": "the choice by what was measured",
    "expected": "nothing was measured: the choice by what the model says now",
}


def record(found: Explanation) -> dict[str, Any]:
    """One decision as a program reads it."""
    decision = found.decision
    return {
        "decision_id": decision.id,
        "policy": decision.policy,
        "answered_by": _answered_by(found),
        "instead": decision.situation.instead if decision.situation else "",
        "choice": decision.choice,
        "sooner_s": decision.sooner_s,
        "at": decision.at,
        "model_cursor": decision.cursor,
        "load_s": decision.load_s,
        "candidates": candidates(found),
        "measurement": found.measurement,
        "hindsight": {
            "model_cursor": found.cursor,
            "cost": found.cost,
            "regret": found.regret,
            "basis": found.basis,
            "best": _best(found),
        },
    }


def candidates(found: Explanation) -> list[dict[str, Any]]:
    """Every backend as the decision saw it, with its expected cost; the chosen first, then by cost, then excluded."""
    asked = {one.backend: one for one in found.decision.request.candidates}
    rows = []
    for option in found.options:
        one = asked[option.backend]
        rows.append(
            {
                "backend": option.backend,
                "share": option.share,
                "wait_s": one.wait_s,
                **to_plain(one.estimate),
                "pairs": to_plain(one.prior.pairs),
                "cost": option.cost,
                "now": option.now,
                "cost_now": option.cost_now,
                "rejections": list(one.rejections),
            }
        )
    return sorted(rows, key=lambda row: (-row["share"], bool(row["rejections"]), row["cost"], row["backend"]))


def why(found: Explanation, *, width: int = 80) -> RenderableType:
    """Every candidate with its figures and their intervals, who was excluded, what was measured, and the regret."""
    decision, rows = found.decision, candidates(found)
    last = "seen" if found.regret is None else "now"
    numbers = ["wait", "time", "fidelity", "price", "cost", last] + ["energy"] * (width >= ROOMY)
    made = table("", "backend", *numbers, right=numbers)
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    excluded: dict[str, list[str]] = {}
    for row in rows:
        if row["rejections"]:
            excluded.setdefault("; ".join(row["rejections"]), []).append(row["backend"])
            continue
        share, told = row["share"], row["intervals"] or {}
        time_s = (row["queue_s"] or 0.0) + (row["service_s"] if row["device_s"] is None else row["device_s"])
        cells: list[Text | str] = [
            duration(row["wait_s"]),
            _figure(time_s, told.get("elapsed_s"), duration),
            _figure(row["fidelity"], told.get("fidelity"), fidelity),
            _figure(row["cost_usd"], told.get("cost_usd"), price),
            f"{row['cost']:.3g}",
            f"{row['num_observations']:.3g}" if last == "seen" else _number(row["cost_now"]),
            _figure(row["energy_j"], told.get("energy_j"), energy),
        ]
        mark = "" if not share else "▶" if share == 1 else f"{share:.0%}"
        made.add_row(Text(mark, "green"), Text(row["backend"], "bold" if share else "default"), *cells[: len(numbers)])
    parts: list[RenderableType] = [_headline(found), made]
    if any(row["intervals"] for row in rows):
        parts.append(Text("below each figure its 90% interval", "dim"))
    parts += [_pairs(promise["demand"], promise["quote"]) for row in rows for promise in row["pairs"]]
    if excluded:
        parts.append(excluded_for(excluded))
    if found.measurement is not None:
        parts.append(_beside(found, found.measurement))
    if found.regret is not None:
        parts.append(_regret(found, found.regret))
    elif not decision.group:
        parts.append(Text("an earlier version took this decision, and did not keep what hindsight needs", "dim"))
    return spaced(*parts) if decision.choice else parts[0]


def _headline(found: Explanation) -> Text:
    decision = found.decision
    weights = msgspec.to_builtins(decision.request.spec.objective)
    asked = ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight)
    by = "pinned by its submitter" if decision.request.spec.pin else f"policy {decision.policy}"
    if _answered_by(found) != decision.policy and decision.situation is not None:
        by += f", answered by {decision.situation.policy}: {decision.situation.instead}"
    if decision.sooner_s:
        by += f", served as if submitted {duration(decision.sooner_s)} sooner"
    return Text(f"{by} · objective {asked} · model at observation {decision.cursor}", "dim")


def _pairs(demand: Mapping[str, Any], quote: Mapping[str, Any]) -> Text:
    """What an allocator had to say of a candidate's pairs."""
    ahead = f", {quote['ahead']} before them" if quote["ahead"] else ""
    ready = f"{duration(quote['ready_p50_s'])} (9 of 10: {duration(quote['ready_p90_s'])})"
    return Text(
        f"{demand['num_pairs']} pairs between {demand['src']} and {demand['dst']}{ahead}: there in {ready}, fidelity "
        f"{fidelity(quote['fidelity_mean'])}, quoted by {quote['source']}",
        "dim",
    )


def _beside(found: Explanation, measured: Measurement) -> RenderableType:
    """What was expected of the choice beside what was measured."""
    chosen = [
        (one, found.decision.choice[one.backend])
        for one in found.decision.request.candidates
        if one.backend in found.decision.choice
    ]
    waited_s = found.decision.request.waited_s
    made = table("", "expected", "measured", right=("expected", "measured"))
    latency_s = waited_s + max(one.wait_s + one.estimate.elapsed_s for one, _ in chosen)
    made.add_row("latency", duration(latency_s), duration(measured.latency_s))
    expected = sum(share * one.estimate.fidelity for one, share in chosen)
    made.add_row("fidelity", fidelity(expected), fidelity(measured.fidelity))
    if len(chosen) == 1:  # what a share of the shots takes was estimated after the choice
        made.add_row("energy", energy(chosen[0][0].estimate.energy_j), energy(measured.energy_j))
        made.add_row("price", price(chosen[0][0].estimate.cost_usd), price(measured.cost_usd))
        made.add_row("cost", _number(_expected_cost(found)), _number(found.cost))
    else:
        made.add_row("cost", "—", _number(found.cost))
    return made


def _regret(found: Explanation, regret: float) -> Text:
    best = _best(found)
    if regret == 0:
        words = "in hindsight nothing feasible would have cost less"
    else:
        words = f"in hindsight {best} would have cost {regret:.3g} less"
    basis = f"{FROM[found.basis]}; the others by the model at observation {found.cursor}, with the waits of then"
    return Text.assemble((words, "green" if regret == 0 else "yellow"), (f"\n{basis}", "dim"))


def _best(found: Explanation) -> str | None:
    """The candidate that would have cost least, by what is known now."""
    costs = {one.backend: one.cost_now for one in found.options if one.cost_now is not None}
    if found.cost is not None and len(found.decision.choice) == 1:
        costs |= dict.fromkeys(found.decision.choice, found.cost)
    return min(costs, key=lambda name: (costs[name], name)) if costs else None


def _expected_cost(found: Explanation) -> float | None:
    return next((one.cost for one in found.options if one.share == 1), None)


def _answered_by(found: Explanation) -> str:
    decision = found.decision
    if decision.request.spec.pin:
        return "pin"
    return decision.policy if decision.situation is None else decision.situation.policy


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.3g}"


def _figure(value: float, interval: Mapping[str, float] | Interval | None, words: Callable[[float], str]) -> Text:
    if not isinstance(interval, Mapping) or interval["low"] == interval["high"]:
        return Text(words(value))
    return Text.assemble(words(value), (f"\n{span(interval['low'], interval['high'], words)}", "dim"))
