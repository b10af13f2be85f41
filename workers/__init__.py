"""The composition root: here names become live objects, processes start, and the command line lives."""
