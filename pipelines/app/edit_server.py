"""Serve the page: on this machine only, unless somebody wants otherwise."""

import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Body, FastAPI, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse

from instructme.manifests.rows import DataError
from instructme.pipelines.app import edit_stream
from instructme.pipelines.app.edit_stream import EditQueue
from instructme.pipelines.app.uploads import EXAMPLES, LIMITS, Upload, Uploads
from instructme.pipelines.editing.editor import Editor
from instructme.pipelines.pages import play_page

LOOPBACK = ("127.0.0.1", "localhost")
SENTENCES = (
    "remove drums",
    "extract bass",
    "make the drums 6 dB louder from 0:04 to 0:08",
    "add piano",
    "replace bass with tuba",
    "remix to Jazz genre",
)
"""Sentences that the page offers, if the editor can make them."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_STOP_S = 2
router = APIRouter()


def serve(editor: Editor, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C; `announce` gets the address.

    Raises:
        DataError: the address can't be used.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise DataError(f"can't serve at {host}:{port} ({error.strerror}): choose another --port, or 0 for a free one") from None
    with listener, tempfile.TemporaryDirectory(prefix="instructme-app-") as folder:
        app = make_app(editor, Path(folder), LOOPBACK if host in LOOPBACK else ("*",))
        announce(f"http://{host}:{listener.getsockname()[1]}")
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_STOP_S, server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def make_app(editor: Editor, folder: Path, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """Put the page and its answers together.

    Args:
        editor: makes the edits.
        folder: private to this process.
        hosts: names by which browsers may call it. Others are refused, so that no web page reaches it by a name of its own.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.uploads = Uploads(folder)
    app.state.edits = EditQueue(editor, app.state.uploads)
    app.include_router(router)
    app.add_exception_handler(DataError, lambda request, error: JSONResponse({"error": str(error)}, 422))
    gone = {"error": "this song is gone: choose it again"}
    app.add_exception_handler(KeyError, lambda request, error: JSONResponse(gone, 404))
    app.add_middleware(SameOrigin)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return app


class SameOrigin:
    """Refuse what other web pages send, and tell browsers to be careful with the answers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as an ASGI application."""

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin", b"")
        foreign = origin and origin.partition(b"://")[2] != headers.get(b"host")
        app = JSONResponse({"error": "this page only answers itself"}, 403) if foreign else self._app
        await app(scope, receive, send_guarded)


@router.get("/")
def page(request: Request) -> HTMLResponse:
    """Give the page itself."""
    offered = [sentence for sentence in SENTENCES if request.app.state.edits.can(sentence)]
    return HTMLResponse(play_page.page(LIMITS, EXAMPLES, offered))


@router.get("/plan")
def plan(request: Request, sentence: Annotated[str, Query(max_length=5000)]) -> dict[str, Any]:
    """Read a sentence as steps, or say why it is refused, which is no fault while somebody types."""
    try:
        read = request.app.state.edits.plan(sentence)
    except DataError as error:
        return {"error": str(error)}
    return {"steps": [step.as_json() for step in read.steps], "notes": read.notes}


@router.post("/songs")
async def song(request: Request, name: Annotated[str, Query(max_length=1000)]) -> dict[str, Any]:
    """Take the file in the body of the request."""
    return described(await request.app.state.uploads.receive(name, request.stream()))


@router.post("/examples/{name}")
def example(request: Request, name: str) -> dict[str, Any]:
    """Take a recording of the package."""
    return described(request.app.state.uploads.add_example(name))


def described(upload: Upload) -> dict[str, Any]:
    """Say about a song what the page shows."""
    facts = {"id": upload.id, "name": upload.name, "seconds": upload.seconds, "rate_hz": upload.rate_hz}
    return {**facts, "channels": upload.channels, "view": edit_stream.view(upload)}


@router.post("/songs/{id_}/edits")
def edit(request: Request, id_: str, sentence: Annotated[str, Body(embed=True, max_length=5000)]) -> StreamingResponse:
    """Edit a song, and stream lines of JSON that say how far the edit is."""
    lines = request.app.state.edits.lines(request.app.state.uploads[id_], sentence)
    return StreamingResponse(_while_connected(request, lines), media_type="application/x-ndjson")


async def _while_connected(request: Request, lines: Generator[str, None, None]) -> AsyncIterator[str]:
    """Give lines until the browser leaves, which ends the edit."""
    with closing(lines):
        while not await request.is_disconnected() and (line := await run_in_threadpool(next, lines, None)):
            yield line


@router.get("/songs/{id_}/source.flac")
def source(request: Request, id_: str) -> FileResponse:
    """Give a song as browsers play it."""
    return FileResponse(request.app.state.uploads[id_].source, media_type="audio/flac")


@router.get("/songs/{id_}/result.flac")
def result(request: Request, id_: str) -> FileResponse:
    """Give the result of the last edit, under the name of the song."""
    upload = request.app.state.uploads[id_]
    if not upload.result.exists():
        raise HTTPException(404)
    return FileResponse(upload.result, media_type="audio/flac", filename=f"{Path(upload.name).stem} (edited).flac")
