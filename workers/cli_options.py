"""What the command line can say about a job, and how its words become records.

The options of several commands stand in one dataclass each; :func:`takes` turns its fields into options of a command.
Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

if TYPE_CHECKING:
    from orchestrator.job import Objective
    from orchestrator.options import Options

_PLACE = "Where it may run"
_LIMITS = "What it must not exceed"
_CONNECTION = "Connection and output"


def takes(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command have dataclasses as parameters: each of their fields becomes an option.

    Its docstring stays its help. What stood before the command's name (``qorch --url … run``) is the context's object;
    the command's own options of that class are laid over it.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    for parameter in inspect.signature(command).parameters.values():
        for name, hint, default in _options(parameter, hints[parameter.name]):
            parameters.append(inspect.Parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=hint))

    @functools.wraps(command)
    def spread(ctx: typer.Context, **values: Any) -> None:
        outer = ctx.find_root().obj
        for name, kind in groups.items():
            said = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            values[name] = said.over(outer) if isinstance(outer, kind) else said
        command(**values)

    spread.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


def _options(parameter: inspect.Parameter, hint: Any) -> list[tuple[str, Any, Any]]:
    if not is_dataclass(hint):
        return [(parameter.name, hint, parameter.default)]
    hints = get_type_hints(hint, include_extras=True)
    return [(field.name, hints[field.name], field.default) for field in fields(hint)]


def seconds(text: str) -> float:
    """A time limit in seconds; ``inf`` is none.

    Raises:
        typer.BadParameter: not a number >= 0.
    """
    value = _number(text, "a number of seconds")
    if not value >= 0:
        raise typer.BadParameter(f"wanted a number of seconds >= 0; got {text!r}")
    return value


def bounded(timeout_s: float | None) -> float | None:
    """The limit as a wait takes it: None waits as long as it takes."""
    return None if timeout_s is None or math.isinf(timeout_s) else timeout_s


@dataclass(frozen=True)
class Common:
    """Options of every command."""

    url: Annotated[
        str | None,
        typer.Option(help="Cluster to speak to (QORCH_URL); default: embedded.", rich_help_panel=_CONNECTION),
    ] = None
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the embedded store (QORCH_DATA_DIR).", rich_help_panel=_CONNECTION),
    ] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=_CONNECTION)
    ] = False

    def over(self, outer: Common) -> Common:
        """These options, and where they are silent, those that stood before the command's name."""
        return Common(self.url or outer.url, self.data_dir or outer.data_dir, self.as_json or outer.as_json)


