"""What the gateway is told.

| file | what is in it |
|---|---|
| `environment` | environment variables: addresses, keys, places on this machine |
| `arguments` | `args` of a Serve config file: the catalogue, and which of its models |
| `settings` | `user_config` of the ingress, and the settings in force |
| `resources` | what deployments ask of Ray, and how many nodes can give it |
| `ray_environment` | what Ray, Ray Serve and HAProxy find in the environment |
"""
