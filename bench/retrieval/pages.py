"""Serves the pages that the benchmark reads: seeded text, ETags, and 50 ms before every answer, from a process of its own.

`python bench/retrieval/pages.py FOLDER --port 8399` serves every `.html` file of FOLDER; a file that changes gets a new ETag.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
from email.utils import formatdate
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

LATENCY_SECONDS = 0.05
_PARTS = 2
_VOCABULARY = (
    "release interpreter module function argument default buffer thread signal handler encoding iterator cache lookup allocation"
    " profile sampling table index compiler bytecode instruction register garbage collector generation finalizer descriptor wheel"
    " package resolver constraint platform linker symbol loader archive checksum timeout socket listener certificate session"
    " changes accepts returns raises replaces removes deprecates documents measures keeps drops reads writes opens closes joins"
    " the a its every each some new old faster smaller larger optional required public private internal experimental stable"
    " when while because unless before after without with under over between"
)
_WORDS = _VOCABULARY.split()


def write_site(folder: Path, pages: int, seed: int = 11) -> None:
    """Write pages of about 270 words in two sections, a list and a code block, as a documentation site shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pages):
        write_page(folder, number, seed)


def write_page(folder: Path, number: int, seed: int, edited: str = "") -> None:
    """Write one page; `edited` is a sentence that stands in its second section and nowhere else."""
    draw = random.Random(f"{seed}-{number}")
    sections = []
    for part in range(_PARTS):
        items = "".join(f"<li>{_sentence(draw)}</li>" for _ in range(3))
        code = f"<pre><code>{draw.choice(_WORDS)}({draw.randrange(1000)})\nprint({draw.randrange(1000)})</code></pre>"
        text = f"<p>{_paragraph(draw)}</p>{code if part == 1 else ''}<p>{_paragraph(draw)}</p>{f'<ul>{items}</ul>' if part == 0 else ''}"
        extra = f"<p>{edited}</p>" if edited and part == 1 else ""
        sections.append(f"<section><h2>{_sentence(draw, 4)}</h2>{text}{extra}</section>")
    title = f"Page {number}: {_sentence(draw, 5)}"
    links = "".join(f'<li><a href="{other}.html">{_sentence(draw, 3)}</a></li>' for other in range(number, number + 20))
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>body{{margin:0}}</style></head><body>'
        f"<nav><ul>{links}</ul></nav><main><h1>{title}</h1>{''.join(sections)}</main><footer>Served for a benchmark.</footer></body></html>"
    )
    (folder / f"{number}.html").write_text(html, encoding="utf-8")


def _sentence(draw: random.Random, words: int = 0) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(words or draw.randrange(8, 20))).capitalize() + ("" if words else ".")


def _paragraph(draw: random.Random) -> str:
    return " ".join(_sentence(draw) for _ in range(4))


def application(folder: Path) -> Starlette:
    """Return the site: pages with ETag and Last-Modified, 304 where they fit, and a robots.txt that allows all."""

    async def answer(request: Request) -> Response:
        await asyncio.sleep(LATENCY_SECONDS)
        path = folder / request.path_params["name"]
        if not path.is_file():
            return PlainTextResponse("not here", status_code=404)
        body = path.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()[:16]}"', "Last-Modified": formatdate(path.stat().st_mtime, usegmt=True)}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="text/html", headers=headers)

    async def robots(_: Request) -> Response:
        return PlainTextResponse("User-agent: *\nAllow: /\n")

    return Starlette(routes=[Route("/robots.txt", robots), Route("/{name}", answer)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    uvicorn.run(application(given.folder), host="127.0.0.1", port=given.port, log_level="error", timeout_keep_alive=60)


if __name__ == "__main__":
    main()
