"""The quantum computing network: mobile, edge and cloud nodes that run quantum autoencoders for mobile users."""
