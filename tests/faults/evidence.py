"""Where evidence is written, as benchmarks write theirs.

Found by its path: a library that is installed may bring a package called ``examples``, as opacus does.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "benchmarks"))

from evidence import RESULTS, results

__all__ = ["RESULTS", "results"]
