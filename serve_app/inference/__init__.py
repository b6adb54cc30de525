"""Finding inference objects in a request and putting vectors in their place: pure functions, no I/O, no async."""
