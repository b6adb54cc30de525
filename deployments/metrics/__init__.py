"""Metrics: the instruments, and what replicas measure with them."""
