"""The commands about jobs: submit them, look at them, wait for them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import connected, fleet_rendering, note, print_json, rendering, settings_of, show
from workers.cli_options import Common, JobOptions, bounded, seconds
from workers.cli_program import reader

if TYPE_CHECKING:
    from orchestrator import Client, JobHandle
    from orchestrator.job import Job, JobState, Result

WhatToRun = Annotated[
    str, typer.Argument(metavar="FILE|FAMILY", help="OpenQASM 2 or 3 file, - for stdin, or a circuit family.")
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's id; `qorch jobs` lists them.")]
Timeout = Annotated[
    float | None, typer.Option(parser=seconds, metavar="SECONDS", help="Stop waiting after so long; the job goes on.")
]


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show where it would go and what it would take; submit nothing.")
]


def run(program: WhatToRun, job: JobOptions, common: Common, dry_run: DryRun = False) -> None:
    """Submit a program, wait, and show its result."""
    if dry_run:
        _quote(program, job, common, dry_run=True)
        return
    options = job.options()
    read = reader(program, job.parameters())
    with connected(common, works=True) as client:
        handle = client.submit(read(), **options)  # read now: the client's child is importing meanwhile
        result = _waited(handle, common)
        show(common, _result_record(result), lambda: rendering().result(result))


def submit(program: WhatToRun, job: JobOptions, common: Common, dry_run: DryRun = False) -> None:
    """Submit a program and show the job's id."""
    if dry_run:
        _quote(program, job, common, dry_run=True)
        return
    options = job.options()
    read = reader(program, job.parameters())
    with connected(common) as client:
        handle = client.submit(read(), **options)
        status = handle.status()
    if settings_of(common).url is None:
        note(f"stored; it runs as soon as a client works on this folder: `qorch result {handle.id}` or `qorch up`")
    show(common, {"job_id": handle.id, "status": status.state}, lambda: handle.id)


def quote(program: WhatToRun, job: JobOptions, common: Common) -> None:
    """Show what each backend would take for a program, with intervals, or why it is excluded. Submits nothing."""
    _quote(program, job, common)


def _quote(program: str, job: JobOptions, common: Common, *, dry_run: bool = False) -> None:
    """A quote for a job; a dry run that finds no place for it ends as the job would."""
    options, read = job.options(), reader(program, job.parameters())
    with connected(common) as client:
        found = client.quote(read(), **options)
    if dry_run and not found.choice:
        from orchestrator.errors import PlacementError

        raise PlacementError(found.failure)
    width = rendering().console().width
    show(common, found, lambda: fleet_rendering().quote(found, width=width, dry_run=dry_run))


def status(job_id: JobId, common: Common) -> None:
    """Show how a job stands."""
    with connected(common) as client:
        handle = client.job(job_id)
        job, assignments = handle.status(), handle.assignments()
        record = _job_record(job) | {"assignments": assignments}
        show(common, record, lambda: rendering().job(job, assignments, time.time()))


def result(job_id: JobId, common: Common, timeout: Timeout = None) -> None:
    """Wait for a job and show its result; an embedded client does the work if nobody else does."""
    with watching(common, job_id) as client:
        handle = client.job(job_id)
        found = handle.result(bounded(timeout)) if timeout is not None else _waited(handle, common)
        show(common, _result_record(found), lambda: rendering().result(found))


def cancel(job_id: JobId, common: Common) -> None:
    """Withdraw a job: what waits never starts, what runs is ended."""
    with connected(common) as client:
        handle = client.job(job_id)
        handle.cancel()
        job = handle.status()
        record = {"job_id": job.id, "status": job.state, "cancel_requested": job.cancel_requested}
        show(common, record, lambda: rendering().job(job, handle.assignments(), time.time()))


def jobs(
    common: Common,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 20,
) -> None:
    """List the newest jobs."""
    wanted = None if state is None else wanted_state(state)
    with connected(common) as client:
        found = client.jobs(state=wanted, tag=tag, limit=limit)
        show(common, [_job_record(job) for job in found], lambda: rendering().jobs(found, time.time()))


