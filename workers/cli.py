"""The command line ``qorch``: its commands and what stands before them. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workers import (
    cli_autoencoder,
    cli_budget,
    cli_calibrate,
    cli_compare,
    cli_fleet,
    cli_jobs,
    cli_ops,
    cli_raytrace,
    cli_replay,
    cli_server,
    cli_steane,
)
from workers.cli_frame import Frame, print_json
from workers.cli_options import Common, takes

app = typer.Typer(
    cls=Frame,
    name="qorch",
    help="Run quantum circuits where they run best: submit, let a policy place them, learn from what was measured.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANELS = {
    "Jobs": (
        cli_jobs.run,
        cli_jobs.submit,
        cli_jobs.quote,
        cli_jobs.status,
        cli_jobs.result,
        cli_jobs.cancel,
        cli_jobs.jobs,
        cli_jobs.events,
        cli_jobs.why,
        cli_ops.logs,
    ),
    "Workloads": (cli_compare.compare, cli_raytrace.raytrace),
    "What there is": (
        cli_fleet.backends,
        cli_fleet.policies,
        cli_fleet.costs,
        cli_fleet.prices,
        cli_calibrate.calibrate,
        cli_server.metrics,
        cli_fleet.doctor,
    ),
    "Cluster": (cli_fleet.up, cli_fleet.worker, cli_server.serve),
    "Operations": (
        cli_ops.workers,
        cli_ops.drain,
        cli_ops.disable,
        cli_ops.resume,
        cli_ops.backup,
        cli_ops.export,
        cli_ops.prune,
        cli_replay.replay,
        cli_replay.evaluate,
        cli_replay.twin,
    ),
}
for _panel, _commands in PANELS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(takes(_command))

tokens = typer.Typer(help="Who may speak to the HTTP interface: add, list, revoke.")
tokens.command("add")(takes(cli_server.token_add))
tokens.command("list")(takes(cli_server.token_list))
tokens.command("revoke")(takes(cli_server.token_revoke))
app.add_typer(tokens, name="token", rich_help_panel="Cluster")

budgets = typer.Typer(help="What may be spent on real devices: set, show.")
budgets.command("set")(takes(cli_budget.budget_set))
budgets.command("show")(takes(cli_budget.budget_show))
app.add_typer(budgets, name="budget", rich_help_panel="Operations")

autoencoders = typer.Typer(help="Quantum autoencoders: train an encoder.")
autoencoders.command("train")(takes(cli_autoencoder.train))
app.add_typer(autoencoders, name="autoencoder", rich_help_panel="Workloads")
steane = typer.Typer(help="Steane's code: how well it keeps a logical qubit, and what it costs.")
steane.command("memory")(takes(cli_steane.memory))
steane.command("resources")(takes(cli_steane.resources))
app.add_typer(steane, name="steane", rich_help_panel="Workloads")


def main() -> None:
    """The entry point of ``qorch``."""
    app()


@app.callback(invoke_without_command=True)
def qorch(
    ctx: typer.Context,
    url: Annotated[str | None, typer.Option(help="Cluster to speak to (QORCH_URL); default: embedded.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the embedded store (QORCH_DATA_DIR).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """What stands before a command's name."""
    ctx.obj = Common(url, data_dir, as_json)
    if version:
        from importlib.metadata import version as installed

        found = installed("qorch")
        if as_json:
            print_json({"version": found})
        else:
            typer.echo(f"qorch {found}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
