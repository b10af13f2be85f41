"""What a person reads of a log that was played back. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from policies.off_policy import FEW_BATCHES, OffPolicy, Value
from policies.replay import Refolded, Replayed, Tally
from workers.render_parts import duration, fidelity, number, pairs, spaced, table

NAMES = {
    "inverse_propensity": "inverse propensity: unbiased, wide",
    "self_normalised": "self-normalised: nearly unbiased",
    "direct": "direct: as biased as the cost model was",
    "doubly_robust": "doubly robust: unbiased",
}

SHOWN = 8


def replayed(found: Replayed, tally: Tally, refolded: Refolded | None, policy: str | None) -> RenderableType:
    """Whether decisions and estimates repeat."""
    asked = f"policy {policy} asked instead" if policy else "asked again whoever decided"
    rows: dict[str, RenderableType] = {
        "decisions": f"{number(found.num_decisions)} in {number(found.num_calls)} calls, {asked}",
        "the same": Text(number(found.num_same), "" if found.num_different else "green"),
    }
    if found.num_different:
        rows["different"] = Text(number(found.num_different), "default" if policy else "red")
    for words, amount in (
        ("by another policy, since their own could not", found.num_instead),
        ("by policies that are not registered here", found.num_gone),
    ):
        if amount:
            rows[words] = number(amount)
    rows |= {words: number(amount) for words, amount in _left_out(vars(tally)).items()}
    parts: list[RenderableType] = [pairs(rows)]
    if found.different:
        made = table("job", "policy", "logged", "again")
        for one in found.different[:SHOWN]:
            made.add_row(Text(one.job_id, no_wrap=True), one.policy, _choice(one.logged), _choice(one.again))
        parts.append(made)
    if refolded is not None:
        parts.append(_estimates(refolded))
    return spaced(*parts)


def _estimates(found: Refolded) -> RenderableType:
    rows: dict[str, RenderableType] = {"estimates made anew": f"of {number(found.num_decisions)} decisions"}
    rows["the same"] = Text(number(found.num_same), "" if found.num_different else "green")
    for words, amount, style in (
        ("different", found.num_different, "red"),
        ("of backends that are not served as they were", found.num_unknown, "default"),
        ("decisions whose measurements were removed", found.num_pruned, "default"),
        ("decisions of another version", found.num_too_old, "default"),
    ):
        if amount:
            rows[words] = Text(number(amount), style)
    return pairs(rows)


def evaluated(record: Mapping[str, Any]) -> RenderableType:
    """What a policy would have cost, every way it can be estimated."""
    policy, played, off = record["policy"], record["played"], record["off_policy"]
    level = f"{record['level']:.4g}"
    made = table("mean cost of a job", "", f"{float(level):.0%} interval", right=("", f"{float(level):.0%} interval"))
    made.add_row("the log, measured", *_cells(record["measured"]))
    made.add_row("the log, played", *_cells(played["logged"]))
    made.add_row(Text(f"{policy}, played", "bold"), *_cells(played["policy"]))
    made.add_row("  difference", *_cells(played["difference"]))
    for name, value in off.values.items():
        made.add_row(Text(f"{policy}, {NAMES[name]}", "bold" if name == "doubly_robust" else "default"), *_cells(value))
    latency_s, fidelities = played["latency_s"], played["fidelity"]
    rows: dict[str, RenderableType] = {
        "latency, played": f"{duration(latency_s['logged'])} in the log, {duration(latency_s['policy'])} with {policy}",
        "fidelity, played": f"{fidelity(fidelities['logged'])} in the log, {fidelity(fidelities['policy'])}",
        "jobs": f"{number(off.num_jobs)} measured in {number(off.num_batches)} batches; {number(played['num_jobs'])} "
        f"played, of which {played['measured_share']:.0%} went where they were measured",
        "overlap": f"the weighted jobs are worth {off.effective_jobs:.0f}; largest weight {off.largest_weight:.3g}",
    }
    rows |= {words: number(amount) for words, amount in _left_out(record["left_out"]).items()}
    return spaced(made, *(Text(words, "yellow") for words in _cautions(off)), pairs(rows))


def twinned(record: Mapping[str, Any]) -> RenderableType:
    """What a twin was made of, and how far its service times are off."""
    off, num_backends = record["held_out"], record["num_backends"]
    rows: dict[str, RenderableType] = {
        "made of": f"{number(record['num_jobs'])} jobs and {number(record['num_measured'])} measurements on "
        f"{number(num_backends)} backends",
        "held against": f"the last {number(off['num_measured'])}, by a twin of those before them",
        "measured / foretold": f"{off['ratio']:.3g} (median); off by a factor of {math.exp(off['off']):.3g} (median), "
        f"without what lanes do to each other of {math.exp(off['unslowed_off']):.3g}, estimates of "
        f"{math.exp(off['estimates_off']):.3g}",
        "coverage": f"{off['coverage']:.0%} of them inside of what should hold 90 %",
    }
    return pairs(rows)


def _cautions(off: OffPolicy) -> list[str]:
    found = [off.refused] if off.refused else []
    if off.num_batches < FEW_BATCHES:
        found.append(f"{off.num_batches} batches are few: these intervals are too narrow")
    return found


def _left_out(told: Mapping[str, int]) -> dict[str, int]:
    words = {
        "num_pinned": "left out: pinned",
        "num_too_old": "left out: of an earlier version",
        "num_incomplete": "left out: placed with others that are gone",
        "num_unmeasured": "played, but not measured as a whole",
    }
    return {words[name]: amount for name, amount in told.items() if amount}


def _cells(value: Value) -> tuple[str, str]:
    return f"{value.value:.4g}", f"{value.low:.4g} to {value.high:.4g}"


def _choice(choice: Mapping[str, float]) -> str:
    return " + ".join(name if share == 1 else f"{share:.0%} {name}" for name, share in choice.items())
