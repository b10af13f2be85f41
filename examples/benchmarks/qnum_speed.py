"""Events per second of the packet network, reference and kernel, over its size and beside SeQUeNCe and SimQN.

    python examples/benchmarks/qnum_speed.py --peers peers/sequence/bin/python peers/simqn/bin/python

``qnum_speed_peer.py`` says how peers are installed. Writes ``results/qnum_speed.csv``: bare events (a heap whose events
each schedule the next), an equal chain of 1, 2 and 4 hops (delivered rate and fidelity must agree), the closed loop of
-DA on the dumbbell and NSFNET, and networks of up to 1 000 nodes. Figures are events per second of processor time; what
is compiled is compiled before the clock starts. Ours knows a pair by its Werner parameter alone, and so does the chain
for the peers, which could do more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from evidence import results

from policies.envs.qnum.network import Flow, Link, Network
from policies.envs.qnum.packet.play import play
from policies.envs.qnum.packet.record import Record
from policies.envs.qnum.packet.settings import VARIANTS, Physics, Run
from policies.envs.qnum.packet.summary import summary
from policies.envs.qnum.topologies import dumbbell, nsfnet, random_geometric, with_flows

PEER = Path(__file__).with_name("qnum_speed_peer.py")
HOPS, SIZES, ENGINES = (1, 2, 4), (10, 30, 100, 300, 1000), ("reference", "compiled")
W, RATE_HZ, LENGTH_KM, COHERENCE_S = 0.98, 80.0, 15.0, 1.0


def chain(hops: int, seconds: float, seed: int) -> Run:
    """One flow over equal links."""
    link = Link((0, 1), 5309.6, LENGTH_KM)
    links = tuple(replace(link, ends=(place, place + 1)) for place in range(hops))
    network = Network(hops + 1, links, (Flow(tuple(range(hops)), "neg", source=0),))
    law = VARIANTS["open"]._replace(period_s=1e3)
    physics = Physics(coherence_s=COHERENCE_S)
    return Run(network, physics, law, seconds, seed, 10.0, np.array([RATE_HZ]), np.full(hops, W))


def asked(run: Run) -> dict[str, Any]:
    """The same for a peer."""
    link = run.network.links[0]
    return {
        "hops": run.network.num_links,
        "rate_hz": RATE_HZ,
        "made_hz": link.d_hz * (1.0 - W),
        "w": W,
        "decay_hz": run.physics.decay_hz,
        "light_s": link.latency_s,
        "seconds": run.duration_s,
        "from_s": 10.0,
        "seed": run.seed,
    }


def timed(run: Run, engine: str, repeats: int) -> tuple[list[float], Record]:
    """Events per second of processor time, of each repeat."""
    play(replace(run, duration_s=min(run.duration_s, 0.2)), engine)
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        record = play(run, engine)
        found.append(record.num_events / (time.process_time() - begun))
    return found, record


def bare(engine: str, num_events: int) -> list[float]:
    """Of the chain's simplest part: one link, whose controller wakes again and again."""
    run = chain(1, num_events * 1e-3 / 2.0, 1)
    law = run.law._replace(period_s=1e-3)
    return timed(replace(run, law=law, rates_hz=np.array([1e-9]), bin_s=1e6), engine, 3)[0]


def peers(interpreters: Sequence[str], runs: Sequence[Run], num_bare: int) -> list[dict[str, Any]]:
    """What each peer says."""
    question = json.dumps({"num_bare": num_bare, "chains": [asked(run) for run in runs]})
    answers = []
    for interpreter in interpreters:
        command = [interpreter, PEER.as_posix()]
        said = subprocess.run(command, input=question, capture_output=True, text=True, check=True)
        answers.append(json.loads(said.stdout.splitlines()[-1]))
    return answers


def closed(seconds: float) -> dict[str, tuple[Run, float]]:
    """-DA where it is judged, and over sizes; how many times as long the kernel may run."""
    physics, law = Physics(coherence_s=COHERENCE_S), VARIANTS["da"]
    runs = {
        "dumbbell of 4 flows": Run(dumbbell(4, "skf"), physics, law, seconds, 1),
        "NSFNET, 10 flows": Run(with_flows(nsfnet(), 10, "neg", 1), physics, law, seconds, 1),
    }
    for size in SIZES:
        network = with_flows(random_geometric(size, 3 * size if size > 10 else 20, 1), 2 * size, "neg", 1)
        runs[f"{size} nodes, {network.num_links} links, {2 * size} flows"] = Run(
            network, physics, law, seconds * 10.0 / size, 1
        )
    return {name: (run, 10.0) for name, run in runs.items()}


def main() -> None:
    """Measure and write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--peers", nargs="*", default=[], help="interpreters that have SeQUeNCe or SimQN")
    words.add_argument("--seconds", type=float, default=20.0, help="simulated by the reference in a closed loop")
    words.add_argument("--chain-seconds", type=float, default=2000.0)
    words.add_argument("--bare", type=int, default=200_000, help="bare events")
    said = words.parse_args()
    columns = ["what", "engine", "events_per_s", "least", "most", "num_events", "rate_hz", "fidelity"]
    with results("qnum_speed", columns, seeds="1", packages=("numpy", "numba")) as table:

        def row(what: str, engine: str, speeds: Sequence[float], num_events: int, *found: float) -> None:
            figures = [f"{value:.4g}" for value in (np.median(speeds), min(speeds), max(speeds))]
            table.writerow([what, engine, *figures, num_events, *(f"{value:.5g}" for value in found)])
            print(what, engine, *figures, num_events, *(f"{value:.5g}" for value in found), flush=True)

        measure(said, row)


def measure(said: argparse.Namespace, row: Callable[..., None]) -> None:
    """Ours, then peers, then ours in closed loops."""
    chains = [chain(hops, said.chain_seconds, 1) for hops in HOPS]
    for engine in ENGINES:
        row("bare events", engine, bare(engine, said.bare), said.bare)
        for run in chains:
            speeds, record = timed(run, engine, 3)
            found = summary(record, 10.0)
            what = f"chain of {run.network.num_links} hops"
            row(what, engine, speeds, record.num_events, found.rates_hz[0], found.fidelities[0])
    for answer in peers(said.peers, chains, said.bare):
        row("bare events", answer["name"], answer["bare"], said.bare)
        for run, one in zip(chains, answer["chains"], strict=True):
            what, good = f"chain of {run.network.num_links} hops", 0.25 + 0.75 * one["w"]
            row(what, answer["name"], [one["events_per_s"]], one["events"], one["rate_hz"], good)
    for name, (run, longer) in closed(said.seconds).items():
        for engine in ENGINES:
            played = replace(run, duration_s=run.duration_s * longer) if engine == "compiled" else run
            speeds, record = timed(played, engine, 3)
            row(f"-DA, {name}", engine, speeds, record.num_events)


if __name__ == "__main__":
    main()
