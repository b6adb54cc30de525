"""The gateway: Qdrant's protocols in front, models and Qdrant behind.

| file | what is in it |
|---|---|
| `app` | the app builder, which a Serve config file names |
| `onboarding` | fetches, checks and deploys a model that is added to a running service |
| `ingress` | the Serve deployment in front; wiring only |
| `pipeline` | the path of a request: find, embed, forward, usage |
| `routes` | what is known of a request by its method and path |
| `embedder` | plan, admit, meter, embed, fill: what all APIs share |
| `background` | what runs beside requests |
| `api/` | what callers speak: Qdrant's REST and gRPC, `/inference`, OpenAI's embeddings, the management API |
| `auth/` | who may do what |
| `inference/` | finding, planning and filling: pure functions |
| `batching/` | from requests to batches, and how much work may wait |
| `upstream/` | the way to Qdrant, or to the embedded store |
| `protocol/` | messages, statuses, deadlines, compression |
| `cluster/` | the other deployments as the ingress sees them |
| `ledger/` | usage, quotas, switches |
| `observability/` | metrics, traces, the request log |
| `config/` | environment variables, arguments, settings |
| `front/` | HAProxy as it should run, and that nobody gets past it |
| `embedded/` | the embedded store |
| `console/` | the page |
| `cli/`, `__main__` | the command line |
| `demo/` | the demo's collections |
"""
