"""The last three minutes of the live figures, so that who opens the console sees where they come from.

Every ingress replica keeps its own copy of what all did together; a new one does not know what was before its start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from serve_app.ledger import live_rates
from serve_app.ledger.live_rates import Figures, Snapshot

SPAN_S = 180.0
STEP_S = 2.0
_MOST_MODELS = 64
"""Models in one look: those with the most tokens; a catalogue may have hundreds."""


@dataclass(frozen=True)
class _Look:
    at: float
    total: Figures
    tokens_per_s: dict[str, float]


class History:
    """Looks at the figures every `STEP_S` seconds, and forgets those that are older than `SPAN_S`."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque(maxlen=int(SPAN_S / STEP_S))

    def note(self, now: float, replicas: Callable[[], Sequence[Snapshot]]) -> None:
        """Take a look `now` (in seconds since 1970), unless the last one is not old enough."""
        # A clock that was put back begins anew.
        if self._looks and 0 <= now - self._looks[-1].at < STEP_S:
            return
        seen = replicas()
        figures = live_rates.by_model(seen)
        most = sorted(figures, key=lambda model: -figures[model].tokens_per_s)[:_MOST_MODELS]
        self._looks.append(_Look(now, live_rates.total(seen), {model: figures[model].tokens_per_s for model in most}))

    def columns(self, now: float) -> dict[str, Any]:
        """The looks, oldest first: their times, each figure of the whole, and each model's tokens a second.

        With the time by this machine's clock: that of who asks may be another.
        """
        looks = [look for look in self._looks if now - SPAN_S <= look.at <= now]
        total = [asdict(look.total) for look in looks]
        models = dict.fromkeys(model for look in looks for model in look.tokens_per_s)
        return {
            "now": round(now, 1),
            "times": [round(look.at, 1) for look in looks],
            "total": {name: [one[name] for one in total] for name in asdict(Figures())},
            "models": {model: [look.tokens_per_s.get(model, 0.0) for look in looks] for model in models},
        }
