"""``python -m policies.allocators.qprimaldual packet INSTANCE.json``: QPrimalDual packet by packet.

Judged on the second half of the run, against the ideal optimum and the one that knows of decoherence and latency.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from circuits.errors import InvalidParameter
from policies.envs.qnum.document import load
from policies.envs.qnum.network import Network
from policies.envs.qnum.packet.play import play, share_of, with_latency
from policies.envs.qnum.packet.record import Record
from policies.envs.qnum.packet.settings import VARIANTS, Change, Physics, Run
from policies.envs.qnum.packet.summary import as_json, summary
from policies.words import errors_in_words


def packet(
    instance: Annotated[Path, typer.Argument(help="network, as JSON")],
    variant: Annotated[str, typer.Option(help=f"one of {', '.join(VARIANTS)}")] = "da",
    coherence_s: Annotated[float, typer.Option(help="of one memory; inf for ideal ones")] = 10.0,
    latency_factor: Annotated[float, typer.Option(help="times light over the fibre")] = 1.0,
    duration_s: Annotated[float, typer.Option(help="simulated; the second half is judged")] = 120.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    swap_success: Annotated[float, typer.Option()] = 1.0,
    datagram_loss: Annotated[float, typer.Option(help="of a q-datagram on each hop")] = 0.0,
    ack_loss: Annotated[float, typer.Option(help="of an ACK on its way")] = 0.0,
    storage: Annotated[int, typer.Option(help="requests that a link's queue holds")] = 1_000_000,
    cutoff: Annotated[float, typer.Option(help="Werner parameter below which pairs are discarded")] = 0.0,
    change: Annotated[list[str] | None, typer.Option(help="WHAT:NUMBER@SECONDS, as link_down:4@30")] = None,
    allocator: Annotated[str, typer.Option(help="of the open loop")] = "optimum",
    room: Annotated[float, typer.Option(help="share of its rates that the open loop leaves free")] = 0.1,
    engine: Annotated[str, typer.Option(help="compiled, reference, or auto")] = "auto",
    picture: Annotated[Path | None, typer.Option(help="rates and fidelities over time")] = None,
    live: Annotated[bool, typer.Option("--live", help="draw rates and fidelities while it runs")] = False,
    as_json_: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Simulate an instance packet by packet: utility, rates, fidelities, queues, losses, overhead."""
    with errors_in_words():
        if variant not in VARIANTS:
            raise InvalidParameter(f"--variant: wanted one of {', '.join(VARIANTS)}, got {variant!r}")
        network = load(instance)
        physics = Physics(coherence_s, latency_factor, swap_success, 1.0, datagram_loss, ack_loss, storage, cutoff)
        rates_hz, werner = _given(network, variant, allocator, room)
        changes = tuple(parsed(word) for word in change or ())
        run = Run(network, physics, VARIANTS[variant], duration_s, seed, bin_s(duration_s), rates_hz, werner, changes)
        record = _played(run, engine, quiet=as_json_ and not live, live=live)
        answer = judged(record, variant)
        if picture is not None:
            from policies.envs.qnum.packet.pictures import over_time

            over_time(record, picture)
    if as_json_:
        typer.echo(json.dumps(as_json(answer)))
        return
    _show(answer, network)


def bin_s(duration_s: float) -> float:
    """A second, or less in a short run."""
    return min(1.0, duration_s / 20.0) if duration_s > 0.0 else 1.0


def parsed(word: str) -> Change:
    """A change in words.

    Raises:
        InvalidParameter: it is not of the form WHAT:NUMBER@SECONDS.
    """
    what, _, rest = word.partition(":")
    who, _, at_s = rest.partition("@")
    try:
        return Change(float(at_s), what, int(who))
    except ValueError as error:
        raise InvalidParameter(f"--change: wanted WHAT:NUMBER@SECONDS, as link_down:4@30, got {word!r}") from error


def _given(network: Network, variant: str, allocator: str, room: float) -> tuple[Any, Any]:
    """Rates and Werner parameters of an open loop."""
    if variant != "open":
        return None, None
    from policies.allocators import load as load_allocator

    if not 0.0 < room < 1.0:
        raise InvalidParameter(f"--room: wanted a number in (0, 1), got {room!r}: queues of full links have no mean")
    given = load_allocator(allocator)(network)
    return given.rates_hz * (1.0 - room), given.werner


def _played(run: Run, engine: str, *, quiet: bool, live: bool) -> Record:
    if quiet:
        return play(run, engine)
    from policies.allocators.qprimaldual.live import watched

    with watched(run, Console(stderr=True), curves=live) as tell:
        return play(run, engine, tell)


def judged(record: Record, variant: str) -> dict[str, Any]:
    """All that there is to say of a run, for JSON."""
    from policies.allocators.optimum import optimum

    run = record.run
    network, physics = run.network, run.physics
    begin_s = math.floor(run.num_bins / 2) * run.bin_s
    found = summary(record, begin_s)
    ideal = optimum(network)
    aware = ideal if physics.coherence_s == math.inf else optimum(with_latency(network, physics), physics.coherence_s)
    starved = np.flatnonzero(~np.isfinite(found.utilities)).tolist()
    return {
        "instance": network.name,
        "variant": variant,
        "measured_from_s": begin_s,
        "measured_to_s": run.duration_s,
        "utility": found.utility,
        "G_ideal": share_of(network, ideal.utility, found.utility),
        "G_decoherence_aware": share_of(network, aware.utility, found.utility),
        "utility_ideal": ideal.utility,
        "utility_decoherence_aware": aware.utility,
        "rates_hz": found.rates_hz,
        "werner": found.werner,
        "fidelities": found.fidelities,
        "latency_s": found.latency_s,
        "jain": found.jain,
        "worth_nothing": starved,
        "link_werner": found.link_werner,
        "prices": found.prices,
        "queues": {"mean": found.mean_queue, "max": found.most_waiting, "max_of_run": record.most_waiting.max(axis=0)},
        "losses": found.lost,
        "losses_inferred": record.num_inferred,
        "timeouts": record.num_timeouts,
        "overhead_byte_per_pair": found.overhead_byte,
        "num_events": record.num_events,
        "seed": run.seed,
    }


def _show(answer: dict[str, Any], network: Network) -> None:
    console = Console()
    table = Table(title=f"{answer['instance']}, {answer['variant']}")
    for name in ("flow", "utility", "pairs/s", "fidelity", "latency, ms"):
        table.add_column(name, justify="right")
    rows = zip(network.flows, answer["rates_hz"], answer["fidelities"], answer["latency_s"], strict=True)
    for number, (flow, rate_hz, good, late_s) in enumerate(rows):
        table.add_row(str(number), flow.utility, f"{rate_hz:.2f}", f"{good:.4f}", f"{1e3 * late_s:.1f}")
    console.print(table)
    queues = answer["queues"]
    console.print(f"utility {answer['utility']:.4f}: G {answer['G_ideal']:.3f} of the ideal optimum,", end=" ")
    console.print(f"{answer['G_decoherence_aware']:.3f} of the one that knows of decoherence")
    console.print(f"queues: mean up to {max(queues['mean']):.1f}, never above {max(queues['max']):.0f}", end="; ")
    console.print(f"lost {answer['losses']}; control {answer['overhead_byte_per_pair']:.1f} bytes a pair")
