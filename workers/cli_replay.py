"""The commands that read the log of decisions again: whether it repeats, what others would have cost, and its twin."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import note, rendering, settings_of, show
from workers.cli_jobs import wanted_state
from workers.cli_ops import moment, store_of
from workers.cli_options import Common, names

if TYPE_CHECKING:
    from orchestrator.decision import Decision
    from policies.replay import Call
    from workers.decision_log import DecisionLog

Since = Annotated[
    str | None, typer.Option(metavar="30d|DATE", help="Only jobs submitted since: an age, or a date in UTC.")
]
JobIds = Annotated[
    list[str] | None, typer.Option("--jobs", metavar="A,B", help="Only these, with whoever shared their batch.")
]
Tag = Annotated[str | None, typer.Option(help="Only jobs with this tag.")]
State = Annotated[str | None, typer.Option(help="Only jobs in this state.")]
By = Annotated[
    str | None, typer.Option("--logged-by", metavar="POLICY", help="Only what this policy decided.", show_default=False)
]
Log = Annotated[
    Path | None, typer.Option("--log", metavar="DIR", help="A folder that `qorch export` wrote, instead of the store.")
]


def replay(
    common: Common,
    policy: Annotated[
        str | None, typer.Option(help="Ask this one instead of whoever decided, and see where it differs.")
    ] = None,
    since: Since = None,
    jobs: JobIds = None,
    tag: Tag = None,
    state: State = None,
    logged_by: By = None,
    log: Log = None,
) -> None:
    """Take every logged decision again and compare it bit for bit; exit code 1 if one comes out otherwise."""
    from policies import load
    from policies.replay import Tally, calls, watched
    from policies.replay import replay as again

    if policy is not None:
        load(policy)
    tally = Tally()
    with _opened(common, log, since, jobs, tag, state) as found:
        read = found.decisions()
        decisions = read if found.refold is None else watched(read, found.refold)
        with _counting(common) as count:
            replayed = again(calls(count(decisions), tally, logged_by), cache(load), policy)
    refolded = None if found.refold is None else found.refold.found
    record: dict[str, Any] = {"log": found.source, "policy": policy, "replayed": replayed, "left_out": tally}
    record["estimates"] = refolded

    def shown() -> Any:
        from workers.render_replay import replayed as words

        return words(replayed, tally, refolded, policy)

    show(common, record, shown)
    broken = policy is None and (replayed.num_different or (refolded is not None and refolded.num_different))
    if broken:
        raise typer.Exit(1)


def evaluate(
    common: Common,
    policy: Annotated[str, typer.Option(help="Whom to judge by the log; see `qorch policies`.")],
    since: Since = None,
    jobs: JobIds = None,
    tag: Tag = None,
    state: State = None,
    logged_by: By = None,
    log: Log = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 7,
) -> None:
    """Estimate from the log what another policy would have cost: played through it, and off-policy, with intervals."""
    from policies import load

    load(policy)
    with _opened(common, log, since, jobs, tag, state) as found:
        record = _evaluated(common, found, (logged_by, policy), level=level, seed=seed)

    def shown() -> Any:
        from workers.render_replay import evaluated

        return evaluated(record)

    show(common, record, shown)


def _evaluated(
    common: Common, found: DecisionLog, whom: tuple[str | None, str], *, level: float, seed: int
) -> dict[str, Any]:
    """The document.

    Args:
        whom: whose decisions are judged by, None for everybody's, and who is judged.

    Raises:
        ConfigurationError: nothing in the log can be judged.
    """
    import numpy as np

    from orchestrator.errors import ConfigurationError
    from policies import load
    from policies.evaluation import answers_of, as_logged, play, rows_of
    from policies.off_policy import difference, estimate
    from policies.replay import Tally, calls

    logged_by, policy = whom
    measured, tally, live = found.measured(), Tally(), cache(load)

    def read() -> Iterator[Call]:
        with _counting(common) as count:
            yield from calls(count(found.decisions()), Tally(), logged_by)

    rows = rows_of(calls(found.decisions(), tally, logged_by), live, policy, measured)
    if not len(rows):
        raise ConfigurationError(
            "no job in the log can be judged: it needs jobs that are done, were placed by a policy as a whole, and "
            f"were decided by this version or a later one; left out are {asdict(tally)}"
        )
    logged = play(read(), as_logged, measured, found.now)
    judged = play(read(), answers_of(live(policy)), measured, found.now)
    batch = np.concatenate([np.full(len(call.decisions), number) for number, call in enumerate(read())])
    zero = np.zeros(len(batch))

    def over(figures: Any, base: Any) -> Any:
        return difference(figures, base, batch, level=level, seed=seed)

    return {
        "log": found.source,
        "policy": policy,
        "logged_by": logged_by,
        "level": level,
        "left_out": asdict(tally) | {"num_unmeasured": len(batch) - len(rows)},
        "measured": difference(rows.cost, np.zeros(len(rows)), rows.batch, level=level, seed=seed),
        "played": {
            "num_jobs": len(batch),
            "logged": over(logged.cost, zero),
            "policy": over(judged.cost, zero),
            "difference": over(judged.cost, logged.cost),
            "latency_s": {"logged": float(logged.latency_s.mean()), "policy": float(judged.latency_s.mean())},
            "fidelity": {"logged": float(logged.fidelity.mean()), "policy": float(judged.fidelity.mean())},
            "measured_share": judged.measured,
        },
        "off_policy": estimate(rows, level=level, seed=seed),
    }


def twin(
    common: Common,
    out: Annotated[Path, typer.Argument(help="File of the twin.")],
    since: Since = None,
    tag: Tag = None,
) -> None:
    """Make a twin of this service to train placement in, and show how far it is off what it has not seen."""
    with _learning(), _opened(common, None, since, None, tag, None) as found:
        from policies.envs.measured.logged import held_out, read
        from policies.envs.measured.twin import save

        with _counting(common) as count:
            logged = read(count(found.decisions()), found.measured())
        off, made = held_out(logged), logged.twin()
        save(made, out)
    num_jobs, num_backends = made.feasible.shape
    record: dict[str, Any] = {"log": found.source, "twin": str(out), "num_jobs": num_jobs, "num_backends": num_backends}
    record |= {"num_measured": len(logged.measured), "held_out": off._asdict()}

    def shown() -> Any:
        from workers.render_replay import twinned

        return twinned(record)

    show(common, record, shown)
    source = shlex.quote(f"source={out}")
    note(
        f"to train in it: python -m policies.train placing --env Measured-v1 --servers {num_backends} --world {source}"
    )


@contextmanager
def _learning() -> Iterator[None]:
    """Says in words what is not installed of what learning needs.

    Raises:
        DependencyNotInstalled: torch or safetensors.
    """
    from circuits.errors import DependencyNotInstalled
    from policies.words import LEARN

    try:
        yield
    except ModuleNotFoundError as error:
        if error.name in LEARN:
            raise DependencyNotInstalled("this command", error.name, "learn") from error
        raise


@contextmanager
def _opened(
    common: Common, log: Path | None, since: str | None, jobs: list[str] | None, tag: str | None, state: str | None
) -> Iterator[DecisionLog]:
    """The log that was asked for."""
    from orchestrator.sql.archive import Wanted
    from workers.decision_log import of_export, of_store

    if log is not None:
        if since or jobs or tag or state:
            raise typer.BadParameter("an export is read as a whole; choose jobs when you export", param_hint="--log")
        yield of_export(log)
        return
    with store_of(common) as store:
        submitted_since = None if since is None else moment(since, store.now())
        wanted = Wanted(submitted_since, None if state is None else wanted_state(state), tag)
        yield of_store(store, wanted, names(jobs), settings_of(common))


@contextmanager
def _counting(common: Common) -> Iterator[Callable[[Iterator[Decision]], Iterator[Decision]]]:
    """Shows how many decisions have been read."""
    if common.as_json:
        yield lambda decisions: decisions
        return
    with rendering().console(stderr=True).status("reading") as status:

        def told(decisions: Iterator[Decision]) -> Iterator[Decision]:
            for number, decision in enumerate(decisions, start=1):
                if number % 100 == 0:
                    status.update(f"{number} decisions")
                yield decision

        yield told
