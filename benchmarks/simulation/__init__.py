"""A day on a cluster whose nodes and GPUs are made up, and whose autoscaling is real."""
