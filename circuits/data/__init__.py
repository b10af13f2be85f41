"""Trained angles that ship with the circuits, each file with the record of its training."""
