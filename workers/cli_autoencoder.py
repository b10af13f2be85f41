"""Command ``qorch autoencoder train``: progress, checkpoints, and the figures beside their bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import note, rendering, settings_of, show
from workers.cli_options import Common

if TYPE_CHECKING:
    from rich.console import RenderableType

    from circuits.autoencoder.records import Encoder
    from circuits.autoencoder.training import Checkpoint, Config, Progress

CHECKPOINT, ENCODER = "checkpoint.json", "encoder.json"


def train(
    common: Common,
    states: Annotated[str, typer.Option(metavar="NAME|FILE", help="tfim, hubbard, digits, or .npy/.npz.")] = "tfim",
    num_qubits: Annotated[
        int | None, typer.Option("-n", "--num-qubits", help="Qubits of a state; a file and digits know theirs.")
    ] = None,
    num_latent: Annotated[int, typer.Option("-k", "--num-latent", help="Qubits kept.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed gives the same angles.")] = 1,
    layers: Annotated[int | None, typer.Option(help="Of the brickwork.", show_default="by states and size")] = None,
    starts: Annotated[int, typer.Option(help="Random starts, the best of which are refined.")] = 8,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For checkpoint and encoder; default: in the data folder.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in that folder.")] = False,
) -> None:
    """Train an encoder; prints the Ky Fan bound and the fidelities on seen and unseen states."""
    from circuits.autoencoder.records import read_record, write_record
    from circuits.autoencoder.states import ensemble
    from circuits.autoencoder.training import Checkpoint, configure
    from circuits.autoencoder.training import train as trained
    from circuits.errors import InvalidParameter

    if num_qubits is None and states in ("tfim", "hubbard"):
        raise InvalidParameter(f"num_qubits: wanted -n for {states} states, got none")
    data = ensemble(states, num_qubits)
    config = configure(data, num_latent, seed=seed, num_layers=layers, num_starts=starts)
    folder = out or settings_of(common).data_dir / "autoencoders" / _name(config)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / CHECKPOINT
    if resume and not kept.exists():
        raise InvalidParameter(f"resume: there is no {kept}; leave --resume away to start")
    before = read_record(kept, Checkpoint) if resume else None
    if not resume:
        kept.unlink(missing_ok=True)
    try:
        with _bar(common, config) as tell:
            encoder, end = trained(data, config, resume=before, tell=tell, keep=lambda now: write_record(kept, now))
    except KeyboardInterrupt:
        if kept.exists():
            note(f"interrupted; the checkpoint is in {folder}; the same command with --resume goes on from there")
        else:
            note("interrupted before the first checkpoint")
        raise
    write_record(folder / ENCODER, encoder)
    document = _document(encoder, end, folder)
    show(common, document, lambda: _table(document))


def _name(config: Config) -> str:
    """Folder of a training."""
    shape = f"{config.num_qubits}_{config.num_latent}_layers{config.num_layers}"
    return f"{Path(config.states).stem}_{shape}_seed{config.seed}_starts{config.num_starts}"


def _document(encoder: Encoder, end: Checkpoint, folder: Path) -> dict[str, Any]:
    figures = encoder.figures
    return {
        "states": encoder.states,
        "num_qubits": encoder.num_qubits,
        "num_latent": encoder.num_latent,
        "num_layers": encoder.num_layers,
        "num_cx": encoder.circuit().count_ops()["cx"],
        "num_swap_test_qubits": 2 * encoder.num_qubits - encoder.num_latent + 1,
        "seed": encoder.seed,
        "num_starts": encoder.num_starts,
        "ky_fan_bound": figures.bound,
        "train_fidelity": {"mean": figures.train_mean, "min": figures.train_min},
        "test_fidelity": {"mean": figures.test_mean, "min": figures.test_min},
        "gap": figures.gap,
        "decode_fidelity": {"mean": figures.decode_mean, "min": figures.decode_min},
        "train_s": end.train_s,
        "process_s": end.process_s,
        "encoder": str(folder / ENCODER),
    }


def _table(document: dict[str, Any]) -> RenderableType:
    from rich.text import Text

    from workers.render_parts import duration, spaced, table

    made = table("", "mean", "worst", right=("mean", "worst"))
    made.add_row("Ky Fan bound", f"{document['ky_fan_bound']:.7f}", "")
    for name, key in (
        ("trash fidelity, training states", "train_fidelity"),
        ("trash fidelity, unseen states", "test_fidelity"),
        ("decode fidelity, unseen states", "decode_fidelity"),
    ):
        made.add_row(name, *(f"{document[key][part]:.7f}" for part in ("mean", "min")))
    made.add_row("gap to the bound", f"{document['gap']:.1e}", "")
    shape = f"{document['num_qubits']} → {document['num_latent']} qubits, {document['num_cx']} CX"
    times = f"{duration(document['train_s'])}, {duration(document['process_s'])} of processor time"
    return spaced(made, Text(f"{document['states']}: {shape}; {times}"), Text(document["encoder"], "dim"))


@contextmanager
def _bar(common: Common, config: Config) -> Iterator[Callable[[Progress], None]]:
    """Shows how far the training is, on stderr; a program that reads JSON is told nothing."""
    if common.as_json:
        yield lambda _: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=rendering().console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{config.states} {config.num_qubits} → {config.num_latent}", total=None)

        def tell(now: Progress) -> None:
            words = f"{now.stage}, cost {now.cost:.2e}"
            bar.update(task, completed=now.step, total=now.num_steps, description=words)

        yield tell
