"""The manifests on a real Kubernetes of one machine, which is made for it: `python -m tests.on_kubernetes`."""
