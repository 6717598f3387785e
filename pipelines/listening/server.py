"""Serve a study: pages for raters, their clips, and two addresses that store clicks. Nothing else is reachable."""

import re
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instructme.manifests.tables import sha256
from instructme.pipelines.listening.answers import Answers, Click, Session
from instructme.pipelines.listening.page_order import HEADPHONE_ATTEMPTS, Planner, Step
from instructme.pipelines.listening.rater_page import consent, notice, options, rater_page
from instructme.pipelines.listening.study import ANSWERS, CLIPS, STIMULI, WORDING, check_clips, read_stimuli, read_study
from instructme.pipelines.listening.wording import read_wording

MOST_BYTES = 4096
"""A click has about 100 bytes."""
_STATIC = {
    "style.css": "text/css",
    "listen.css": "text/css",
    "player.js": "text/javascript",
    "listen.js": "text/javascript",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self'; connect-src 'self';"
    " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_LONGEST_ID = 200
router = APIRouter()


class ClipResponse(FileResponse):
    """A clip, read in few pieces: each piece costs a turn of a thread."""

    chunk_size = 1 << 20


class ClickBody(BaseModel):
    """What the page sends for a click."""

    model_config = ConfigDict(extra="forbid", strict=True)
    click: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    step: Annotated[int, Field(ge=0, le=100_000)]
    attempt: Annotated[int, Field(ge=1, le=100)] = 1


class AnswerBody(ClickBody):
    """A click in a page: a clip was started, was heard, or got an answer."""

    kind: Literal["play", "heard", "rate"]
    place: Annotated[int, Field(ge=0, le=1000)]
    value: Annotated[int | None, Field(ge=0, le=100)] = None


class BodyLimit:
    """Refuses long bodies before they are read (413), and adds the headers of safety to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a request's body, and answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more and len(body) <= MOST_BYTES:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def whole() -> Message:
            return parts.pop() if parts else await receive()

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        too_long = Response("too long", 413, headers={"Connection": "close"})
        await (too_long if len(body) > MOST_BYTES else self.app)(scope, whole, with_headers)


class Rating:
    """A study that is open to raters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.study = read_study(folder)
        self.words = read_wording(folder / WORDING)
        self.planner = Planner(self.study, read_stimuli(folder))
        self.preparation = self.planner.preparation()
        self.answers = Answers(folder / ANSWERS)
        check_clips(folder, self.answers.clips(sha256(folder / STIMULI)))
        self.rounds = lru_cache(256)(self.planner.rounds)

    def session(self, token: str) -> Session:
        """Find the session of a link; every wrong link gets the same answer."""
        session = self.answers.session(token) if _TOKEN.fullmatch(token) else None
        if session is None:
            raise HTTPException(404)
        return session

    def steps(self, session: Session) -> list[Step]:
        """List the pages of a session; before the first round the later ones only say how many there will be."""
        return [*self.preparation, *self.rounds(session.turn or 0)]

    def store(self, session: Session, body: AnswerBody) -> bool:
        """Check and store a click in a page; False if the session has moved on."""
        steps = self.steps(session)
        if body.step >= len(steps) or (body.step > session.step) or (session.turn is None and body.step >= len(self.preparation)):
            raise HTTPException(422)
        step = steps[body.step]
        answer = body.kind == "rate"
        if body.place >= (step.answers if answer else len(step.players)) or answer != (body.value is not None):
            raise HTTPException(422)
        if answer and body.value not in dict(options(step, self.words)):
            raise HTTPException(422)
        current = body.step == session.step and body.attempt == session.attempt
        needed = set(range(len(step.clips))) if step.kind == "pair" else {body.place}
        if answer and current and not needed <= self.answers.page(session)[1]:
            raise HTTPException(422)
        clip = step.players[body.place]
        system = "\t".join(each.system for each in step.clips) if step.kind == "pair" and answer else clip.system
        what = step.kind, step.scale, body.place, clip.item, system, body.value
        return self.answers.store(session, Click(body.click, body.step, body.kind, *what))

    def go_on(self, session: Session, body: ClickBody) -> None:
        """Move the session if its page is complete; a second click on "Next" changes nothing."""
        if body.step != session.step or body.attempt != session.attempt or session.state != "open":
            return
        steps = self.steps(session)
        step = steps[session.step]
        values, heard = self.answers.page(session)
        if len(values) < step.answers or (step.kind == "volume" and not heard):
            raise HTTPException(422)
        to = "done" if steps[session.step + 1].kind == "done" else "next"
        if step.kind == "headphones" and sum(int(step.clips[place].system) == value for place, value in values.items()) < (
            self.study.headphones_right
        ):
            to = "again" if session.attempt < HEADPHONE_ATTEMPTS else "refused"
        last = session.step == len(self.preparation) - 1 and to == "next"
        click = Click(body.click, body.step, "next", step.kind, step.scale, item=step.source.item if step.source else None)
        self.answers.go_on(session, click, take_turn=last, to=to)


async def _participant(request: Request) -> str:
    """Read the id that the first page passes on; form fields are read without another package."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    return fields.get("participant", [""])[0][:_LONGEST_ID]


def make_app(folder: Path) -> FastAPI:
    """Make the application that serves a study.

    Raises:
        DataError: the study can't be read.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.folder, app.state.rating = folder, Rating(folder)
    app.include_router(router)
    app.add_exception_handler(404, _unknown)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(422, _refused)
    app.add_middleware(BodyLimit)
    return app


def _rating(request: Request) -> Rating:
    rating: Rating = request.app.state.rating
    return rating


Open = Annotated[Rating, Depends(_rating)]


def _unknown(request: Request, error: Exception) -> Response:
    rating = _rating(request)
    return HTMLResponse(notice(rating.study, rating.words, "unknown"), 404)


def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"saved": False}, 422)


