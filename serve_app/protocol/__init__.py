"""Messages of both protocols, without I/O."""
