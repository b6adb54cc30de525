"""The demo: fill two collections of a running service, and search them."""
