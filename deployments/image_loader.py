"""Images for the vision models: fetched where they are URLs, decoded, and cut to the model's size."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import aiohttp

from deployments.catalogue import ImageLimits, validated
from deployments.contract import ImageBatch, LoadedImages, Pixels
from deployments.errors import WrongInput
from deployments.image_decoding import decode, from_base64
from deployments.image_fetching import FetchRules, fetch, open_session

_CONCURRENT_FETCHES = 32
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class ImageLoader:
    """Loads images for all vision models.

    Args:
        sides: each model's square side in pixels, by the catalogue's name.
        limits: each model's limits, by the same names.
        threads: how many images are decoded at once; each may hold a decoded image of `max_pixels`.
    """

    def __init__(self, sides: Mapping[str, int], limits: Mapping[str, ImageLimits], threads: int | None = None) -> None:
        self._sides = sides
        self._limits = limits
        self._rules = FetchRules()
        self._fetches = asyncio.Semaphore(_CONCURRENT_FETCHES)
        self._threads = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="decode")

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new rules for fetching, the keys of `FetchRules`; batches under way keep theirs.

        Raises:
            ConfigError: names the key and what was expected.
        """
        self._rules = validated(FetchRules, user_config, "user_config of the image loader")

    async def load(self, batch: ImageBatch) -> LoadedImages:
        """Load all images of a batch; in the place of one that is bad stands what is wrong with it."""
        rules = self._rules
        async with open_session(rules) as session:
            loads = (self._load(source, batch.model, session, rules) for source in batch.sources)
            return LoadedImages(await asyncio.gather(*loads))

    async def _load(self, source: str, model: str, session: aiohttp.ClientSession, rules: FetchRules) -> Pixels | str:
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        try:
            if _URL.match(source):
                async with self._fetches:
                    data = await fetch(session, source, rules)
            else:
                data = await in_thread(from_base64, source)
            return await in_thread(decode, data, self._sides[model], self._limits[model])
        except WrongInput as error:
            return error.message
