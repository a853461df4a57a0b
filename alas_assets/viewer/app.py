"""Two read-only loopback sites: the sample site, and a viewer of what the store holds (U1, A1).

What is shown here was written by strangers: it is served inert. Starting and sharing the server is `viewer.serve`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alas_assets.audit.advice import what_now
from alas_assets.audit.derived import derived_from
from alas_assets.audit.document import OWN_HTML, document
from alas_assets.audit.report import answer_html, derived_html, wrong_html
from alas_assets.audit.trace import TraceError, cells_of, trace_answer
from alas_assets.audit.verdict import verdict_of
from alas_assets.links import HASH, is_report_name
from alas_assets.provenance.store import CHANGED, TOMBSTONE, ArtifactStore, BadKeyError, Cell, Pointer, StoreError, hash_once
from alas_assets.release.registry import RegistryError
from alas_assets.review.journal import ReviewError
from alas_assets.wording import counted

HOSTS = ["127.0.0.1", "localhost"]
IDENTITY = "/.alas"
INERT = "default-src 'none'; sandbox"
REPORT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_LISTED = 100


def create_site_app(folder: Path) -> Starlette:
    """Return the app that serves a folder as a web site at its root, with validators for conditional requests (R4).

    Raises:
        RuntimeError: The folder does not exist.
    """
    folder = folder.resolve()
    files = StaticFiles(directory=folder, html=True)

    def robots(_: Request) -> Response:
        own = folder / "robots.txt"
        return FileResponse(own) if own.is_file() else PlainTextResponse("User-agent: *\nAllow: /\n")

    routes = [
        Route(IDENTITY, _identity("site", folder)),
        Route("/robots.txt", robots),
        Mount("/", app=_without_hidden(files)),
    ]
    return _app(routes, content_policy=None)


def create_viewer_app(store_root: Path, lance: str = "") -> Starlette:
    """Return the app that shows a store's pages, texts, traces, reports and manifests; the store need not exist yet."""
    root = store_root.resolve()
    store = ArtifactStore(root, lance)

    def page(request: Request) -> Response:
        path = _blob(root / "pages", request.path_params["sha"], "stored page")
        return FileResponse(path, media_type="text/plain; charset=utf-8")

    def text(request: Request) -> Response:
        path = _blob(root / "texts", request.path_params["sha"], "stored text")
        if "start" not in request.query_params and "end" not in request.query_params:
            return FileResponse(path, media_type="text/plain; charset=utf-8")
        return _quoted(path, request.query_params.get("start", ""), request.query_params.get("end", ""))

    def report(request: Request) -> Response:
        name = request.path_params["name"]
        path = root / "reports" / name
        if not is_report_name(name) or not _plain_file(path):
            raise HTTPException(404, "no such report; the front page lists those there are")
        kind = "text/html" if name.endswith(".html") else "application/json"
        return FileResponse(path, media_type=kind, headers={"content-security-policy": REPORT})

    def manifest(request: Request) -> Response:
        digest = request.path_params["digest"]
        folder = root / "artifacts" / "adapters" / digest
        shown = [path for path in (folder / "manifest.json", folder / TOMBSTONE) if HASH.fullmatch(digest) and _plain_file(path)]
        if not shown:
            raise HTTPException(404, "no manifest of such an adapter in this store")
        return FileResponse(shown[-1], media_type="application/json")  # of one that a takedown retired, which takedown

    def answer(request: Request) -> Response:
        trace = trace_answer(store, request.path_params["answer_id"])
        verdict = verdict_of(store, trace, request.query_params.get("should_be", ""))
        return _own(answer_html(store, trace, verdict, what_now(store, trace, verdict)))

    def wrong(request: Request) -> Response:
        domain, iteration = request.path_params["domain"], request.path_params["iteration"]
        pointer = store.pointer(Cell(domain, iteration), "wrong_answers")
        if pointer is None:
            raise HTTPException(404, f"wrong_answers of {domain}|{iteration} is not there; materialise it in Dagster")
        return _own(wrong_html(domain, iteration, store.read_table(pointer)))

    def source(request: Request) -> Response:
        return _own(derived_html(derived_from(store, request.query_params.get("of", ""))))

    def index(_: Request) -> Response:
        return _own(_index(store))

    routes = [
        Route("/", index),
        Route(IDENTITY, _identity("store", root)),
        Route("/pages/{sha}", page),
        Route("/texts/{sha}", text),
        Route("/reports/{name}", report),
        Route("/adapters/{digest}/manifest.json", manifest),
        Route("/answers/{answer_id}", answer),
        Route("/wrong/{domain}/{iteration}", wrong),
        Route("/sources", source),
    ]
    return _app(routes, content_policy=INERT)


def identity(serves: str, folder: Path) -> dict[str, Any]:
    """Return what a server says of itself, so that another process can tell whether it may share it."""
    return {"alas": 1, "serves": serves, "folder": str(folder.resolve())}


def _identity(serves: str, folder: Path) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:
        return JSONResponse(identity(serves, folder))

    return answer


def _app(routes: Sequence[BaseRoute], content_policy: str | None) -> Starlette:
    return Starlette(
        routes=routes,
        # a page that resolves its own name to 127.0.0.1 sends that name as Host and is refused
        middleware=[
            Middleware(_SafeHeaders, content_policy=content_policy),
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(_ReadOnly),
        ],
        exception_handlers={
            404: _not_found,
            **dict.fromkeys((TraceError, BadKeyError), _unanswered),
            **dict.fromkeys((StoreError, ReviewError, RegistryError), _damaged),
        },
    )


