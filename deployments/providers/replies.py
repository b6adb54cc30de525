"""What a provider's server sent back, whatever it means."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_LONGEST_PAUSE_S = 3600.0


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; the names of its headers are in lower case. `tries` is how often it was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tries: int = 1

    @property
    def retry_after(self) -> float | None:
        """Seconds until the provider wants to be asked again (RFC 9110, 10.2.3), an hour at most; None if unsaid."""
        said = self.headers.get("retry-after", "").strip()[:100]
        seconds = _seconds(said) if said else math.nan
        return min(max(seconds, 0.0), _LONGEST_PAUSE_S) if math.isfinite(seconds) else None


def _seconds(said: str) -> float:
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(said).timestamp() - time.time()
    except ValueError:
        return math.nan
