"""What the store needs of an engine, and the errors of one."""
