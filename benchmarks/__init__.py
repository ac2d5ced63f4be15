"""Benchmarks: each script measures, prints a table, and keeps it under `benchmarks/results/`."""
