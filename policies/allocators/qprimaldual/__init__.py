"""QPrimalDual: rates, prices and qualities found by controllers that hold local state and exchange short messages."""
