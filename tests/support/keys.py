"""The keys of the service that the conformance tests ask."""

from __future__ import annotations

KEY, READ_ONLY_KEY = "key-of-the-conformance-tests-5129", "reading-key-of-the-conformance-tests-5129"
