"""``python -m policies.allocators.qprimaldual solve|fluid|stability|topology|packet``: allocate, watch, judge, draw.

python -m policies.allocators.qprimaldual topology nsfnet --flows 20 --utility skf --seed 3 --out net.json
python -m policies.allocators.qprimaldual solve net.json --allocator optimum --picture net.png
python -m policies.allocators.qprimaldual fluid net.json --delay 5 --picture convergence.png
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuits.errors import InvalidParameter
from policies.allocators.qprimaldual.packet import packet
from policies.envs.commands import AsJson
from policies.words import errors_in_words

if TYPE_CHECKING:
    from policies.envs.qnum.network import Network

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
File = Annotated[Path, typer.Argument(help="network as JSON")]
Picture = Annotated[Path | None, typer.Option(help="file for a picture; its suffix says in which format")]
GainsName = Annotated[str, typer.Option(help="scale_free (ours), plain (without PI), transcribed (second-hand)")]


@app.command()
def solve(
    file: File,
    allocator: Annotated[str, typer.Option(help="optimum, or a baseline")] = "optimum",
    coherence_s: Annotated[float, typer.Option(help="of memories; inf for ideal ones")] = math.inf,
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Utility, rates, Werner parameters and prices; of the optimum with the residual that certifies it."""
    with errors_in_words():
        from policies.envs.qnum.document import load

        network = load(file)
        answer = _optimum(network, coherence_s) if allocator == "optimum" else _allocated(network, allocator)
        if picture:
            from policies.allocators.qprimaldual.pictures import draw_network

            draw_network(network, answer["rates_hz"], answer["werner"], answer["prices"], picture)
    _tell(answer, as_json, f"U = {answer['utility']:.9g}", ("rates_hz", "end_to_end"))


def _optimum(network: Network, coherence_s: float) -> dict[str, Any]:
    from policies.allocators.optimum import optimum

    best = optimum(network, coherence_s)
    at = best.allocation
    assert at.prices is not None
    assert at.quality_prices is not None
    return {
        "name": network.name,
        "utility": best.utility,
        "rates_hz": at.rates_hz.tolist(),
        "werner": at.werner.tolist(),
        "end_to_end": best.ends.tolist(),
        "prices": at.prices.tolist(),
        "quality_prices": at.quality_prices.tolist(),
        "kkt_residual": best.kkt_residual,
        "proven": best.proven,
        "slack_hz": best.slack_hz.tolist(),
        "steps": best.num_steps,
    }


def _allocated(network: Network, name: str) -> dict[str, Any]:
    from policies.allocators import load
    from policies.allocators.optimum import optimum
    from policies.envs.qnum.problem import end_to_end, gap, shortfall, utility

    found = load(name)(network)
    worth = utility(network, found.rates_hz, found.werner)
    worst = gap(network, optimum(network).utility, worth)
    return {
        "name": network.name,
        "utility": worth if math.isfinite(worth) else None,
        "gap": worst if math.isfinite(worst) else None,
        "shortfall": shortfall(network, found.werner),
        "rates_hz": found.rates_hz.tolist(),
        "werner": found.werner.tolist(),
        "end_to_end": end_to_end(network, found.werner).tolist(),
        "prices": None if found.prices is None else found.prices.tolist(),
    }


