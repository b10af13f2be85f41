"""The world of the MEQC paper: mobile users, edge servers with processors and quantum computers."""
