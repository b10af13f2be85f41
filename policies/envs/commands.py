"""What the commands of worlds share: files of instances in, answers as tables or JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from circuits.errors import InvalidParameter
from policies.words import errors_in_words

MOST_BYTES = 64 * 2**20
"""Largest file that is read."""

File = Annotated[Path, typer.Argument(help='instance, or list of instances under "instances"')]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object")]

Case = TypeVar("Case")


def of_instances(
    read_cases: Callable[[object], Sequence[Case]],
    evaluated: Callable[[Case], dict[str, Any]],
    best: Callable[[Case], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> typer.Typer:
    """The commands ``evaluate FILE`` and ``optimum FILE`` of a world."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.command("evaluate")
    def evaluate_file(file: File, as_json: AsJson = False) -> None:
        """Cost of the file's action, term by term."""
        _answer(file, as_json, read_cases, evaluated, show)

    @app.command("optimum")
    def optimum_of_file(file: File, as_json: AsJson = False) -> None:
        """The best action that is known, and whether it is proven to be the best."""
        _answer(file, as_json, read_cases, best, show)

    return app


def _answer(
    file: Path,
    as_json: bool,
    read_cases: Callable[[object], Sequence[Case]],
    of: Callable[[Case], dict[str, Any]],
    show: Callable[[dict[str, Any]], None],
) -> None:
    """What is asked of every instance of a file, for a person or as JSON."""
    with errors_in_words():
        document = _read(file)
        answers = [of(case) for case in read_cases(document)]
    if as_json:
        one = isinstance(document, dict) and "instances" not in document
        typer.echo(json.dumps(answers[0] if one else {"instances": answers}))
        return
    for each in answers:
        show(each)


def _read(file: Path) -> Any:
    if file.stat().st_size > MOST_BYTES:
        raise InvalidParameter(f"{file}: wanted at most {MOST_BYTES} bytes, got {file.stat().st_size}")
    try:
        return json.loads(file.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"{file}: wanted a JSON file, got one that cannot be read: {error}") from error


def bounded(total: float, found: dict[str, Any]) -> str:
    """A total, and what is known of the best one, in words."""
    line = f"total {total:.6g}"
    if "exact" in found:
        bound = f"none is below {found['lower_bound']:.6g}"
        line += f"; {'the least there is' if found['exact'] else bound}"
    return line
