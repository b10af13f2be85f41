"""Does a variational circuit learn faster, or act more cheaply, than a classical network of its size?

    python examples/benchmarks/meqc_vqc.py [--seeds 10]

The paper's learner with four networks, all else equal: the circuit; ``features``, which has the 81 products of sines
and cosines that the circuit is a linear map of, with as many weights; ``waves``, with as many weights on sine and
cosine of each angle alone; and ``paper``, two layers of 256 units, whose runs ``meqc_hmadrl.py`` makes. 250 epochs
each; the middle is the 125 that the paper trains circuits for. With the reward of the paper, and once more with
everybody's own cost, which is easier to learn from. Nothing was tuned. Runs are kept in ``meqc_vqc_runs.csv`` as they
end; ``meqc_vqc.csv`` sums up.
``meqc_vqc_inference.csv``: processor time of what all ten agents do in one slot and in 128, simulated exactly in torch;
``device_us``: what a processor of four qubits would take for an agent's two circuits, with 1000 shots each and the gate
times of the paper, 25 ns and 100 ns, 100 ns for measurement, without error correction or reset; a processor each agent.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from evidence import RESULTS, results
from meqc_hmadrl import summarise
from meqc_training import Plan, done, kept_out, train_all

from policies.envs.contract import Observation
from policies.envs.meqc.observation import observe
from policies.envs.meqc.world import Setting
from policies.learners.hmadrl import HMADRL, Config
from policies.learners.hmadrl_vqc import HmadrlVqc

EPOCHS = 250
SHOTS = 1000
ONE_QUBIT_NS, TWO_QUBIT_NS, MEASUREMENT_NS = 25, 100, 100  # [MEQC, V.A]
CIRCUIT_NS = ONE_QUBIT_NS + 2 * (ONE_QUBIT_NS + 4 * TWO_QUBIT_NS) + MEASUREMENT_NS
FOUR_UNITS = ("vqc", "features", "waves")
REWARDS: dict[str, dict[str, object]] = {"": {}, ", reward own": {"reward": "own"}}
WIDTHS = {**dict.fromkeys(FOUR_UNITS, 64), "mlp": 256}


def main() -> None:
    """Train what is missing, sum up, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    asked = parser.parse_args()
    plans = [
        (Plan(name + more, HmadrlVqc, {"network": name}, setting, EPOCHS), seed)
        for more, setting in REWARDS.items()
        for seed in range(1, 1 + asked.seeds)
        for name in FOUR_UNITS
    ]
    papers = [run for run in done(RESULTS / "meqc_hmadrl_runs.csv") if run["variant"] in ("paper", "reward own")]
    summarise("meqc_vqc", train_all("meqc_vqc_runs", plans) + papers)
    time_inference()


def time_inference(num_rounds: int = 50) -> None:
    """Acting, in turns; median and 95 % range."""
    actors = {name: HMADRL(Config(network=name, width=width), Setting(), 1).actor() for name, width in WIDTHS.items()}
    columns = ["network", "slots", "weights", "median_us", "low_us", "high_us", "device_us"]
    packages = ("torch", "numpy")
    with results("meqc_vqc_inference", columns, seeds="1", packages=packages) as table:
        for num_slots in (1, 128):
            seen = observe(kept_out())
            some = Observation(seen.user[:num_slots], seen.pair[:num_slots])
            taken: dict[str, list[float]] = {name: [] for name in actors}
            for _ in range(num_rounds + 1):
                for name, actor in actors.items():
                    began = time.process_time_ns()
                    actor.act(some)
                    taken[name].append((time.process_time_ns() - began) / 1e3)
            for name, actor in actors.items():
                median, low, high = np.percentile(taken[name][1:], [50.0, 2.5, 97.5])
                weights = sum(each.numel() for each in actor.parameters()) // actor.num_networks
                device = f"{2 * num_slots * SHOTS * CIRCUIT_NS / 1e3:.0f}" if name == "vqc" else ""
                table.writerow([name, num_slots, weights, *(f"{each:.0f}" for each in (median, low, high)), device])
                print(f"{name}, {num_slots} slots: {median:.0f} us")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
