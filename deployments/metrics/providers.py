"""What the deployment of external providers measures. OBSERVABILITY.md says what each metric is for."""

from __future__ import annotations

from deployments.metrics.instruments import SECONDS, Counter, Histogram

CALLS = Counter("provider_calls", ("model", "result"), "calls", "Calls of external providers by what became of them")
CALL_SECONDS = Histogram(
    "provider_call_seconds", ("model",), "seconds", "Time of a call of an external provider, with its tries", SECONDS
)
RETRIES = Counter("provider_retries", ("model",), "calls", "Calls of external providers that were sent again")
