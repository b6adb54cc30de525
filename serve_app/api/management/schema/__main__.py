"""Writes `openapi.json`: `python -m serve_app.api.management.schema`."""

from serve_app.api.management import OPENAPI
from serve_app.api.management.schema.document import text

if __name__ == "__main__":
    OPENAPI.write_text(text(), encoding="utf-8")
