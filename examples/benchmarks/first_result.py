"""How long a user waits for `qorch run FILE --json`, from the shell and back: a Bell pair, 4 096 shots, embedded.

    python examples/benchmarks/first_result.py

Fresh folder: store and schema are made, nothing is known. Used folder: the fifth run and later in the same one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from evidence import results

NUM_RUNS = 9
BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'


def wait_s(program: Path, folder: Path) -> float:
    """Wall time of one command."""
    command = [sys.executable, "-m", "workers", "run", str(program), "--shots", "4096", "--seed", "7", "--json"]
    begun = time.perf_counter()
    subprocess.run(command, env=os.environ | {"QORCH_DATA_DIR": str(folder)}, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure, write, print."""
    with (
        tempfile.TemporaryDirectory() as name,
        results("first_result", ["folder", "runs", "median_s", "fastest_s", "slowest_s"], seeds="7") as table,
    ):
        program = Path(name) / "bell.qasm"
        program.write_text(BELL)
        fresh = [wait_s(program, Path(name) / f"fresh-{number}") for number in range(NUM_RUNS)]
        used = [wait_s(program, Path(name) / "used") for _ in range(4 + NUM_RUNS)][4:]
        for kind, times_s in (("fresh", fresh), ("used", used)):
            figures = [f"{value:.2f}" for value in (median(times_s), min(times_s), max(times_s))]
            table.writerow([kind, NUM_RUNS, *figures])
            print(f"{kind} folder: median {figures[0]} s, {figures[1]}..{figures[2]} s in {NUM_RUNS} runs")


if __name__ == "__main__":
    main()
