"""A stand-in that speaks the part of vLLM's wire that the door uses; run as `python -m ... serve BASE --host H --port N ...`.

It answers with the name of the model that it was asked for. A question "slow" takes a second or two, "slower" twice that, "die" ends the
process, "hang" is never answered, "on and on" without an end, and "what was given up?" with those of both whose client has left. It never
says that it has loaded a folder with a file "hangs" in it, and ends when it is to load one with a file "large" beside
another, or one with a file "larger".
"""

import argparse
import asyncio
import json
import os
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

loaded: dict[str, str] = {"base": ""}
given_up: list[str] = []
sick: list[bool] = []


async def health(_: Request) -> Response:
    if sick:
        await asyncio.sleep(3600)
    return PlainTextResponse("")


async def models(_: Request) -> Response:
    return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in loaded]})


async def load(request: Request) -> Response:
    if os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") != "True":
        return PlainTextResponse("Not Found", 404)
    asked = await request.json()
    if not Path(asked["lora_path"]).is_dir():
        return JSONResponse({"error": {"message": f"No adapter found for {asked['lora_path']}"}}, 404)
    folder = Path(asked["lora_path"])
    if (folder / "larger").exists() or (len(loaded) > 1 and (folder / "large").exists()):
        os._exit(1)
    await asyncio.sleep(3600 if (folder / "hangs").exists() else 0.5)
    loaded[asked["lora_name"]] = asked["lora_path"]
    return PlainTextResponse("Success")


async def unload(request: Request) -> Response:
    name = (await request.json())["lora_name"]
    return PlainTextResponse("Success") if loaded.pop(name, None) is not None else PlainTextResponse("no such adapter", 404)


async def chat(request: Request) -> Response:
    asked = await request.json()
    model, question = asked["model"], asked["messages"][-1]["content"]
    if model not in loaded:
        return JSONResponse({"error": {"message": f"The model `{model}` does not exist."}}, 404)
    if question == "die":
        os._exit(1)
    if question == "be sick":
        sick.append(True)
    if question == "bad":
        return JSONResponse({"error": {"message": f"cannot read {loaded[model]}"}}, 422)
    if question == "hang":
        try:
            while not await request.is_disconnected():
                await asyncio.sleep(0.05)
        finally:
            given_up.append(question)
    if question == "what was given up?":
        question = " ".join(given_up)
    if not asked["stream"]:
        await asyncio.sleep(1.0 if question == "slow" else 0)
        message = {"role": "assistant", "content": f"{model} {asked['temperature']} {asked['max_tokens']} {question}"}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        return JSONResponse({"id": "1", "object": "chat.completion", "model": model, "choices": [choice]})

    def piece(delta: dict[str, str], finish_reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return f"data: {json.dumps({'id': '1', 'model': model, 'choices': [choice]})}\n\n"

    async def pieces():
        yield piece({"role": "assistant"})
        try:
            while question == "on and on":
                yield piece({"content": "and on "})
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            given_up.append(question)
            raise
        for word in ("I", "am", model, "and", "done"):
            yield piece({"content": f"{word} "})
            await asyncio.sleep({"slow": 0.4, "slower": 0.8}.get(question, 0))
        if question != "breaks off":
            yield piece({}, "length")
            yield f"data: {json.dumps({'id': '1', 'model': model, 'choices': [], 'usage': {'total_tokens': 9}})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("base")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--enable-lora", action="store_true", required=True)
    parser.add_argument("--max-lora-rank", type=int, required=True)
    parser.add_argument("--chat-template", type=Path, required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), required=True)
    given = parser.parse_args()
    assert given.chat_template.is_file()
    routes = [
        Route("/health", health),
        Route("/v1/models", models),
        Route("/v1/load_lora_adapter", load, methods=["POST"]),
        Route("/v1/unload_lora_adapter", unload, methods=["POST"]),
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ]
    uvicorn.run(Starlette(routes=routes), host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
