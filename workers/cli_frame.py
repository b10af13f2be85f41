"""What every command shares: the way to a client, one place for output, one place where errors end.

An error that can be expected is one line on stderr, or with ``--json`` one object on stdout. Exit codes: 0 done,
1 failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import logging
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from workers.cli_options import Common

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator import Client
    from orchestrator.settings import Settings

PORTS = {"--flower": "5555", "--http": "8000"}
"""Options that may stand without their port, and the port that is meant then."""


class Frame(TyperGroup):
    """The group of all commands: whatever one raises ends here."""

    def main(self, *args: Any, **extra: Any) -> Any:
        given = args[0] if args else extra.pop("args", None)
        words = _with_ports(sys.argv[1:] if given is None else given)
        try:
            code = super().main(words, **{**extra, "standalone_mode": False})
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends here, as one line
            code = _report(error, as_json="--json" in words)
        sys.exit(code if isinstance(code, int) else 0)


def _with_ports(words: Sequence[str]) -> list[str]:
    """The words of the command line; a bare ``--flower`` gets its port, since the parser knows no optional values."""
    said = list(words)
    for option, port in PORTS.items():
        if option in said:
            after = said.index(option) + 1
            if said[after : after + 1] == [] or said[after].startswith("-"):
                said.insert(after, port)
    return said


def _report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong; the exit code."""
    from orchestrator.errors import in_words, one_line

    usage = getattr(error, "format_message", None)
    if usage is not None:
        code, kind, message = getattr(error, "exit_code", 2), "UsageError", one_line(str(usage()))
        context = getattr(error, "ctx", None)
        if context is not None:
            message += f" See `{context.command_path} --help`."
    else:
        code, kind, message = 1, type(error).__name__, in_words(error) or _defect(error)
    if as_json:
        record: dict[str, Any] = {"kind": kind, "message": message}
        if hasattr(error, "job_id"):
            record["job_id"] = error.job_id
        print_json({"error": record})
    else:
        typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
        typer.echo(message, err=True)
    return int(code)


def _defect(error: Exception) -> str:
    """What is said of an error that nobody expected; its trace is kept."""
    from orchestrator.errors import one_line

    with tempfile.NamedTemporaryFile("w", prefix="qorch-", suffix=".log", delete=False, encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return one_line(
        f"unexpected {type(error).__name__}: {error} (this is a defect of qorch; its trace is in {file.name})"
    )


def print_json(document: Any) -> None:
    """The one document on stdout; indented for a person, one line for a program."""
    import msgspec

    text = msgspec.json.encode(document)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    typer.echo(text.decode())


def show(common: Common, document: Any, human: Callable[[], RenderableType]) -> None:
    """Print a command's answer: the document, or what a person reads."""
    if common.as_json:
        print_json(document)
    else:
        rendering().console().print(human())


def note(text: str) -> None:
    """A remark beside the answer, on stderr."""
    typer.secho(text, dim=True, err=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], object]]:
    """Calls of (name, done, total) as bars on stderr."""
    if quiet:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=rendering().console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, visible=done < total)

        yield advance


def rendering() -> ModuleType:
    """The module that turns records into tables, imported when a person is to read them."""
    from workers import render

    return render


def fleet_rendering() -> ModuleType:
    """The same for tables of the fleet and of quotes."""
    from workers import render_fleet

    return render_fleet


def settings_of(common: Common, **fixed: Any) -> Settings:
    """The settings of the environment, with what the command line says laid over them.

    Raises:
        ConfigurationError: a variable that cannot be used.
    """
    from orchestrator.settings import Settings

    said: dict[str, Any] = {"url": common.url, "data_dir": common.data_dir and common.data_dir.expanduser()}
    return Settings(**{name: value for name, value in said.items() if value is not None}, **fixed)


@contextmanager
def connected(common: Common, *, works: bool = False) -> Iterator[Client]:
    """A client for one command.

    Args:
        works: an embedded client runs jobs; one that does not only looks at the store and writes to it.
    """
    settings = settings_of(common, embedded_engine=works)
    from orchestrator import Client

    log_to_stderr()
    with Client(settings=settings) as client:
        yield client


def log_as_set(settings: Settings, *, worker: str = "") -> None:
    """Log as a process that stays: in the form that the settings ask for, and what is merely informative, too."""
    from workers.logs import configure

    configure(settings.log_format, worker=worker and f"{worker}@{socket.gethostname()}")


def log_to_stderr() -> None:
    """Send what the workers log to stderr: stdout is for answers."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s  %(message)s"
    )