@app.command()
def fluid(
    file: File,
    gains: GainsName = "scale_free",
    variant: Annotated[str, typer.Option(help="exact, or approx: links take w^h for a flow's W")] = "exact",
    delay: Annotated[int, typer.Option(help="iterations that a message takes, each way")] = 0,
    w0: Annotated[float, typer.Option(help="Werner parameter of every link at the start")] = 0.967,
    iterations: Annotated[int, typer.Option(help="at most", min=1, max=10_000_000)] = 4000,
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """How QPrimalDual comes to the optimum: gap, and iterations until it is below 1e-3 and 1e-6 for good."""
    with errors_in_words():
        from policies.allocators.optimum import optimum
        from policies.allocators.qprimaldual.fluid import Fluid, follow, gains_named
        from policies.envs.qnum.document import load

        network = load(file)
        best = optimum(network).utility
        model = Fluid(network, gains_named(gains), delay, variant)
        with _told(iterations) as told:
            run = follow(model, best, w0=w0, most=iterations, until=1e-9, told=told)
        if picture:
            from policies.allocators.qprimaldual.pictures import draw_convergence

            draw_convergence({f"{gains}, {variant}": run.gaps}, picture)
    last = float(run.gaps[-1])
    answer = {
        "name": network.name,
        "optimum": best,
        "gap": last if math.isfinite(last) else None,
        "iterations_1e-3": run.iterations_to(1e-3),
        "iterations_1e-6": run.iterations_to(1e-6),
        "iterations": len(run.gaps),
        "shortfall": float(run.shortfalls[-1]),
        "rates_hz": run.state.rates_hz.tolist(),
        "werner": run.state.werner.tolist(),
        "prices": run.state.prices.tolist(),
    }
    words = ", ".join(f"{key[11:]} after {answer[key] or 'never'}" for key in ("iterations_1e-3", "iterations_1e-6"))
    _tell(answer, as_json, f"gap {last:.3g} after {len(run.gaps)} iterations; {words}", ("rates_hz",))


@contextmanager
def _told(most: int) -> Iterator[Callable[[int, float], object] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=most)
        yield lambda count, gap: bar.update(task, completed=count, description=f"gap {gap:.1e}")


@app.command()
def stability(
    file: File,
    gains: GainsName = "scale_free",
    as_json: AsJson = False,
) -> None:
    """Eigenvalues at the optimum in continuous and discrete time, and the delay that gains still bear."""
    with errors_in_words():
        from policies.allocators.optimum import optimum
        from policies.allocators.qprimaldual.fluid import gains_named
        from policies.allocators.qprimaldual.stability import report
        from policies.envs.qnum.document import load

        network = load(file)
        found = report(network, optimum(network), gains_named(gains))
    answer = {
        "name": network.name,
        "gains": gains,
        "stable": found.abscissa < 0.0 and found.radius < 1.0,
        "max_real_eigenvalue": found.abscissa,
        "spectral_radius": found.radius,
        "max_curvature_eigenvalue": found.curvature,
        "delay_margin": found.delay_margin,
        "eigenvalues": [[each.real, each.imag] for each in found.eigenvalues.tolist()],
    }
    margin = "no delay, not even 0," if found.delay_margin is None else f"a delay of {found.delay_margin} each way"
    words = f"max Re {found.abscissa:.4g} (continuous), radius {found.radius:.6g} (discrete); bears {margin} unslowed"
    _tell(answer, as_json, words, ())


@app.command()
def topology(
    name: Annotated[str, typer.Argument(help="dumbbell, nsfnet, geometric")],
    out: Annotated[Path, typer.Option(help="file to write")],
    flows: Annotated[int, typer.Option(help="of a dumbbell, its pairs")] = 10,
    utility: Annotated[str, typer.Option(help="neg, skf, de, logneg, mixed")] = "skf",
    seed: Annotated[int, typer.Option(help="of all that is drawn", min=0)] = 1,
    nodes: Annotated[int, typer.Option(help="of geometric")] = 100,
    links: Annotated[int, typer.Option(help="of geometric")] = 300,
    divide_by: Annotated[float, typer.Option(help="of nsfnet's kilometres")] = 100.0,
    w_min: Annotated[float, typer.Option(help="least end-to-end Werner parameter of every other flow")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write a network with flows between random nodes."""
    with errors_in_words():
        from policies.envs.qnum import topologies
        from policies.envs.qnum.document import written

        if name == "dumbbell":
            network = topologies.dumbbell(flows, utility)
        elif name in ("nsfnet", "geometric"):
            drawn = topologies.nsfnet(divide_by) if name == "nsfnet" else None
            where = drawn or topologies.random_geometric(nodes, links, seed)
            network = topologies.with_flows(where, flows, utility, seed, w_min=w_min)
        else:
            raise InvalidParameter(f"topology: wanted dumbbell, nsfnet or geometric, got {name!r}")
        out.write_text(json.dumps(written(network), indent=1) + "\n")
    answer = {"file": str(out), "nodes": network.num_nodes, "links": network.num_links, "flows": network.num_flows}
    _tell(
        answer, as_json, f"{out}: {network.num_nodes} nodes, {network.num_links} links, {network.num_flows} flows", ()
    )


def _tell(answer: dict[str, Any], as_json: bool, words: str, columns: tuple[str, ...]) -> None:
    """One JSON object, or a table of the flows and a line."""
    if as_json:
        typer.echo(json.dumps(answer))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if columns:
        table = Table("flow", *columns)
        for place, row in enumerate(zip(*(answer[column] for column in columns), strict=True)):
            table.add_row(str(place), *(f"{value:.5g}" for value in row))
        console.print(table)
    if answer.get("kkt_residual") is not None:
        words += (
            f"; KKT residual {answer['kkt_residual']:.2g}{'' if answer['proven'] else ', not proven to be the optimum'}"
        )
    console.print(words)


app.command()(packet)


if __name__ == "__main__":
    app()
