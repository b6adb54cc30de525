"""Bringing a model: its files are inspected, and it is checked and timed without Ray."""
