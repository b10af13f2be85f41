"""``python -m policies.record``: rules and learned policies play, and what they saw, did and were paid is kept.

    python -m policies.record --env MEQC-v2 --plays random,local,selfish,priced:2:8 --episodes 32 --seed 1 \
        --out runs/play.safetensors
    python -m policies.record --env QCN-v2 --plays random,local,best_edge,all_cloud,selfish --out runs/qcn.safetensors

What such a file holds is said in :mod:`policies.learners.kit.trajectories`; offline learners take it by
``--set data=FILE``. Seeds from 1 000 000 on are kept for evaluation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from circuits.errors import InvalidParameter
from policies.evaluate import told
from policies.train import KEPT_OUT, said, setting_from
from policies.words import errors_in_words

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="file to leave, ending in .safetensors")],
    env: Annotated[str, typer.Option(help="world")] = "MEQC-v2",
    plays: Annotated[str, typer.Option(help="rules and folders of checkpoints, by commas")] = "random,local,selfish",
    reference: Annotated[str, typer.Option(help="rule whose rewards on the same tasks are kept, too")] = "selfish",
    episodes: Annotated[int, typer.Option(help="of each play", min=1, max=1_000_000)] = 32,
    seed: Annotated[int, typer.Option(help="of the first play's worlds; later plays have later ones")] = 1,
    users: Annotated[int | None, typer.Option(help="mobile users; the world's default if not said")] = None,
    servers: Annotated[int | None, typer.Option(help="places to go to; likewise")] = None,
    weights: Annotated[str, typer.Option(help="of delay and energy, such as 0.8:0.2, or drawn")] = "0.5:0.5",
    reward: Annotated[str, typer.Option(help="what agents are paid: global, own, difference")] = "global",
    mode: Annotated[
        str | None, typer.Option(help="reading of the paper or set of constants, such as calibrated")
    ] = None,
    override: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the reading, in the keys of a file")] = None,
    world: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of what else the world has to set")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Log play."""
    with errors_in_words():
        from policies.learners.kit.recording import recorded
        from policies.learners.kit.trajectories import SUFFIX, save

        words = tuple(word.strip() for word in plays.split(","))
        if not 0 <= seed <= KEPT_OUT - len(words):
            raise InvalidParameter(
                f"seed: wanted an integer in [0, {KEPT_OUT - len(words)}], as {KEPT_OUT} and later are kept for "
                f"evaluation, got {seed}"
            )
        if out.suffix != SUFFIX:
            raise InvalidParameter(f"out: wanted a file that ends in {SUFFIX}, got {out}")
        asked = said(users=users, servers=servers, reward=reward, mode=mode)
        setting = setting_from(env, asked, weights, override, world)
        with told(quiet=as_json) as tell:
            logged = recorded(setting, words, episodes, seed, by=reference, tell=tell)
        digest = save(logged, out)
        cost = {word: float(logged.cost[logged.play == number].mean()) for number, word in enumerate(words)}
        if as_json:
            typer.echo(json.dumps({"file": str(out), "digest": digest, "episodes": logged.num_episodes, "cost": cost}))
            return
        for word, mean in cost.items():
            typer.echo(f"{word}: {mean:.1f} a slot")
        typer.echo(f"{logged.num_episodes} episodes of {logged.num_slots} slots: {out}\ndigest {digest}")


if __name__ == "__main__":
    app()
