"""The management API: models, usage, switches and the playground, as JSON."""

from pathlib import Path

OPENAPI = Path(__file__).parent / "openapi.json"
"""The description of the API."""
