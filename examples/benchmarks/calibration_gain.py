"""What `qorch calibrate` is worth: run times of held-out circuits, foretold by built-in and by measured cost curves.

    python examples/benchmarks/calibration_gain.py [BACKEND …]

Each simulator is calibrated three times, as the command does it. A row is one time: the median factor, over circuits
of another kind and of widths that had no part in the fit, between what was measured and what each curve says. What
else runs on the machine is part of its speed: the built-in constants are of a calm one.
"""

from __future__ import annotations

import sys
import time
from statistics import median

from evidence import results

from backends import load
from backends.curves import calibrate
from workers.node import devices_here

NUM_TIMES = 3
COLUMNS = "backend time circuits_fitted circuits_held_out built_in_factor measured_factor kept seconds"


def main() -> None:
    """Calibrate, write, print."""
    gains = []
    with results("_".join(["calibration_gain", *sys.argv[1:]]), COLUMNS.split(), seeds="run number 0..4") as table:
        for name in devices_here(sys.argv[1:]):
            backend = load(name)
            for number in range(NUM_TIMES):
                begun = time.perf_counter()
                found = calibrate(backend)
                if found is None:
                    break
                factors = (f"{found.factor_before:.3f}", f"{found.factor:.3f}")
                sizes = (found.num_rows, found.num_held_out)
                took = f"{time.perf_counter() - begun:.1f}"
                table.writerow([name, number, *sizes, *factors, int(found.improved), took])
                gains.append((found.factor_before, found.factor if found.improved else found.factor_before))
                print(f"{name}: built in × {factors[0]}, measured × {factors[1]}, {took} s", flush=True)
    before, after = (median(pair[side] for pair in gains) for side in (0, 1))
    print(f"median over {len(gains)} calibrations: built in × {before:.2f}, in force afterwards × {after:.2f}")


if __name__ == "__main__":
    main()
