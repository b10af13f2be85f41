"""What a person reads: records as small tables. Pure: it prints nothing and knows no client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from backends.energy import ENERGY_MODELS
from circuits.family import Counts
from orchestrator.cost_model.model import Learned
from orchestrator.job import Assignment, Event, Job, Result, Share, Times
from orchestrator.tokens import Token
from orchestrator.transport import PolicyInfo
from workers.doctor import Check
from workers.render_parts import (
    STATES,
    age,
    duration,
    energy,
    fidelity,
    number,
    pairs,
    plain,
    price,
    short,
    spaced,
    state,
    table,
)

NUM_BARS = 16

KINDS = {
    "score": "over its ideal",
    "hellinger": "Hellinger, counts against the ideal",
    "canary": "canaries beside it, the share of shots without error",
    "estimated": "no ideal is known",
}

MARKS = {"ok": "✓", "note": "·", "warn": "!", "fail": "✗"}


def console(*, stderr: bool = False) -> Console:
    """Where it is printed; no mark-up or highlighting that texts of users could trigger."""
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def program(job: Job) -> str:
    """What a job runs, in a few characters."""
    asked = job.spec.program
    if asked.family:
        return asked.family
    return f"OpenQASM {asked.language[-1]}"


# ── a result ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def result(found: Result) -> RenderableType:
    """Counts, placement, and the estimate beside what was measured."""
    parts: list[RenderableType] = [_headline(found)]
    if found.counts:
        parts.append(counts(found.counts))
    if found.outcome is not None:
        told = found.outcome if isinstance(found.outcome, dict) else {"outcome": found.outcome}
        parts.append(pairs({name: Text(plain(value)) for name, value in told.items()}))
    parts.append(_comparison(found))
    kept = []
    if found.memory is not None:
        kept.append(f"{number(len(found.memory))} single shots")
    if found.compiled is not None:
        kept.append(f"the transpiled circuits for {', '.join(found.compiled)}")
    if kept:
        parts.append(Text(f"--json also shows {' and '.join(kept)}", "dim"))
    return spaced(*parts)


def _headline(found: Result) -> Text:
    where = " + ".join(
        share.backend if len(found.placement.shares) == 1 else f"{share.backend} ({_extent(share)})"
        for share in found.placement.shares
    )
    by = "pinned" if found.placement.policy == "pin" else f"placed by {found.placement.policy}"
    return Text.assemble(("done", "green bold"), " on ", (where, "bold"), (f"  {by} · job {found.job_id}", "dim"))


def _extent(share: Share) -> str:
    return f"{number(share.shots)} shots" if share.items is None else f"items {share.items[0]}–{share.items[1] - 1}"


def counts(found: Counts, num_bars: int = NUM_BARS) -> RenderableType:
    """The most frequent outcomes as bars."""
    total = sum(found.values())
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked[:num_bars]
    made = Table.grid(padding=(0, 2))
    for style, justify in (("bold", "left"), ("default", "right"), ("dim", "right")):
        made.add_column(style=style, justify="right" if justify == "right" else "left", no_wrap=True)
    made.add_column(no_wrap=True)
    for bits, amount in shown:
        bar = Bar(shown[0][1], 0, amount, width=32, color="cyan")
        made.add_row(short(bits), number(amount), f"{amount / total:.1%}", bar)
    rest = ranked[num_bars:]
    if not rest:
        return made
    more = sum(amount for _, amount in rest)
    return Group(made, Text(f"and {number(len(rest))} more outcomes with {number(more)} shots", "dim"))


def _comparison(found: Result) -> Table:
    estimate, measured = found.estimate, found.measurement
    waiting_s = max((share.wait_s for share in found.placement.shares), default=None)
    made = table("", "estimated", "measured", "", right=("estimated", "measured"))
    kind = KINDS.get(measured.fidelity_kind, measured.fidelity_kind)
    if measured.score is not None:
        kind = f"score {measured.score:.4g}, {kind}"
    if measured.fidelity_floor is not None:
        kind += f"; an ideal device shows {measured.fidelity_floor:.4f}"
    if measured.approximate:
        kind += "; approximate: nothing is learned from it"
    parts = f"{duration(measured.prepare_s)} to transpile, {duration(measured.run_s)} to run"
    parts += f" on {measured.method}" if measured.method else ""
    seen = "calibration and measurements" if estimate.num_observations else "calibration alone"
    made.add_row("fidelity", fidelity(estimate.fidelity), fidelity(measured.fidelity), Text(kind, "dim"))
    made.add_row("service", duration(estimate.service_s), duration(measured.service_s), Text(parts, "dim"))
    if measured.device_s is not None:
        device = Text("the emulated device itself, as scheduled", "dim")
        made.add_row("device", duration(estimate.device_s), duration(measured.device_s), device)
    if measured.queue_s is not None:
        queue = Text("at the device" if measured.device_s is None else "in front of the device, emulated", "dim")
        made.add_row("queue", duration(estimate.queue_s), duration(measured.queue_s), queue)
    made.add_row("wait", duration(waiting_s), duration(measured.wait_s), "")
    span = "from submission to result"
    if measured.times is Times.EMULATED:
        span += ", emulated: with the device and its queue instead of its simulation"
    made.add_row("latency", "", duration(measured.latency_s), Text(span, "dim"))
    known = ENERGY_MODELS[measured.energy_model]
    made.add_row(
        "energy", energy(estimate.energy_j), energy(measured.energy_j), Text(f"{known.kind}: {known.source}", "dim")
    )
    made.add_row("price", price(estimate.cost_usd), price(measured.cost_usd), Text(f"estimated from {seen}", "dim"))
    return made


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
def job(found: Job, assignments: Sequence[Assignment], now: float) -> RenderableType:
    """One job as it stands."""
    spec = found.spec
    by = f"pinned to {', '.join(spec.pin)}" if spec.pin else f"policy {spec.policy}"
    rows: dict[str, RenderableType] = {
        "job": found.id,
        "state": state(found.state.value),
        "program": program(found) + (f"  {plain(spec.program.parameters)}" if spec.program.parameters else ""),
        "asked": f"{number(spec.shots)} shots · {by} · priority {spec.priority} · seed {spec.seed}",
        "submitted": f"{age(now - found.submitted_at)} ago",
    }
    if found.finished_at is not None:
        rows["took"] = duration(found.finished_at - found.submitted_at)
    if spec.tags:
        rows["tags"] = ", ".join(spec.tags)
    if found.cancel_requested:
        rows["cancel"] = "requested"
    if found.failure is not None:
        rows["failure"] = Text(f"{found.failure.stage}: {found.failure.message}", "red")
    if not assignments:
        return pairs(rows)
    made = table("backend", "shots", "state", "attempts", "expected", right=("shots", "attempts", "expected"))
    for each in assignments:
        expected = duration(each.estimate.service_s)
        made.add_row(each.backend, number(each.shots), state(each.state.value), str(each.attempt), expected)
    return spaced(pairs(rows), made)


def jobs(found: Sequence[Job], now: float) -> RenderableType:
    """Many jobs, one line each."""
    if not found:
        return Text("no jobs yet; `qorch run` submits one", "dim")
    made = table("job", "state", "program", "shots", "policy", "age", right=("shots", "age"))
    made.columns[0].min_width = max(len(each.id) for each in found)  # an id that is cut is of no use
    for each in found:
        policy = "pin" if each.spec.pin else each.spec.policy
        what = Text.assemble(program(each), (" ".join(["", *each.spec.tags]), "dim"))
        when = age(now - each.submitted_at)
        made.add_row(each.id, state(each.state.value), what, number(each.spec.shots), policy, when)
    return made


def event(found: Event, since_s: float) -> RenderableType:
    """One thing that happened, ``since_s`` seconds after the submission."""
    line = Table.grid(padding=(0, 2))
    line.add_column(style="dim", width=9, justify="right", no_wrap=True)
    line.add_column(width=19, no_wrap=True)
    line.add_column(overflow="fold")
    kind = Text(found.kind.replace("_", " "), STATES.get(found.kind.rpartition("_")[2], "bold"))
    details = "  ".join(f"{name} {plain(value)}" for name, value in found.data.items())
    line.add_row(f"{since_s:.3f} s", kind, Text(details))
    return line


# ── what there is ─────────────────────────────────────────────────────────────────────────────────────────────────────
def policies(found: Sequence[PolicyInfo]) -> RenderableType:
    """Who can decide."""
    return pairs({each.name: Text(each.summary) for each in found})


def costs(found: Sequence[Learned]) -> RenderableType:
    """What the model has learned."""
    if not found:
        return Text("nothing learned yet; every job that ends teaches something", "dim")
    numbers = ("seen", "time", "loss of fidelity")
    made = table("backend", "group", *numbers, right=numbers)
    for each in found:
        loss = "—" if each.loss_ratio is None else f"× {each.loss_ratio:.3g}"
        made.add_row(each.backend, each.group, f"{each.num_observations:.3g}", f"× {each.time_ratio:.3g}", loss)
    return spaced(made, Text("measured over what calibration and prior predict; seen: measurements", "dim"))


def cluster(
    url: str, workers: Mapping[str, Sequence[str]], *, flower: str | None = None, http: str | None = None
) -> RenderableType:
    """A cluster that is up, and how to join it."""
    rows: dict[str, RenderableType] = {f"worker {name}": ", ".join(served) for name, served in workers.items()}
    if flower is not None:
        rows["Flower"] = flower
    if http is not None:
        rows["HTTP"] = http
    join = Text.assemble(("to join it:  ", "dim"), (f"export QORCH_URL={url}", "bold"), overflow="fold")
    return spaced(Text("the cluster is up; Ctrl-C ends it", "green"), pairs(rows), join)


def served(url: str) -> RenderableType:
    """An HTTP server that is up, and how to join it."""
    join = Text.assemble(("to join it:  ", "dim"), (f"export QORCH_URL={url}", "bold"), overflow="fold")
    return spaced(Text("the HTTP interface is up; Ctrl-C ends it", "green"), join)


def token(made: Token, secret: str) -> RenderableType:
    """A token that was made, this once."""
    rows: dict[str, RenderableType] = {"token": Text(secret, "bold", overflow="fold"), "project": made.project}
    return spaced(pairs(rows), Text("it is shown this once: export QORCH_TOKEN=… where clients run", "dim"))


def tokens(found: Sequence[Token], now: float) -> RenderableType:
    """Who may speak to the HTTP interface."""
    if not found:
        return Text("no tokens: the HTTP interface answers on the loopback alone, to everybody there", "dim")
    made = table("name", "project", "made")
    for each in found:
        project = "* (operator)" if each.scope is None else each.project
        made.add_row(Text(each.name, "bold"), project, f"{age(now - each.created_at)} ago")
    return made


def checks(found: Sequence[Check]) -> RenderableType:
    """What the doctor saw."""
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for each in found:
        detail = Text(each.detail)
        if each.remedy:
            detail.append(f"\n{each.remedy}", "yellow" if each.state in ("warn", "fail") else "dim")
        made.add_row(Text(MARKS[each.state], STATES.get(each.state, "dim")), each.name, detail)
    return made
