"""A quantum network that makes entangled pairs for requests: topology, demand, physics, and one execution layer."""
