"""Which images somebody should look at, by a run, the log of a server, or a folder."""
