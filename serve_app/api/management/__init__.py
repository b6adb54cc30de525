"""The management API: models, usage, switches and the playground, as JSON.

| file | what is in it |
|---|---|
| `routes` | which route is answered by whom, and which credential it needs |
| `models` | what each model is, and how it is at the moment |
| `additions` | models that are added and taken away |
| `service_health` | how Qdrant, the ledger and the store are doing, and what to do |
| `usage` | what was used, and what it costs |
| `playground` | what models make of some inputs |
| `json_bodies` | what the routes share: reading a question, writing an answer |
| `schema/` | the description of the API |
"""

from pathlib import Path

OPENAPI = Path(__file__).parent / "openapi.json"
"""The description of the API."""
