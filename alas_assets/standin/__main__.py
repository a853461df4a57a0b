"""`python -m alas_assets.standin FOLDER_OR_FILE...`: serves recorded pairs as an OpenAI-compatible endpoint until interrupted."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from typing import get_args

from starlette.applications import Starlette

from alas_assets.standin.app import MODELS, Ability, create_app
from alas_assets.standin.matching import Library
from alas_assets.standin.pairs import RecordedError, read_pairs
from alas_assets.viewer.serve import HOST, PortError, ensure_port_free

_WHAT = """A stand-in for a teacher's endpoint. It is not a model: it answers plan, write, paraphrase, judge and revise prompts from
recorded question-answer pairs (JSON Lines: page, topic, question, answer, short_answer, aliases, category, difficulty, rationale, quote,
phrasings), finds them by the passages that a prompt shows, and grades and revises by plain rules. Anything else is refused."""


def main(argv: list[str] | None = None) -> int:
    """Serve; the exit code is 1 where the pairs cannot be read or the port cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m alas_assets.standin", description=_WHAT)
    parser.add_argument("pairs", nargs="+", type=Path, metavar="FOLDER_OR_FILE", help="recorded pairs: a .jsonl file or a folder of them")
    parser.add_argument("--port", type=int, default=8317, help=f"port on {HOST}; 0 takes a free one (default %(default)s)")
    parser.add_argument("--latency", type=float, default=0.3, help="seconds that each answer takes at least (default %(default)s)")
    parser.add_argument(
        "--form",
        choices=get_args(Ability),
        default="auto",
        help="the most it does about an answer's form: enforce a JSON schema (auto, schema), any JSON (json), nothing (xml, lines)",
    )
    given = parser.parse_args(argv)
    if not 0 <= given.latency <= 3600:
        parser.error("--latency must be 0 to 3600 seconds")
    try:
        pairs = read_pairs(given.pairs)
        if given.port:
            ensure_port_free(given.port, "--port")
    except (RecordedError, PortError) as error:
        print(error, file=sys.stderr)
        return 1
    _serve(create_app(Library(pairs), given.latency, given.form), given.port, len(pairs))
    return 0


def _serve(app: Starlette, port: int, count: int) -> None:
    import uvicorn

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            for server in self.servers:
                at = server.sockets[0].getsockname()[1]
                print(f"{count} recorded pairs, not a model: http://{HOST}:{at}/v1 (models {', '.join(MODELS)})", flush=True)

    Announced(uvicorn.Config(app, host=HOST, port=port, log_level="warning", access_log=False, lifespan="off", ws="none")).run()


if __name__ == "__main__":
    sys.exit(main())
