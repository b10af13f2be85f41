"""The commands about Steane's code: how well it keeps a logical qubit, and what concatenating it costs."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import show
from workers.cli_options import Common

if TYPE_CHECKING:
    from rich.console import RenderableType

    from circuits.concatenation import Resources
    from circuits.steane.memory import Memory, Tally


def memory(
    common: Common,
    p: Annotated[float, typer.Option(help="Chance that a gate, reset or measurement fails, 0 to 1.")] = 1e-3,
    rounds: Annotated[int, typer.Option(help="Rounds of syndrome extraction.")] = 4,
    shots: Annotated[int, typer.Option(help="Shots simulated, kept or not.")] = 1_000_000,
    engine: Annotated[str, typer.Option(help="stim, or aer: about a thousand times slower.")] = "stim",
    scheme: Annotated[
        str, typer.Option(help="steane (28 verified ancillas), flag (2, feed-forward), bare (not fault-tolerant).")
    ] = "steane",
    basis: Annotated[str, typer.Option(help="z keeps a logical 0, x a logical +.")] = "z",
    seed: Annotated[int, typer.Option(help="The same seed gives the same figures.")] = 7,
) -> None:
    """Keep a logical qubit of Steane's code and count logical errors per round of error correction."""
    from circuits.steane.memory import Memory

    experiment = Memory(p=p, rounds=rounds, shots=shots, basis=basis, scheme=scheme, engine=engine, seed=seed)
    begun = time.perf_counter()
    tally = _watched(experiment)
    found = memory_record(experiment, tally, time.perf_counter() - begun)
    show(common, found, lambda: _memory(found))


def memory_record(experiment: Memory, tally: Tally, run_s: float) -> dict[str, Any]:
    """What `qorch steane memory --json` prints; intervals are Clopper-Pearson at 95 %."""
    from circuits.counts import clopper_pearson

    return asdict(experiment) | {
        "accepted": tally.accepted,
        "failures": tally.failures,
        "logical_error_per_round": tally.error_per_round,
        "interval": tally.interval(),
        "confidence": 0.95,
        "acceptance": tally.acceptance,
        "acceptance_interval": clopper_pearson(tally.accepted, tally.shots),
        "run_s": run_s,
    }


def _watched(experiment: Memory) -> Tally:
    """Run it behind a progress bar, which only a terminal shows."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from circuits.steane.memory import Tally

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("shots  {task.description}"), TimeElapsedColumn())
    tally = Tally(0, 0, 0, experiment.rounds)
    quiet = not sys.stderr.isatty()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=experiment.shots)
        for batch in experiment.batches():
            tally += batch
            bar.update(task, completed=tally.shots, description=f"{tally.failures} failures of {tally.accepted} kept")
    return tally


def _memory(found: dict[str, Any]) -> RenderableType:
    from workers.render_parts import duration, number, pairs

    low, high = found["interval"]
    error = found["logical_error_per_round"]
    kept_low, kept_high = found["acceptance_interval"]
    return pairs(
        {
            "experiment": f"{found['scheme']}, {found['rounds']} rounds, basis {found['basis']}, p = {found['p']:g}",
            "logical error per round": "— (no shot was kept)" if error is None else f"{error:.3e}",
            "95 % interval": f"{low:.3e} to {high:.3e}",
            "acceptance": f"{found['acceptance']:.4f} ({kept_low:.4f} to {kept_high:.4f})",
            "shots": f"{number(found['shots'])}, {number(found['accepted'])} kept, {number(found['failures'])} wrong",
            "engine": f"{found['engine']}, {duration(found['run_s'])}",
        }
    )


def resources(
    common: Common,
    k: Annotated[int, typer.Option("--k", help="Levels of concatenation.")] = 1,
    qubits: Annotated[int, typer.Option(help="Logical qubits.")] = 1,
    depth: Annotated[int, typer.Option(help="Logical depth.")] = 1,
    p: Annotated[float, typer.Option(help="Chance that a physical gate fails.")] = 1e-4,
    threshold: Annotated[float, typer.Option(help="Threshold; the paper's is 2e-4.")] = 2e-4,
) -> None:
    """Show what k levels of the code cost, and the chance of success that the paper's model gives."""
    from circuits.concatenation import Resources

    asked = Resources(k=k, qubits=qubits, depth=depth, p=p, threshold=threshold)
    found = resources_record(asked)
    show(common, found, lambda: _resources(found))


def resources_record(asked: Resources) -> dict[str, Any]:
    """What `qorch steane resources --json` prints: gates are those of idling logical qubits, per time step."""
    return asdict(asked) | {
        "physical_qubits": asked.physical_qubits,
        "gates": asdict(asked.gates),
        "gates_leading_term": asdict(asked.gates_leading_term),
        "success_probability": asked.success_probability,
    }


def _resources(found: dict[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from workers.render_parts import number, table

    made = table(
        "gates in parallel",
        "matrix power (eq. 40)",
        "leading term (eq. 42)",
        right=("matrix power (eq. 40)", "leading term (eq. 42)"),
    )
    for name, count in found["gates"].items():
        made.add_row(name.removeprefix("num_"), f"{count:,.3f}", f"{found['gates_leading_term'][name]:,.3f}")
    logical = f"{found['qubits']} logical at depth {found['depth']}"
    return Group(
        Text(f"level {found['k']}: {number(found['physical_qubits'])} physical qubits for {logical}", "bold"),
        made,
        Text(f"success probability (eq. 10): {found['success_probability']:.6g} at p = {found['p']:g}"),
    )
