"""What stands before the ingress replicas: HAProxy as it should run, and that nobody gets past it."""
