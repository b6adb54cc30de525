"""The other deployments as the ingress sees them.

| file | what is in it |
|---|---|
| `handles` | calls of models and of the image loader, and what becomes of them when a replica dies |
| `near` | the replicas on this machine, which are called over their sockets |
| `model_states` | which models are there, by what Ray Serve's controller says |
| `served` | the models that are served now, and the ways to them |
| `additions`, `applications` | models that are added while the service runs, and their Serve applications |
| `cached` | answers that may be late (stale-while-revalidate) |
"""
