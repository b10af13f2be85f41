"""``python -m policies.envs.meqc evaluate FILE`` and ``optimum FILE``: what an action costs, and the best there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from circuits.errors import InvalidParameter
from policies.envs.meqc.cost import Breakdown, evaluate
from policies.envs.meqc.document import Case, read_cases
from policies.envs.meqc.hardware import hardware
from policies.words import errors_in_words

MOST_BYTES = 64 * 2**20
"""Largest file that is read."""

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
File = Annotated[Path, typer.Argument(help='instance, or list of instances under "instances"')]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]


@app.command("evaluate")
def evaluate_file(file: File, as_json: AsJson = False) -> None:
    """Cost of the file's action, term by term."""
    _answer(file, as_json, _evaluated)


@app.command("optimum")
def optimum_of_file(file: File, as_json: AsJson = False) -> None:
    """The best action that is known, and whether it is proven to be the best."""
    _answer(file, as_json, _best)


def _answer(file: Path, as_json: bool, of: Callable[[Case], dict[str, Any]]) -> None:
    with errors_in_words():
        document = _read(file)
        answers = [of(case) for case in read_cases(document)]
        several = "instances" in document
    if as_json:
        typer.echo(json.dumps({"instances": answers} if several else answers[0]))
        return
    for answer in answers:
        _show(answer)


def _read(file: Path) -> Any:
    if file.stat().st_size > MOST_BYTES:
        raise InvalidParameter(f"{file}: wanted at most {MOST_BYTES} bytes, got {file.stat().st_size}")
    try:
        return json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{file}: wanted a JSON file, got one that cannot be read: {error}") from error


def _evaluated(case: Case) -> dict[str, Any]:
    if case.servers is None or case.shares is None:
        raise InvalidParameter("a, phi: wanted the action to evaluate, got none; `optimum` needs none")
    return _with_hardware(case, evaluate(case.model, case.instance, case.servers, case.shares))


def _best(case: Case) -> dict[str, Any]:
    from policies.envs.meqc.optimum import optimum  # needs torch

    found = optimum(case.model, case.instance)
    answer = _with_hardware(case, evaluate(case.model, case.instance, found.servers, found.shares))
    actions = [[server, share] for server, share in zip(found.servers, found.shares, strict=True)]
    return {**answer, "actions": actions, "lower_bound": found.lower_bound, "exact": found.exact}


def _with_hardware(case: Case, costs: Breakdown) -> dict[str, Any]:
    machine = hardware(case.model)
    powers = {
        "P_pi": machine.pi_pulse_w,
        "P_1": machine.one_qubit_w,
        "P_2": machine.two_qubit_w,
        "P_M": machine.measurement_w,
        "P_Q": machine.qubit_w,
    }
    return {**costs.document(), "eps_err": machine.error, "powers_W": powers}


def _show(answer: dict[str, Any]) -> None:
    """A table of the users, and what is known of the total."""
    table = Table("user", "server", "own share", "local", "processor", "QPU", "taken", "cost")
    for number, user in enumerate(answer["users"]):
        costs = [f"{user[key]:.4g}" for key in ("cL", "cE", "cQ")]
        taken = "QPU" if user["quantum"] else ("local" if user["phi"] == 1.0 else "processor")
        table.add_row(str(number), str(user["a"]), f"{user['phi']:.2f}", *costs, taken, f"{user['cost']:.4g}")
    console = Console()
    console.print(table)
    line = f"total {answer['total']:.6g}"
    if "exact" in answer:
        proven = "the least there is" if answer["exact"] else f"none is below {answer['lower_bound']:.6g}"
        line += f"; {proven}"
    console.print(line)


if __name__ == "__main__":
    app()
