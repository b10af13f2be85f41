"""Slots a second of the paper's learner: beside its bare networks, and beside Stable-Baselines3's PPO.

    python examples/benchmarks/meqc_hmadrl_speed.py [--peers PYTHON]

Ten users, ten servers, epochs of 500 slots, two layers of 256 units, two passes in batches of 128 (125 for the peer),
on one thread. ``networks alone``: the forward and backward passes of an epoch's batches, and nothing else: no world, no
losses, no optimiser. In turns; processor time, since the machine may be shared; median and range over the rounds. The
peer is a process of the interpreter that ``--peers`` names: see ``meqc_hmadrl_peer.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from evidence import results
from rich.progress import track

from policies.envs.meqc.world import Setting
from policies.learners.hmadrl import HMADRL, Config, applied
from policies.learners.hmadrl_vqc import HmadrlVqc, VqcConfig

ROOT = Path(__file__).parents[2]
PEER = Path(__file__).with_name("meqc_hmadrl_peer.py")
PEER_WAYS = ("one world", "50 worlds", "50 worlds, users apart")
NUM_ROUNDS = 5
EPOCHS = 2
"""Of each round."""


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="PYTHON", help="interpreter that has stable-baselines3")
    peers = parser.parse_args().peers
    torch.set_num_threads(1)
    plain, circuits = HMADRL(Config(), Setting(), 1), HmadrlVqc(VqcConfig(), Setting(), 1)
    calls: dict[str, Callable[[], float]] = {
        "hmadrl": lambda: epochs_s(plain),
        "hmadrl, networks alone": lambda: networks_s(plain),
        "hmadrl_vqc": lambda: epochs_s(circuits),
        "hmadrl_vqc, networks alone": lambda: networks_s(circuits),
    }
    if peers:
        calls |= {f"stable-baselines3, {way}": lambda way=way: peer_s(peers, way) for way in PEER_WAYS}
    for call in list(calls.values())[:4]:
        call()  # what is done once
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(NUM_ROUNDS), "rounds", transient=True, disable=not sys.stdout.isatty()):
        for name, call in calls.items():
            taken[name].append(call())
    write(taken)


def write(taken: dict[str, list[float]]) -> None:
    """Slots a second, and each as a multiple of the plain learner's, round by round."""
    slots = EPOCHS * Config().steps
    columns = ["what", "rounds", "slots_per_s", "low", "high", "hmadrl_times_faster", "low_times", "high_times"]
    with results("meqc_hmadrl_speed", columns, seeds="1", packages=("torch", "numpy")) as table:
        for name, times_s in taken.items():
            rates = sorted(slots / each for each in times_s)
            ratios = sorted(each / own for each, own in zip(times_s, taken["hmadrl"], strict=True))
            figures = [f"{each[place]:.0f}" for each in (rates,) for place in (len(rates) // 2, 0, -1)]
            table.writerow(
                [name, len(rates), *figures, *(f"{ratios[place]:.3f}" for place in (len(ratios) // 2, 0, -1))]
            )
            print(f"{name}: {figures[0]} slots/s; hmadrl is {ratios[len(ratios) // 2]:.2f} times as fast")


def epochs_s(learner: HMADRL) -> float:
    """Processor time of training."""
    began = time.process_time()
    for _ in range(EPOCHS):
        learner.epoch()
    return time.process_time() - began


def networks_s(learner: HMADRL) -> float:
    """Processor time of the same batches through the networks, forward and backward."""
    config, num_networks = learner.config, learner._actor.num_networks
    rollout, _ = learner._play()
    order = torch.randperm(config.steps)
    batches = [rollout.at(slots).seen for slots in order.split(config.batch)] * config.passes
    networks = [learner._actor.discrete, learner._actor.continuous, *learner._critics.values()]
    began = time.process_time()
    for _ in range(EPOCHS):
        with torch.no_grad():
            for network in networks:
                applied(network, rollout.seen, num_networks)
        for seen in batches:
            outputs = [applied(network, seen, num_networks) for network in networks]
            torch.autograd.grad(outputs, learner._parameters, [torch.ones_like(each) for each in outputs])
    return time.process_time() - began


def peer_s(python: str, way: str) -> float:
    """Processor time of the peer's training."""
    command = [python, str(PEER), way, str(EPOCHS * Config().steps)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if answer.returncode:
        raise SystemExit(f"the peer has ended:\n{answer.stderr}")
    return float(json.loads(answer.stdout.splitlines()[-1])["process_s"])


if __name__ == "__main__":
    main()
