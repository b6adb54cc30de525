"""Which of the console's routes is answered by whom, and which credential it needs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from deployments.contract import Model
from deployments.errors import Forbidden, InferenceError, UnknownModel
from serve_app.api.management import OPENAPI, additions, playground, usage
from serve_app.api.management.json_bodies import Answer, answered, dumped, question
from serve_app.api.management.models import AskProviders, Models, States, options
from serve_app.api.management.playground import Playground
from serve_app.api.management.service_health import ServiceHealth, ledger_state
from serve_app.auth.access import Access, Authenticator, credential
from serve_app.cluster.additions import Additions
from serve_app.console import page
from serve_app.embedder import Embedder
from serve_app.ledger import live_rates
from serve_app.ledger.additions import Wanted
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.meter import Caller
from serve_app.ledger.switches import SwitchChange, Switches
from serve_app.protocol.error_responses import http_error
from serve_app.protocol.messages import Request, Response, json_response, read

_HOME = "/inference"
_DASHBOARD = {"/dashboard": b"inference/", "/dashboard/": b"../inference/"}
"""Where people look for Qdrant's web interface, which the embedded store does not have, and where this page is from
there: relative, so that it is right behind a path prefix, too."""

Route = Callable[[Request, Access], Awaitable[Answer]]


class Console:
    """Answers the console's routes. `grpc_port` is where callers reach the gRPC API, if that is known."""

    def __init__(  # noqa: PLR0913  what the routes tell comes from as many places
        self,
        authenticator: Authenticator,
        embedder: Embedder,
        ledger: Ledger,
        states: States,
        models: Mapping[str, Model],
        *,
        additions: Additions,
        glance: ServiceHealth,
        providers: AskProviders | None = None,
        grpc_port: int | None,
    ) -> None:
        self._authenticator = authenticator
        self._embedder = embedder
        self._ledger = ledger
        self._additions = additions
        self._described = Models(embedder.catalogue, states, models, ledger, providers)
        self._playground = Playground(embedder, models)
        self._glance = glance
        self._grpc_port = grpc_port
        self._routes: Mapping[tuple[str, str], Route] = {
            ("GET", "/inference/models"): self._models,
            ("GET", "/inference/options"): self._options,
            ("GET", "/inference/live"): self._live,
            ("GET", "/inference/live/history"): self._history,
            ("GET", "/inference/health"): self._health,
            ("GET", "/inference/settings"): self._settings,
            ("PUT", "/inference/settings"): self._change_settings,
            ("POST", "/inference/models"): self._add,
            ("POST", "/inference/playground"): self._play,
        }

    def owns(self, path: str) -> bool:
        """Whether a path is the console's, and not Qdrant's."""
        return path.startswith(page.PREFIX) or path == _HOME or (self._glance.is_embedded and path in _DASHBOARD)

    def refusal(self, error: InferenceError) -> Response:
        """An error in Qdrant's own shape."""
        return http_error(error)

    async def answer(self, request: Request) -> Response:
        """Answer a request for a path that the console owns.

        Raises:
            InferenceError: see `refusal` for its shape.
        """
        began = time.perf_counter()
        if (request.method, request.path) == ("GET", "/inference/access"):
            return answered(self._access(request), began)
        if (request.method, request.path) == ("GET", "/inference/usage"):
            return await self._usage(request, began)
        route = self._routes.get((request.method, request.path)) or self._route_of_added(request)
        if route is None:
            return await self._file(request)
        access = self._authenticator.known(credential(request.headers))
        return answered(await route(request, access), began)

    async def _file(self, request: Request) -> Response:
        if request.method == "HEAD":
            answer = await self._file(request._replace(method="GET"))
            length = b"%d" % len(await read(answer.body) or b"")
            return answer._replace(headers=[*answer.headers, (b"content-length", length)], body=b"")
        if request.method == "GET" and request.path in _DASHBOARD:
            return Response(HTTPStatus.TEMPORARY_REDIRECT, [(b"location", _DASHBOARD[request.path])], b"")
        if request.method == "GET" and request.path == _HOME:
            return Response(HTTPStatus.PERMANENT_REDIRECT, [(b"location", b"inference/")], b"")
        if request.method == "GET" and request.path == "/inference/openapi.json":
            return json_response(HTTPStatus.OK, OPENAPI.read_bytes())
        file = await page.answer(request) if request.method == "GET" else None
        text = f"there is no {request.method} of this path; /inference/openapi.json lists the routes"
        return file or json_response(404, dumped({"status": {"error": text}, "time": 0.0, "result": None}))

    def _access(self, request: Request) -> Answer:
        shown = credential(request.headers)
        known = self._authenticator.is_open or shown is not None
        access = self._authenticator.known(shown) if known else Access()
        try:
            self._authenticator.admit_admin(shown)
            may_change = True
        except InferenceError:
            may_change = False
        return Answer(
            {
                "key_needed": not self._authenticator.is_open,
                "known": known,
                "access": (access.everywhere or "collections") if known else None,
                "tenant": access.tenant,
                "may_change_settings": may_change,
                "admin": self._authenticator.admins,
                "grpc_port": self._grpc_port,
            }
        )

    async def _models(self, _request: Request, _access: Access) -> Answer:
        free_tokens = self._embedder.settings.current.free_tokens_per_month
        under_way = [additions.shown(one) for one in self._additions.current.values()]
        return Answer({"models": await self._described.describe(free_tokens), "additions": under_way})

    async def _add(self, request: Request, _access: Access) -> Answer:
        self._authenticator.admit_admin(credential(request.headers))
        return Answer(
            additions.shown(await self._additions.add(await question(self._embedder.settings, request, Wanted)))
        )

    def _route_of_added(self, request: Request) -> Route | None:
        is_one = request.method == "DELETE" and request.path.startswith(additions.PREFIX)
        return self._take_away if is_one else None

    async def _take_away(self, request: Request, _access: Access) -> Answer:
        self._authenticator.admit_admin(credential(request.headers))
        asked = additions.removal(request)
        return Answer(additions.shown(await self._additions.remove(asked.name, files=asked.files)))

    async def _options(self, _request: Request, _access: Access) -> Answer:
        return Answer({"models": {card.name: options(card) for card in self._embedder.catalogue}})

    async def _live(self, _request: Request, _access: Access) -> Answer:
        replicas = self._ledger.replicas
        live = [snapshot for _, snapshot in replicas]
        return Answer(
            {
                "total": asdict(live_rates.total(live)),
                "models": {model: asdict(figures) for model, figures in live_rates.by_model(live).items()},
                "replicas": [{"name": name, **asdict(live_rates.total([own]))} for name, own in replicas],
                "ledger": ledger_state(self._ledger),
            }
        )

    async def _history(self, _request: Request, _access: Access) -> Answer:
        return Answer(self._ledger.history.columns(time.time()))

    async def _health(self, _request: Request, _access: Access) -> Answer:
        return Answer(await self._glance.describe())

    async def _usage(self, request: Request, began: float) -> Response:
        access = self._authenticator.known(credential(request.headers))
        if access.tenant is None and access.everywhere is None:
            raise Forbidden("Forbidden: Global access is required")
        asked = usage.question(request.query)
        free = self._embedder.settings.current.free_tokens_per_month
        result = await usage.answer(asked, self._ledger, self._embedder.catalogue, free, access.tenant)
        if any(name.lower() == b"accept" and b"text/csv" in value for name, value in request.headers):
            kind = [(b"content-type", b"text/csv; charset=utf-8; header=present")]
            return Response(
                HTTPStatus.OK,
                [*kind, (b"content-disposition", b'attachment; filename="usage.csv"')],
                usage.as_csv(result),
            )
        return answered(Answer(result), began)

    async def _settings(self, _request: Request, access: Access) -> Answer:
        switches = self._ledger.switches
        if access.everywhere is None:
            known = switches.collections & access.collections.keys()
            switches = switches.model_copy(update={"collections": known})
        return Answer(_shown(switches))

    async def _change_settings(self, request: Request, _access: Access) -> Answer:
        self._authenticator.admit_admin(credential(request.headers))
        change = await question(self._embedder.settings, request, SwitchChange)
        models = {self._switched(name): on for name, on in change.models.items()}
        return Answer(_shown(await self._ledger.switch(change.model_copy(update={"models": models}))))

    def _switched(self, name: str) -> str:
        """What a switch is for: a model with all that its network gives, or all models of a provider."""
        card = self._embedder.catalogue.find(name, "models")
        if card.account != card.name:
            raise UnknownModel(f"models: {card.name} is switched together with all of {card.account}")
        return card.name

    async def _play(self, request: Request, access: Access) -> Answer:
        asked = await question(self._embedder.settings, request, playground.Question)
        return await self._playground.answer(asked, Caller(access.tenant, operation="playground", keys=request.keys))


def _shown(switches: Switches) -> dict[str, Any]:
    return {
        "inference": not switches.all_off,
        "models": dict.fromkeys(sorted(switches.models), False),
        "collections": dict.fromkeys(sorted(switches.collections), False),
    }
