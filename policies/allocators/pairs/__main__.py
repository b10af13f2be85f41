"""``python -m policies.allocators.pairs quote|provision``: what a network can promise, and a device made of it.

python -m policies.allocators.qprimaldual topology nsfnet --flows 3 --seed 3 --out net.json
python -m policies.allocators.pairs quote net.json --src 0 --dst 4 --pairs 100 --allocator qprimaldual
python -m policies.allocators.pairs provision net.json --qpus 0,4 --qubits 4,4 --live --out qpus.json
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policies.envs.commands import AsJson
from policies.words import errors_in_words

if TYPE_CHECKING:
    from policies.allocators.pairs.desk import Desk

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
File = Annotated[Path, typer.Argument(help="network as JSON, whose flows join QPUs")]
Name = Annotated[str, typer.Option("--allocator", help="static, fluid, qprimaldual, local or dpem")]


@app.command()
def quote(
    file: File,
    src: Annotated[str, typer.Option(help="number of the node of one QPU")],
    dst: Annotated[str, typer.Option(help="of the other")],
    pairs: Annotated[int, typer.Option(help="how many")] = 1,
    min_fidelity: Annotated[float, typer.Option(help="of each")] = 0.25,
    deadline_s: Annotated[float | None, typer.Option(help="seconds after which they are worth nothing")] = None,
    allocator: Name = "static",
    as_json: AsJson = False,
) -> None:
    """Rate, time until all are there, fidelity and price, of a network that has just begun."""
    with errors_in_words():
        from orchestrator.entanglement import PairDemand
        from orchestrator.records import to_json

        demand = PairDemand("quote", src, dst, pairs, min_fidelity=min_fidelity, deadline_s=deadline_s)
        (found,) = _desk(file, allocator).quote([demand])
    if as_json:
        typer.echo(to_json(found))
        return
    typer.echo(
        f"{found.rate_hz:.4g} pairs/s; all there in {found.ready_p50_s:.4g} s (half of the cases), "
        f"{found.ready_p90_s:.4g} s (9 of 10); fidelity {found.fidelity_mean:.4f} (9 of 10 above "
        f"{found.fidelity_p10:.4f}); in time with probability {found.deliver_probability:.3f}"
    )


@app.command()
def provision(
    file: File,
    qubits: Annotated[str, typer.Option(help="of each QPU, such as 4,4")],
    out: Annotated[Path, typer.Option(help="file for QORCH_QPU_NETWORK")],
    qpus: Annotated[str | None, typer.Option(help="numbers of their nodes, such as 0,4; all if left out")] = None,
    allocator: Name = "static",
    live: Annotated[bool, typer.Option("--live", help="who places jobs asks the allocator anew for each")] = False,
    as_json: AsJson = False,
) -> None:
    """The device of these QPUs, for the backend ``distributed``."""
    with errors_in_words():
        from circuits.errors import InvalidParameter
        from orchestrator.records import to_json
        from policies.allocators.pairs.provision import provision as provisioned
        from policies.envs.qnum.document import load as network_of

        try:
            numbers = [int(each) for each in qubits.split(",")]
        except ValueError as error:
            raise InvalidParameter(f"qubits: wanted numbers such as 4,4, got {qubits[:80]!r}") from error
        made_from = network_of(file) if live else None
        network = provisioned(_desk(file, allocator), numbers, qpus.split(",") if qpus else None, made_from)
        out.write_text(to_json(network) + "\n")
    typer.echo(to_json(network) if as_json else f"{len(numbers)} QPUs, {len(network.links)} links: {out}")


def _desk(file: Path, allocator: str) -> Desk[Any]:
    from policies.allocators.pairs import load
    from policies.envs.qnum.document import load as network_of

    desk: Desk[Any] = load(allocator, network_of(file))  # type: ignore[assignment]  # all of ours are desks
    return desk


if __name__ == "__main__":
    app()
