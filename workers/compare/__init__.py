"""Policies side by side on the same jobs: the jobs, what was measured of them everywhere, the contest, its report."""
