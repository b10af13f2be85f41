"""``python -m tests.faults.member worker …``: a process of the cluster, with the test's backends registered first.

``child`` in place of a command is what the sandbox starts.
"""

from __future__ import annotations

import sys

from tests.far import backend as far
from tests.faults.flaky import register

CHILD = ("-m", "tests.faults.member", "child")

if __name__ == "__main__":
    register()
    far.register()
    if sys.argv[1] == "child":
        from workers import child

        child.main(int(sys.argv[2]), int(sys.argv[3]))
    else:
        from workers import cli, sandbox

        sandbox.CHILD = CHILD
        cli.main()
