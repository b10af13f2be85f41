"""Virtual QPUs: a real device's published calibration behind noisy simulators, and perhaps a truth it does not tell."""
