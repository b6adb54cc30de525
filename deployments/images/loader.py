"""Images for the vision models: fetched if they are URLs, decoded, and cut to the model's size."""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pydantic import Field

from deployments.catalogue.card import ImageLimits, ImageShape
from deployments.catalogue.records import validated
from deployments.contract import ImageBatch, LoadedImages, Pixels
from deployments.errors import WrongInput
from deployments.images.decoding import decode, from_base64
from deployments.images.fetching import Fetcher
from deployments.images.rules import FetchRules
from deployments.metrics import export, replica

_FETCHED_AT_ONCE = 64
_LOADED_AT_ONCE = 16
"""Of one batch, so that a request with a thousand images, or with a few that never arrive, leaves room for others."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class LoaderSettings(FetchRules):
    """The image loader's `user_config` in the Serve config file.

    `threads` is how many images are decoded at once (0: one a core). An image that is being decoded takes up to
    twelve bytes a pixel, and has up to its model's `max_pixels`.
    """

    threads: int = Field(default=0, ge=0)


class ImageLoader:
    """Loads images for all vision models; each batch says for which one, and how that wants them."""

    def __init__(self) -> None:
        self._fetches = asyncio.Semaphore(_FETCHED_AT_ONCE)
        self._configure(LoaderSettings())
        self._stop_exporting = export.start(lambda: None)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings, the keys of `LoaderSettings`; batches under way keep theirs.

        Raises:
            ConfigError: names the key and what was expected.
        """
        self._configure(validated(LoaderSettings, user_config, "user_config of the image loader"))

    def _configure(self, settings: LoaderSettings) -> None:
        self._settings = settings
        # Threads start when they are needed, and those of an old executor end with the batches that use it.
        self._threads = ThreadPoolExecutor(settings.threads or os.cpu_count(), thread_name_prefix="decode")

    async def load(self, batch: ImageBatch) -> LoadedImages:
        """Load all images of a batch; in the place of one that is bad stands what is wrong with it."""
        async with Fetcher(self._settings) as fetcher:
            load = _Loading(fetcher, self._fetches, self._threads, batch)
            return LoadedImages(await asyncio.gather(*map(load, batch.sources)))

    def __del__(self) -> None:
        """Serve calls this when it stops a replica."""
        self._stop_exporting()


class _Loading:
    """Loads the images of one batch."""

    def __init__(
        self, fetcher: Fetcher, fetches: asyncio.Semaphore, threads: ThreadPoolExecutor, batch: ImageBatch
    ) -> None:
        self._fetcher = fetcher
        self._fetches = fetches
        self._in_thread = partial(asyncio.get_running_loop().run_in_executor, threads)
        self._model, self._side = batch.model, batch.side
        self._shape = ImageShape(fit=batch.fit, resample=batch.resample)
        self._limits = ImageLimits(max_bytes=batch.max_bytes, max_pixels=batch.max_pixels)
        self._turns = asyncio.Semaphore(_LOADED_AT_ONCE)

    async def __call__(self, source: str) -> Pixels | str:
        """One image, or what is wrong with it."""
        loading = self._from_url if _URL.match(source) else self._from_text
        try:
            async with self._turns:
                return await loading(source)
        except WrongInput as error:
            return error.message

    async def _from_url(self, source: str) -> Pixels:
        # Its bytes are in memory from here until they are decoded.
        async with self._fetches:
            with replica.image(self._model, "url", "fetch", "not fetched"):
                data = await self._fetcher.fetch(source, self._limits.max_bytes)
            with replica.image(self._model, "url", "decode image", "not decoded", "loaded"):
                return await self._in_thread(decode, data, self._side, self._limits, self._shape)

    async def _from_text(self, source: str) -> Pixels:
        with replica.image(self._model, "base64", "decode image", "not decoded", "loaded"):
            return await self._in_thread(self._from_base64, source)

    def _from_base64(self, source: str) -> Pixels:
        return decode(from_base64(source, self._limits.max_bytes), self._side, self._limits, self._shape)
