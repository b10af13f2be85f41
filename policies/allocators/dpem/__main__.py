"""``python -m policies.allocators.dpem train|evaluate|grid|privacy|replay``: learn, judge, compare, account, replay.

python -m policies.allocators.dpem train --topologies 0:6 --epochs 40 --out runs/dpem
python -m policies.allocators.dpem train --forecaster federated --federate-forecast sigma=20 --out runs/private
python -m policies.allocators.dpem evaluate runs/dpem --demand abilene.xml --world offered_hz=4
python -m policies.allocators.dpem evaluate runs/dpem --topologies 200:205 --logs logs/dpem
python -m policies.allocators.dpem grid --help
python -m policies.allocators.dpem replay logs/dpem/200-0
python -m policies.allocators.dpem privacy --sigma 10 --rounds 40
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from circuits.errors import InvalidParameter
from policies.allocators.dpem.commands import evaluate, train
from policies.allocators.dpem.grid import grid
from policies.envs.commands import AsJson
from policies.envs.entanglement.__main__ import replay_one
from policies.words import errors_in_words

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(train)
app.command()(evaluate)
app.command()(grid)


@app.command()
def privacy(
    sigma: Annotated[float | None, typer.Option(help="noise of a round over the clip")] = None,
    epsilon: Annotated[float | None, typer.Option(help="instead: the noise that costs so much")] = None,
    rounds: Annotated[int, typer.Option(help="of training")] = 40,
    delta: Annotated[float, typer.Option(help="of (epsilon, delta)")] = 1e-5,
    sampled: Annotated[float, typer.Option(help="chance of a node to take part in a round")] = 1.0,
    forecast_sigma: Annotated[float | None, typer.Option(help="noise of the forecaster, trained on its own")] = None,
    forecast_rounds: Annotated[int, typer.Option(help="of the forecaster's training")] = 300,
    as_json: AsJson = False,
) -> None:
    """What federated training costs in epsilon, by three accountants, and what that does not cover."""
    with errors_in_words():
        from policies.allocators.dpem import privacy as accounts

        if (sigma is None) == (epsilon is None):
            raise InvalidParameter("sigma, epsilon: wanted one of them, got both or none")
        if epsilon is not None:
            if sampled != 1.0:
                raise InvalidParameter(
                    f"sampled: wanted 1 with epsilon, since its formula is exact there, got {sampled}"
                )
            sigma = accounts.sigma_for(epsilon, delta, rounds)
        assert sigma is not None
        found = accounts.account(sigma, rounds, delta, sampled)
        answer: dict[str, Any] = {**vars(found), "not_covered": list(accounts.NOT_COVERED)}
        if forecast_sigma is not None:
            its = accounts.account(forecast_sigma, forecast_rounds, delta)
            both = [(each.sigma, each.rounds, each.sampled) for each in (found, its)]
            answer |= {"forecast": its.exact, "together": accounts.together(both, delta)}
    if as_json:
        typer.echo(json.dumps({name: None if value != value else value for name, value in answer.items()}))
        return
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = {
        "exact": "Gaussian, exact",
        "pld": "privacy loss distribution",
        "renyi": "Rényi",
        "forecast": "the forecaster's, exact",
        "together": "both together",
    }
    table = Table("accountant", f"epsilon at delta = {answer['delta']:g}")
    for name, words in names.items():
        if name in answer:
            value = answer[name]
            table.add_row(words, "not where nodes are sampled" if math.isnan(value) else f"{value:.4g}")
    console = Console()
    console.print(f"sigma {answer['sigma']:.4g}, {answer['rounds']} rounds, every node {answer['sampled']:.3g} of them")
    console.print(table)
    console.print("Not covered:")
    for line in answer["not_covered"]:
        console.print(f"- {line}")


app.command("replay")(replay_one)


if __name__ == "__main__":
    app()