def events(
    job_id: JobId,
    common: Common,
    follow: Annotated[bool, typer.Option("--follow", help="Until the job ends.")] = False,
) -> None:
    """Show what happened to a job."""
    from orchestrator.errors import JobTimeout

    found = []
    with watching(common, job_id) if follow else connected(common) as client:
        handle = client.job(job_id)
        submitted_at = handle.status().submitted_at
        try:
            for event in handle.events(timeout=None if follow else 0.0):
                found.append(event)
                if not common.as_json:
                    show(common, None, lambda: rendering().event(found[-1], found[-1].at - submitted_at))
        except JobTimeout:
            if follow:
                raise
    if common.as_json:
        print_json(found)


def why(
    job_id: JobId,
    common: Common,
    every: Annotated[bool, typer.Option("--all", help="Every decision, not the last alone.")] = False,
) -> None:
    """Show why a job went where it went, what was measured, and what its choice cost in hindsight."""
    from workers import render_why
    from workers.render_parts import spaced

    with connected(common) as client:
        job, found = client.job(job_id).status(), client.explain(job_id)
    records = [render_why.record(one) for one in found]
    record: dict[str, Any] = {"job_id": job.id, "status": job.state, "failure": job.failure}
    record |= {"num_decisions": len(found), "decision": records[-1] if found else None}
    if every:
        record["decisions"] = records
    shown = found if every else found[-1:]
    if shown:
        show(common, record, lambda: spaced(*(render_why.why(one, width=rendering().console().width) for one in shown)))
    else:
        show(common, record, lambda: rendering().job(job, [], time.time()))


def _waited(handle: JobHandle, common: Common) -> Result:
    """The result, with what happens meanwhile shown to whoever watches."""
    try:
        if not common.as_json:
            with rendering().console(stderr=True).status("submitted") as spinner:
                for event in handle.events():
                    spinner.update(_now(event.kind, event.data))
        return handle.result()
    except KeyboardInterrupt:
        note(
            f"interrupted; the job is kept: `qorch result {handle.id}` goes on, `qorch cancel {handle.id}` withdraws it"
        )
        raise


def _now(kind: str, data: Any) -> str:
    details = [str(data[name]) for name in ("backend", "round", "message") if name in data]
    return " ".join([kind.replace("_", " "), *details])


def watching(common: Common, job_id: str) -> AbstractContextManager[Client]:
    """A client that works only if the job has not ended."""
    from orchestrator.job import FINAL_JOB_STATES

    with connected(common) as client:
        ended = client.job(job_id).status().state in FINAL_JOB_STATES
    return connected(common, works=not ended)


def wanted_state(name: str) -> JobState:
    """Raises: typer.BadParameter: no such state."""
    from orchestrator.job import JobState

    try:
        return JobState(name)
    except ValueError as error:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(JobState)}", param_hint="--state") from error


def _job_record(job: Job) -> dict[str, Any]:
    spec = job.spec
    return {
        "job_id": job.id,
        "status": job.state,
        "program": {"language": spec.program.language, "family": spec.program.family or None}
        | {"parameters": spec.program.parameters},
        "shots": spec.shots,
        "policy": "pin" if spec.pin else spec.policy,
        "priority": spec.priority,
        "seed": spec.seed,
        "tags": spec.tags,
        "submitted_at": job.submitted_at,
        "finished_at": job.finished_at,
        "cancel_requested": job.cancel_requested,
        "failure": job.failure,
    }


def _result_record(found: Result) -> dict[str, Any]:
    record: dict[str, Any] = {
        "job_id": found.job_id,
        "status": "done",
        "placement": found.placement,
        "estimate": found.estimate,
        "measurement": found.measurement,
        "counts": found.counts,
    }
    extra = {"outcome": found.outcome, "memory": found.memory, "compiled": found.compiled}
    return record | {name: value for name, value in extra.items() if value is not None}
