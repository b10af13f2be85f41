"""Calibrations and queues of real machines, recorded; the .NOTICE beside each says whose they are."""
