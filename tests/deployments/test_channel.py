"""Frames between callers and replicas on one machine."""

from __future__ import annotations

import random
from typing import Any

from typing_extensions import override

from deployments.channel import Framed, Kind


class End(Framed):
    """Keeps what it receives, and what it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[Kind, int, bytes]] = []
        self.sent = b""
        self.connection_made(self)  # type: ignore[arg-type]

    def is_closing(self) -> bool:
        return False

    def writelines(self, parts: Any) -> None:
        self.sent += b"".join(parts)

    @override
    def received(self, kind: Kind, number: int, body: bytes) -> None:
        self.frames.append((kind, number, body))


def test_frames_arrive_whole_in_whatever_pieces_they_come() -> None:
    end, chance = End(), random.Random(7)
    frames = [(chance.choice(list(Kind)), number, chance.randbytes(chance.choice([0, 1, 50]))) for number in range(40)]
    for frame in frames:
        end.send(*frame)
    for most in (1, 3, 20, 200, 10_000):
        other, at = End(), 0
        while at < len(end.sent):
            piece = chance.randint(1, most)
            other.data_received(end.sent[at : at + piece])
            at += piece
        assert other.frames == frames