@dataclass(frozen=True)
class JobOptions:
    """Options of a job; see :class:`orchestrator.client.Options`."""

    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Parameter of a family; may be repeated."),
    ] = None
    shots: Annotated[int, typer.Option(help="Repetitions; an adaptive family takes them per circuit.")] = 1024
    seed: Annotated[int, typer.Option(help="The same seed on the same backend gives the same counts.")] = 7
    policy: Annotated[str, typer.Option(help="Who decides where it goes; see `qorch policies`.")] = "eft"
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=WEIGHT,…",
            help="What matters: fidelity, latency, energy, price; caution=0 to 1 counts figures at their bad ends.",
            show_default=False,
        ),
    ] = None
    priority: Annotated[int, typer.Option(help="0 (background) to 9 (urgent).")] = 4
    optimization_level: Annotated[int, typer.Option(help="Of the transpiler, 0 to 3.")] = 1
    memory: Annotated[bool, typer.Option("--memory", help="Keep the outcome of every shot.")] = False
    compiled: Annotated[bool, typer.Option("--compiled", help="Keep the transpiled circuits.")] = False
    canary: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Where nobody knows the ideal: shots for circuits like it whose ideal is known."
        ),
    ] = 0.0
    tag: Annotated[list[str] | None, typer.Option(help="To find it again; may be repeated.")] = None
    key: Annotated[str | None, typer.Option(help="Submitting again with the same key gives the same job.")] = None
    pin: Annotated[
        str | None,
        typer.Option(metavar="A or A=0.5,B=0.5", help="Run it there, whatever a policy says.", rich_help_panel=_PLACE),
    ] = None
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="A,B", help="Only these are candidates.", rich_help_panel=_PLACE),
    ] = None
    exclude: Annotated[list[str] | None, typer.Option(metavar="A,B", help="These are not.", rich_help_panel=_PLACE)] = (
        None
    )
    max_parts: Annotated[
        int, typer.Option(help="Most backends that may share it, by policy `split`.", rich_help_panel=_PLACE)
    ] = 1
    min_fidelity: Annotated[
        float | None, typer.Option(help="Least fidelity expected, 0 to 1.", rich_help_panel=_LIMITS)
    ] = None
    deadline_s: Annotated[
        float | None, typer.Option(help="Seconds from submission to result.", rich_help_panel=_LIMITS)
    ] = None
    max_cost_usd: Annotated[float | None, typer.Option(help="Highest price expected.", rich_help_panel=_LIMITS)] = None
    max_qpu_s: Annotated[float | None, typer.Option(help="Most seconds of real devices.", rich_help_panel=_LIMITS)] = (
        None
    )
    timeout_s: Annotated[float | None, typer.Option(help="Hard limit of one execution.", rich_help_panel=_LIMITS)] = (
        None
    )

    def options(self) -> Options:
        """As :meth:`orchestrator.Client.submit` takes them.

        Raises:
            InvalidJob: a value no job can have.   typer.BadParameter: it cannot be read.
        """
        from backends.backend import TranspileOptions
        from orchestrator.job import Limits

        found: Options = {
            "shots": self.shots,
            "seed": self.seed,
            "policy": self.policy,
            "priority": self.priority,
            "limits": Limits(
                min_fidelity=self.min_fidelity,
                deadline_s=self.deadline_s,
                max_cost_usd=self.max_cost_usd,
                max_qpu_s=self.max_qpu_s,
                timeout_s=self.timeout_s,
            ),
            "transpile": TranspileOptions(optimization_level=self.optimization_level),
            "memory": self.memory,
            "return_compiled": self.compiled,
            "canary": self.canary,
            "tags": tuple(self.tag or ()),
            "allow": names(self.allow),
            "exclude": names(self.exclude),
            "idempotency_key": self.key,
            "max_parts": self.max_parts,
        }
        if self.objective is not None:
            found["objective"] = objective(self.objective)
        if self.pin is not None:
            found["pin"] = weights(self.pin, "--pin") if "=" in self.pin else self.pin
        return found

    def parameters(self) -> dict[str, str]:
        """What ``--set`` says.

        Raises:
            typer.BadParameter: not NAME=VALUE.
        """
        found = {}
        for item in self.settings or ():
            name, equals, value = item.partition("=")
            if not equals or not name.strip():
                raise typer.BadParameter(f"wanted NAME=VALUE; got {item!r}", param_hint="--set")
            found[name.strip()] = value.strip()
        return found


def names(items: Sequence[str] | None) -> tuple[str, ...]:
    """Names from repeated options, each of which may list several with commas."""
    return tuple(name.strip() for item in items or () for name in item.split(",") if name.strip())


def objective(text: str) -> Objective:
    """``fidelity=0.7,latency=0.3``; what is not named does not matter.

    Raises:
        typer.BadParameter: unknown names or no numbers.   InvalidJob: weights no objective can have.
    """
    from orchestrator.job import Objective

    known = [field.name for field in fields(Objective)]
    given = weights(text, "--objective")
    unknown = [name for name in given if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(known)}", param_hint="--objective")
    return Objective(**(dict.fromkeys(known, 0.0) | given))


def weights(text: str, option: str) -> dict[str, float]:
    """``a=0.5,b=0.5`` as numbers by name.

    Raises:
        typer.BadParameter: it cannot be read so, or a name stands there twice.
    """
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise typer.BadParameter(f"wanted NAME=NUMBER,… with each name once; got {text!r}", param_hint=option)
        found[name.strip()] = _number(value, f"a number for {name.strip()!r}", option)
    return found


def _number(text: str, wanted: str, option: str | None = None) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise typer.BadParameter(f"wanted {wanted}; got {text!r}", param_hint=option) from error
