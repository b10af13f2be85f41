"""Small OpenQASM programs of the mixed workload."""
