"""The image loader: what goes wrong with one image stays with that image."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from deployments.catalogue.card import ImageLimits
from deployments.contract import Fit, ImageBatch, Pixels
from deployments.errors import ConfigError
from deployments.images.loader import ImageLoader


def png(color: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 30), color).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = png((255, 0, 0)), png((0, 0, 255))
SIDES = {"small": 8, "large": 16, "tight": 16}
LIMITS = {"small": ImageLimits(max_pixels=500), "large": ImageLimits(), "tight": ImageLimits(max_bytes=50)}
SETTINGS: dict[str, Any] = {"private_hosts": ["127.0.0.1"], "ports": []}
RED_BASE64 = base64.b64encode(RED).decode()


@pytest_asyncio.fixture
async def address() -> AsyncIterator[str]:
    """A server on this machine with a blue image, and a page that is none."""

    async def blue(_: web.Request) -> web.Response:
        return web.Response(body=BLUE)

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_get("/never", never)
    app.router.add_get("/blue", blue)
    app.router.add_get("/page", page)
    async with TestServer(app) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def loader() -> ImageLoader:
    loader = ImageLoader()
    loader.reconfigure(SETTINGS)
    return loader


async def load(loader: ImageLoader, *sources: str, model: str = "large") -> list[Pixels | str]:
    limits = LIMITS[model]
    batch = ImageBatch(sources, model, SIDES[model], limits.max_bytes, limits.max_pixels)
    return list((await loader.load(batch)).images)


async def test_good_and_bad_images_come_back_in_their_places(loader: ImageLoader, address: str) -> None:
    red, no_base64, blue, no_image, absent, refused, again = await load(
        loader,
        RED_BASE64,
        "not base64!",
        f"{address}/blue",
        f"{address}/page",
        f"{address}/absent",
        "ftp://127.0.0.1/blue",
        f"data:image/png;base64,{RED_BASE64}",
    )
    assert isinstance(red, np.ndarray)
    assert isinstance(blue, np.ndarray)
    assert (red.shape, red[8, 8].tolist()) == ((16, 16, 3), [255, 0, 0])
    assert blue[8, 8].tolist() == [0, 0, 255]
    assert np.array_equal(again, red)
    assert no_base64 == "the image is neither an http(s) URL nor valid base64"
    assert no_image == "not an image in one of the formats JPEG, PNG, WEBP, GIF, BMP"
    assert absent == "the image URL answers with status 404"
    assert refused == "the image URL has to start with http:// or https://"


async def test_each_model_has_its_own_size_and_limits(loader: ImageLoader) -> None:
    (message,) = await load(loader, RED_BASE64, model="small")
    assert message == "the image has 20 x 30 pixels; at most 500 in all are allowed (max_pixels)"


async def test_without_configuration_private_addresses_are_refused(address: str) -> None:
    (message,) = await load(ImageLoader(), f"{address}/blue")
    assert message == "the port in the image URL is not allowed; allowed are 80, 443"
    (message,) = await load(ImageLoader(), "http://127.0.0.1/blue")
    assert message.startswith("the image URL's host is not allowed or cannot be reached")


async def test_new_rules_hold_from_the_next_batch_on(loader: ImageLoader, address: str) -> None:
    loader.reconfigure({**SETTINGS, "max_bytes": 10})
    (message,) = await load(loader, f"{address}/blue")
    assert message == "the image behind the URL is larger than 10 bytes (max_bytes)"


async def test_the_scheme_of_a_url_may_be_in_upper_case(loader: ImageLoader, address: str) -> None:
    (image,) = await load(loader, f"{address}/blue".replace("http", "HTTP"))
    assert isinstance(image, np.ndarray)


async def test_many_images_at_once_all_arrive(loader: ImageLoader, address: str) -> None:
    images = await load(loader, *[f"{address}/blue"] * 100)
    assert all(isinstance(image, np.ndarray) for image in images)


async def test_an_empty_batch_is_an_empty_answer(loader: ImageLoader) -> None:
    assert await load(loader) == []


async def test_a_models_limit_on_bytes_holds_for_urls_and_base64(loader: ImageLoader, address: str) -> None:
    images = await load(loader, f"{address}/blue", RED_BASE64, model="tight")
    assert images == [
        "the image behind the URL is larger than 50 bytes (max_bytes)",
        f"the image has {len(RED)} bytes; at most 50 are allowed (max_bytes)",
    ]


async def test_images_that_never_arrive_leave_room_for_other_batches(loader: ImageLoader, address: str) -> None:
    loader.reconfigure({**SETTINGS, "timeout_s": 60})
    stuck = asyncio.create_task(load(loader, *[f"{address}/never"] * 1000))
    await asyncio.sleep(0.1)
    images = await asyncio.wait_for(load(loader, RED_BASE64, f"{address}/blue"), 10)
    assert all(isinstance(image, np.ndarray) for image in images)
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck


async def test_a_batch_says_how_a_picture_becomes_a_square(loader: ImageLoader) -> None:
    """Twice as wide as high and white at its right edge, which is cut off unless it is stretched."""
    data = io.BytesIO()
    two = np.zeros((64, 128, 3), np.uint8)
    two[:, 120:] = 255
    Image.fromarray(two).save(data, "PNG")
    sources, limits = [base64.b64encode(data.getvalue()).decode()], (10**6, 10**6)
    fits: tuple[Fit, ...] = ("crop", "stretch")
    batches = [ImageBatch(sources, "large", 32, *limits, fit=fit) for fit in fits]
    cropped, stretched = [(await loader.load(batch)).images[0] for batch in batches]
    assert isinstance(cropped, np.ndarray)
    assert isinstance(stretched, np.ndarray)
    assert (cropped.max(), stretched[:, -1].min()) == (0, 255)


async def test_a_cancelled_batch_is_not_decoded_to_its_end(
    loader: ImageLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[float] = []

    def slowly(data: bytes, size: int, *_: object) -> Pixels:
        decoded.append(time.perf_counter())
        time.sleep(0.02)
        return np.zeros((size, size, 3), np.uint8)

    monkeypatch.setattr("deployments.images.loader.decode", slowly)
    loader.reconfigure({**SETTINGS, "threads": 1})
    batch = asyncio.create_task(load(loader, *[RED_BASE64] * 1000))
    await asyncio.sleep(0.1)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    done = len(decoded)
    await asyncio.sleep(0.1)
    assert 0 < done < 20
    assert len(decoded) <= done + 1


async def test_images_are_decoded_on_as_many_threads_as_the_settings_say(
    loader: ImageLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()

    def named(data: bytes, size: int, *_: object) -> Pixels:
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        return np.zeros((size, size, 3), np.uint8)

    monkeypatch.setattr("deployments.images.loader.decode", named)
    loader.reconfigure({**SETTINGS, "threads": 3})
    await load(loader, *[RED_BASE64] * 12)
    assert len(names) == 3


@pytest.mark.parametrize(
    "wrong", [{"timeout": 1}, {"timeout_s": "soon"}, {"threads": -1}, {"denied_hosts": "a.example"}]
)
def test_a_wrong_configuration_names_its_key(loader: ImageLoader, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        loader.reconfigure(wrong)
