"""What stands before the ingress replicas: HAProxy as it should run, that nobody gets past it, and a replica's server.

| file | what it is |
|---|---|
| `haproxy` | HAProxy's configuration, made stricter; where it hands what |
| `guard` | that ports answer nobody but HAProxy, and listen where they should |
| `guarded_calls` | Ray Serve's own gRPC servers, which look at who calls before they read a message |
| `replica_http` | what comes to a replica: REST, gRPC's calls, Ray Serve's own pages |
| `http_server`, `http_exchange` | HTTP/1.1 for an ASGI app: connections; a request and its answer |
| `grpc_calls`, `grpc_wire` | gRPC's calls over it: who is answered, and when; how they are written |
| `ray_replica` | what is used of Ray Serve's replica |
| `sockets` | which sockets listen where |
"""
