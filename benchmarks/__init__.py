"""Benchmarks: one module a question, run as `python -m benchmarks.NAME`; README.md has the results."""
