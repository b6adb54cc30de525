"""Pictures of one coloured circle."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw


def png(colour: str) -> bytes:
    image = Image.new("RGB", (224, 224), "white")
    ImageDraw.Draw(image).ellipse((60, 60, 164, 164), fill=colour)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
