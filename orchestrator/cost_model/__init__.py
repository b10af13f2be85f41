"""What a job will need on a backend: a prior from calibration and features, corrected by every measurement."""