@router.get("/")
def start(rating: Open, participant: str = "") -> HTMLResponse:
    """Give the first page."""
    return HTMLResponse(consent(rating.study, rating.words, participant[:_LONGEST_ID]))


@router.post("/begin")
def begin(rating: Open, participant: Annotated[str, Depends(_participant)]) -> RedirectResponse:
    """Begin a session, or go on with that of a participant."""
    return RedirectResponse(f"/s/{rating.answers.begin(participant)}/", 303)


@router.get("/s/{token}/")
def page(rating: Open, token: str) -> HTMLResponse:
    """Give the page of a session."""
    session = rating.session(token)
    if session.state == "refused":
        return HTMLResponse(notice(rating.study, rating.words, "sorry"))
    answered, heard = rating.answers.page(session)
    return HTMLResponse(rater_page(rating.study, rating.words, session, rating.steps(session), answered, heard))


@router.get("/s/{token}/clip/{step}/{attempt}/{place}")
def clip(rating: Open, token: str, step: int, attempt: int, place: int) -> ClipResponse:
    """Give a clip of the page of a session."""
    session = rating.session(token)
    if step != session.step or not 0 <= place < len(players := rating.steps(session)[step].players):
        raise HTTPException(404)
    response = ClipResponse(rating.folder / CLIPS / players[place].file, media_type="audio/wav")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@router.post("/s/{token}/click")
def click(rating: Open, token: str, body: AnswerBody) -> JSONResponse:
    """Store a click in a page."""
    saved = rating.store(rating.session(token), body)
    return JSONResponse({"saved": saved}, 200 if saved else 409)


@router.post("/s/{token}/next")
def go_on(rating: Open, token: str, body: ClickBody) -> JSONResponse:
    """Go on to the next page."""
    rating.go_on(rating.session(token), body)
    return JSONResponse({"saved": True})


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Give a style or a script."""
    if name not in _STATIC:
        raise HTTPException(404)
    text = (resources.files("instructme.pipelines.pages") / "templates" / name).read_bytes()
    return Response(text, media_type=_STATIC[name])
