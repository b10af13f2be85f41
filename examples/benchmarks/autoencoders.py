"""Train every encoder that ships, and write down what each reaches: results/autoencoders.csv and .md.

    python examples/benchmarks/autoencoders.py --seeds 1 2 3 --ship      # the encoders of seed 1 go to circuits/data

Ising and Hubbard: 24 states to train on, 19 unseen ones in between; digits: 200 and 160. The shipped seed is fixed
beforehand, not chosen by what it reaches. It can be interrupted: the same command goes on from the checkpoints in
--work. One process on one thread; "train_s" is wall time, "process_s" the processor's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evidence import RESULTS, results
from rich.progress import Progress

from circuits.autoencoder.ansatz import num_angles
from circuits.autoencoder.records import SHIPPED, SHIPPED_LATENTS, Encoder, read_record, shipped_name, write_record
from circuits.autoencoder.states import ensemble
from circuits.autoencoder.training import Checkpoint, configure, train

DATA = Path(__file__).parents[2] / "circuits" / "data"
COLUMNS = (
    "states n k seed layers angles cx swap_qubits bound train_mean train_min gap test_mean test_min test_over_bound"
    " decode_mean decode_min train_s process_s"
)
CELLS = [(states, n, k) for states, sizes in SHIPPED.items() for n in sizes for k in SHIPPED_LATENTS]


def trained(states: str, num_qubits: int, num_latent: int, seed: int, work: Path) -> tuple[Encoder, Checkpoint]:
    """Train one cell, or go on with it."""
    data = ensemble(states, num_qubits)
    config = configure(data, num_latent, seed=seed)
    kept = work / f"{states}_{num_qubits}_{num_latent}_{seed}.json"
    before = read_record(kept, Checkpoint) if kept.exists() else None
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(kept.stem)
        return train(
            data,
            config,
            resume=before,
            tell=lambda now: bar.update(task, completed=now.step, total=now.num_steps),
            keep=lambda now: write_record(kept, now),
        )


def row(encoder: Encoder, end: Checkpoint) -> list[object]:
    """One line of the table."""
    shape = (encoder.num_qubits, encoder.num_latent, encoder.num_layers)
    f = encoder.figures
    reached = (f.bound, f.train_mean, f.train_min, f.gap, f.test_mean, f.test_min, f.test_mean / f.bound)
    return [
        encoder.states,
        *shape[:2],
        encoder.seed,
        encoder.num_layers,
        num_angles(*shape),
        encoder.circuit().count_ops()["cx"],
        2 * encoder.num_qubits - encoder.num_latent + 1,
        *(f"{value:.8f}" for value in (*reached, f.decode_mean, f.decode_min)),
        *(f"{value:.1f}" for value in (end.train_s, end.process_s)),
    ]


def page(found: Sequence[tuple[Encoder, Checkpoint]]) -> str:
    """The table in Markdown; over several seeds the mean of each figure, and from the worst to the best test mean."""
    lines = [
        "Trash fidelities, means over the seeds of autoencoders.csv. In brackets the worst state; for unseen states",
        "also the range of the mean from seed to seed. decoded: fidelity of the decoded state. s: processor time.",
        "",
        "| states | n → k | SWAP qubits | CX | bound | train mean (worst) | gap | unseen mean (worst) | decoded | s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for states, n, k in CELLS:
        cell = [(e, c) for e, c in found if (e.states, e.num_qubits, e.num_latent) == (states, n, k)]
        if not cell:
            continue
        mean = {
            name: float(np.mean([getattr(e.figures, name) for e, _ in cell]))
            for name in ("bound", "train_mean", "train_min", "gap", "test_mean", "test_min", "decode_mean")
        }
        tests = [e.figures.test_mean for e, _ in cell]
        spread = f"; {min(tests):.5f}–{max(tests):.5f}" if len(cell) > 1 else ""
        seconds = np.mean([c.process_s for _, c in cell])
        lines.append(
            f"| {states} | {n} → {k} | {2 * n - k + 1} | {cell[0][0].circuit().count_ops()['cx']}"
            f" | {mean['bound']:.5f} | {mean['train_mean']:.5f} ({mean['train_min']:.5f}) | {mean['gap']:.1e}"
            f" | {mean['test_mean']:.5f} ({mean['test_min']:.5f}{spread}) | {mean['decode_mean']:.5f} | {seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--ship", action="store_true", help="write the encoders of the first seed to circuits/data")
    parser.add_argument("--work", type=Path, default=Path("runs/autoencoders"), help="folder of the checkpoints")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found = []
    packages = ("torch", "numpy", "scipy", "qiskit")
    seeds = ", ".join(map(str, options.seeds))
    with results("autoencoders", COLUMNS.split(), seeds=seeds, packages=packages) as table:
        for states, n, k in CELLS:
            for seed in options.seeds:
                encoder, end = trained(states, n, k, seed, options.work)
                found.append((encoder, end))
                table.writerow(row(encoder, end))
                f = encoder.figures
                reached = f"bound {f.bound:.6f}  gap {f.gap:.1e}  unseen {f.test_mean:.6f} (worst {f.test_min:.6f})"
                print(f"{states} {n} -> {k} seed {seed}: {reached}  {end.process_s:.0f} s", flush=True)
                if options.ship and seed == options.seeds[0]:
                    write_record(DATA / shipped_name(states, n, k), encoder)
    (RESULTS / "autoencoders.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