class _SafeHeaders:
    """Adds to every answer, errors too, the headers that keep foreign text inert; an answer's own policy stays."""

    def __init__(self, app: ASGIApp, content_policy: str | None) -> None:
        self._app = app
        self._headers = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
        if content_policy is not None:
            self._headers |= {"content-security-policy": content_policy, "cross-origin-resource-policy": "same-origin"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = [(k.encode(), v.encode()) for k, v in self._headers.items() if k.encode() not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_safely)


class _ReadOnly:
    """Refuses every method but GET and HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            response = PlainTextResponse("this site is read-only\n", status_code=405, headers={"Allow": "GET, HEAD"})
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _without_hidden(app: ASGIApp) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Keep names that begin with a dot (.git and the like) out of a served folder."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if any(part.startswith(".") for part in scope["path"].split("/")):
            raise HTTPException(404)
        await app(scope, receive, send)

    return serve


def _not_found(_: Request, error: Exception) -> Response:
    detail = error.detail if isinstance(error, HTTPException) else ""
    words = detail if detail and detail != "Not Found" else "nothing is served at this address; the front page is /"
    return PlainTextResponse(f"{words}\n", status_code=404)


def _unanswered(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=404)


def _damaged(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", status_code=500)


def _own(html: str) -> Response:
    return HTMLResponse(html, headers={"content-security-policy": OWN_HTML})


def _blob(folder: Path, digest: str, what: str) -> Path:
    path = folder / digest
    if not HASH.fullmatch(digest) or not _plain_file(path):
        raise HTTPException(404, f"no {what} with that SHA-256 in this store")
    if hash_once(path) != digest:
        raise StoreError(f"{path}: this {what} {CHANGED}; materialise documents of its cell again")
    return path


def _plain_file(path: Path) -> bool:
    """Tell whether a path is a regular file that really lies where its name says (no link leads elsewhere)."""
    return path.is_file() and path.resolve() == path


def _quoted(path: Path, start: str, end: str) -> Response:
    content = path.read_bytes().decode("utf-8", "replace")
    if not all(number.isascii() and number.isdigit() and len(number) < 12 for number in (start, end)):
        return PlainTextResponse("start and end must both be given, as character offsets\n", status_code=400)
    first, last = int(start), int(end)
    if not first <= last <= len(content):
        return PlainTextResponse(f"offsets must lie in order within the text's {len(content)} characters\n", status_code=400)
    before, quote, after = (escape(part) for part in (content[:first], content[first:last], content[last:]))
    head = f"<h1>Stored text</h1><p>SHA-256 {path.name}, characters {first} to {last}.</p>"
    body = f'{head}<pre>{before}<mark id="quote">{quote}</mark>{after}</pre>'
    return HTMLResponse(document("Stored text", body), headers={"content-security-policy": f"{OWN_HTML}; sandbox"})


def _index(store: ArtifactStore) -> str:
    root = store.root
    reports = sorted(name for name in _names(root / "reports") if is_report_name(name))
    adapters = sorted(name for name in _names(root / "artifacts" / "adapters") if HASH.fullmatch(name))
    pages, texts = (sum(1 for name in _names(root / part) if HASH.fullmatch(name)) for part in ("pages", "texts"))
    lines = [
        "<h1>What this store holds</h1>",
        f"<p>Store: <code>{escape(str(root))}</code>. Everything here is read-only.</p>",
        f"<p>{pages} pages as they were fetched, under <code>/pages/SHA-256</code> (shown as plain text, never as a page), and "
        f"{texts} extracted texts under <code>/texts/SHA-256</code>. Traces and the tables in Dagster link to them.</p>",
        "<h2>Wrong answers</h2>",
        _wrong_lists(store),
        "<h2>Reports</h2>",
        _links([(f"/reports/{name}", name) for name in reports], "No report has been written yet."),
        "<h2>Adapters</h2>",
        _links([(f"/adapters/{name}/manifest.json", _adapter_words(root, name)) for name in adapters], "No adapter has been trained yet."),
    ]
    return document("ALAS store", "".join(lines))


def _wrong_lists(store: ArtifactStore) -> str:
    """Return each domain's lists of wrong answers with how many there are, the newest iteration first; no domain crowds out another."""
    lists: dict[str, list[tuple[str, str]]] = {}
    for cell in cells_of(store):
        if pointer := store.pointer(cell, "wrong_answers"):
            link = (f"/wrong/{cell.domain}/{cell.iteration}", f"{cell}: {_wrong_words(store, pointer)}")
            lists.setdefault(cell.domain, []).append(link)
    return "".join(_links(links, "") for links in lists.values()) or "<p>No iteration has been judged yet.</p>"


def _wrong_words(store: ArtifactStore, pointer: Pointer) -> str:
    try:
        return counted(store.read_table(pointer).height, "wrong answer")
    except StoreError:  # its own page says why and what to do; the front page shows the others all the same
        return "its list is damaged"


def _adapter_words(root: Path, name: str) -> str:
    return f"{name} (taken down)" if (root / "artifacts" / "adapters" / name / TOMBSTONE).is_file() else name


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _links(items: list[tuple[str, str]], none: str) -> str:
    if not items:
        return f"<p>{none}</p>"
    more = f"<p>and {len(items) - _LISTED} more</p>" if len(items) > _LISTED else ""
    shown = "".join(f'<li><a href="{escape(href)}">{escape(name)}</a></li>' for href, name in items[:_LISTED])
    return f"<ul>{shown}</ul>{more}"
