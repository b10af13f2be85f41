"""``python -m workers`` is ``qorch``."""

from workers.cli import main

main()
