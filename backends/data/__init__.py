"""Calibrations that ship with the package."""
