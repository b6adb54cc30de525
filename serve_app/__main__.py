"""`python -m serve_app`: the same as `qdrant-inference`."""

from serve_app.cli.main import app

app()
