"""The deployments of models as the ingress sees them."""
