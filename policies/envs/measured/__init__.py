"""A world made of what was measured: jobs as they were decided on, and outcomes as they are spread around estimates."""
