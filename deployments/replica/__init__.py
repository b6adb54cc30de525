"""The replica of a model: a queue, a worker, and the Serve deployment around them."""
