"""The demo from start to end: fill two collections, search them in several ways, say how to go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from deployments.errors import SetupError
from serve_app.config import environment
from serve_app.demo import searches
from serve_app.demo.collections import CAPTION_MODEL, IMAGES, TEXT_MODELS, TEXTS, create, image_point, text_point
from serve_app.demo.corpus import standard_library
from serve_app.demo.drawings import scenes
from serve_app.demo.upload import BATCH, IN_FLIGHT, Receipt, upload

DRAWINGS = 200
SEED = 0
TIMEOUT_S = 300

MEANING = "how do I read a zip archive"
MIXED = "make a copy of a nested object"
KEYWORDS = "Mersenne Twister"

_ALONE = "InferenceService URL not configured"
"""Qdrant's words, if a text comes to it and no service is in front of it or behind it."""


def answers(url: str) -> bool:
    """Whether anything answers at an address."""
    with closing(_client(url)) as client:
        try:
            client.info()
        except ResponseHandlingException:
            return False
        except (ApiException, QdrantException):  # it answers with an error, which the first real request will tell
            return True
        return True


Wanted = Callable[[str, int], bool]
"""Whether to fill a collection anew that holds so many points already."""


def tell(url: str, console: Console, wanted: Wanted) -> None:
    """Run the whole demo against the service at an address; `wanted` decides on what is there already.

    Raises:
        SetupError: the service cannot be reached, or answered with an error.
    """
    with closing(_client(url)) as client, _errors_told(url):
        create(client)
        _fill_texts(client, console, wanted)
        _fill_images(client, console, wanted)
        _search_texts(client, console)
        _search_images(client, console)
    _go_on(url, console)


def _client(url: str) -> QdrantClient:
    try:
        key = environment.read().qdrant_api_key
        return QdrantClient(
            url=url,
            api_key=key.get_secret_value() if key else None,
            cloud_inference=True,
            timeout=TIMEOUT_S,
            check_compatibility=False,
        )
    except ValueError as error:
        raise SetupError(f"{url}: {error}") from error


def _fill_texts(client: QdrantClient, console: Console, wanted: Wanted) -> None:
    console.rule("[bold]Texts: the docstrings of Python's standard library")
    with console.status("reading the docstrings"):
        points = [text_point(docstring) for docstring in standard_library()]
    if _skipped(client, TEXTS, len(points), console, wanted):
        return
    console.print(f"{len(points):,} texts, three vectors each; {BATCH} texts a request, {IN_FLIGHT} requests in flight")
    _report(_fill(client, TEXTS, points, "texts", console), "texts", console)


def _fill_images(client: QdrantClient, console: Console, wanted: Wanted) -> None:
    console.rule("[bold]Images: drawn shapes")
    if _skipped(client, IMAGES, DRAWINGS, console, wanted):
        return
    points = [image_point(scene) for scene in scenes(DRAWINGS, SEED)]
    _report(_fill(client, IMAGES, points, "images", console), "images", console)


def _skipped(client: QdrantClient, collection: str, points: int, console: Console, wanted: Wanted) -> bool:
    """Whether a collection stays as it is, which holds all of its points; one that holds fewer is filled unasked."""
    there = client.count(collection).count
    if there < points:
        return False
    skipped = not wanted(collection, there)
    if skipped:
        console.print(f"the collection [bold]{collection}[/] holds {there:,} points already: skipped")
    return skipped


def _fill(
    client: QdrantClient, collection: str, points: Sequence[models.PointStruct], unit: str, console: Console
) -> Receipt:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}")
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        task = bars.add_task(collection, total=len(points), rate="")
        began, done = time.monotonic(), 0

        def progress(count: int) -> None:
            nonlocal done
            done += count
            bars.update(task, completed=done, rate=f"{done / (time.monotonic() - began):,.0f} {unit}/s")

        return upload(client, collection, points, progress)


def _report(receipt: Receipt, unit: str, console: Console) -> None:
    """What an upload took, all in all: embedding, the way there and back, and storing."""
    rate = receipt.points / receipt.seconds
    console.print(
        f"[green]{receipt.points:,} {unit}[/] embedded and stored in {receipt.seconds:.1f} s: {rate:,.0f} {unit}/s"
    )
    table = Table("model", "tokens", "tokens/s", header_style="bold")
    for column in table.columns[1:]:
        column.justify = "right"
    for model, tokens in sorted(receipt.tokens.items()):
        table.add_row(model, f"{tokens:,}", f"{tokens / receipt.seconds:,.0f}")
    console.print(table)


def _search_texts(client: QdrantClient, console: Console) -> None:
    console.rule("[bold]Search: texts")
    console.print(f"by meaning (dense): [bold]{MEANING}[/]")
    console.print(searches.text_table(searches.by_one(client, "dense", MEANING)))
    console.print(f"by all three vectors (prefetch dense, bm25, splade; fused by rank): [bold]{MIXED}[/]")
    console.print(searches.text_table(searches.by_all(client, MIXED)))
    console.print(f"by a keyword, at which bm25 is best: [bold]{KEYWORDS}[/]")
    found = {vector: searches.by_one(client, vector, KEYWORDS) for vector in TEXT_MODELS}
    console.print(searches.comparison({**found, "all three": searches.by_all(client, KEYWORDS)}))


def _search_images(client: QdrantClient, console: Console) -> None:
    console.rule("[bold]Search: images by text")
    for scene in scenes(DRAWINGS, SEED)[:3]:
        console.print(f"[bold]{scene.caption}[/]")
        console.print(searches.image_table(searches.by_caption(client, scene.caption)))


def _go_on(url: str, console: Console) -> None:
    console.rule("[bold]Go on")
    console.print("both collections stay; search them yourself:")
    dense = f'{{"text": "parse a date", "model": "{TEXT_MODELS["dense"]}"}}'
    caption = f'{{"text": "a red star on a white background", "model": "{CAPTION_MODEL}"}}'
    bodies = {
        TEXTS: f'{{"query": {dense}, "using": "dense", "limit": 3, "with_payload": ["name"]}}',
        IMAGES: f'{{"query": {caption}, "limit": 3, "with_payload": ["caption"]}}',
    }
    for name, body in bodies.items():
        command = f"curl -s {url}/collections/{name}/points/query -H 'Content-Type: application/json' -d '{body}'"
        console.print("  " + command, soft_wrap=True, markup=False)
    console.print("to see usage, try the models and copy examples, open this page in a browser:")
    console.print(f"  {url.rstrip('/')}/inference/", soft_wrap=True, markup=False)


@contextmanager
def _errors_told(url: str) -> Iterator[None]:
    """Translate what the client raises."""
    try:
        yield
    except ResponseHandlingException as error:
        raise SetupError(f"no Qdrant answers at {url}: {error.source}", "start one: qdrant-inference up") from error
    except UnexpectedResponse as error:
        message = _message(error)
        hint = "name the service in front of this Qdrant: demo --url http://localhost:6343" if _ALONE in message else ""
        raise SetupError(f"{url} answered {error.status_code}: {message}", hint) from error
    except (ApiException, QdrantException) as error:
        raise SetupError(f"{url}: {error}") from error


def _message(error: UnexpectedResponse) -> str:
    """Qdrant's own words, or if there are none, the status in words."""
    try:
        return str(error.structured()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return error.reason_phrase
