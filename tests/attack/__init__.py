"""Attacks over real sockets: `make attack` has all of them, against a service of its own."""
