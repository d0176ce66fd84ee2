"""The web application: server-rendered pages over one workspace, in Japanese and English."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from apps.look.pages import environment, style_sheet
from apps.look.wording import LANGS, Lang, Text
from apps.pdf import render_certificate, render_statement
from apps.report.figures import interval_g, interval_rows, steps_of_claim
from apps.report.page import policy_text
from apps.report.stored import report_of_claim
from apps.web.reads import NotFound, Reader
from apps.web.uploads import UploadRefused, Waiting, receive, too_large
from flows.catalogue import CatalogueError
from flows.settings import Workspace
from flows.work.surveys import check_survey, submit_survey
from models.errors import SatoyamaError

PIECE = 1 << 20
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
log = logging.getLogger(__name__)


class Pages:
    """Renders templates in the reader's language."""

    def __init__(self, ws: Workspace, reader: Reader) -> None:
        self.ws, self.reader = ws, reader
        self.environments = {lang: environment(lang, "apps.web") for lang in LANGS}

    def lang(self, request: Request) -> Lang:
        """``?lang=``, else the browser's first language of ours, else the workspace's."""
        asked = request.query_params.get("lang")
        if asked in LANGS:
            return "ja" if asked == "ja" else "en"
        for part in request.headers.get("accept-language", "").split(","):
            tag = part.split(";")[0].strip().lower()[:2]
            if tag in LANGS:
                return "ja" if tag == "ja" else "en"
        return self.ws.settings.language

    def render(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        lang = self.lang(request)
        asked = request.query_params.get("lang") in LANGS
        values = {
            "simulated": False,
            "stale": self.reader.stale,
            "path": request.url.path,
            "link": lambda path: f"{path}?lang={lang}" if asked else path,
            **values,
        }
        return HTMLResponse(self.environments[lang].get_template(name).render(**values), status)

    def error(
        self, request: Request, status: int, title: Text, error: SatoyamaError | None = None
    ) -> HTMLResponse:
        return self.render(request, "error.html", status, title=title, error=error)


def create_app(workspace: Workspace) -> FastAPI:
    """The application over one workspace.

    Parameters
    ----------
    workspace : Workspace
        Catalogue, objects and chain are read from it; surveys handed in are stored in it.
    """
    app = FastAPI(title="Satoyama MRV", docs_url=None, redoc_url=None, openapi_url=None)
    reader = Reader(workspace)
    pages = Pages(workspace, reader)
    _guard(app, pages)
    _reading(app, pages, reader)
    _papers(app, workspace, pages, reader)
    _uploading(app, workspace, pages, reader)
    return app


def _guard(app: FastAPI, pages: Pages) -> None:
    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") not in (
            "same-origin",
            "none",
        ):
            # A form on another site must not hand in a survey in the reader's name.
            return pages.error(request, 403, Text("Sent from another site", "別のサイトからの送信です"))
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(SatoyamaError)
    async def refused(request: Request, error: SatoyamaError) -> HTMLResponse:
        if isinstance(error, NotFound | CatalogueError):
            return pages.error(request, 404, Text("Not found", "見つかりません"), error)
        if isinstance(error, UploadRefused):
            return pages.error(
                request, 400, Text("The upload was not taken", "アップロードを受け付けられません"), error
            )
        log.warning("%s: %s", request.url.path, error.en)
        return pages.error(request, 409, Text("This cannot be shown", "表示できません"), error)

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> HTMLResponse:
        if error.status_code == 404:
            return pages.error(request, 404, Text("There is no such page", "このページはありません"))
        return pages.error(request, error.status_code, Text("This cannot be done", "実行できません"))


def _reading(app: FastAPI, pages: Pages, reader: Reader) -> None:
    @app.get("/style.css")
    def style() -> Response:
        return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "max-age=300"})

    @app.get("/", response_class=HTMLResponse)
    def home(request: Request) -> HTMLResponse:
        reader.refresh()
        projects = reader.projects()
        return pages.render(
            request, "home.html", projects=projects, simulated=any(p.simulated for p in projects)
        )

    @app.get("/projects/{project_id}", response_class=HTMLResponse)
    def project(request: Request, project_id: str) -> HTMLResponse:
        reader.refresh()
        page = reader.project(project_id)
        return pages.render(request, "project.html", page=page, simulated=page.simulated)

    @app.get("/surveys/{survey_id}", response_class=HTMLResponse)
    def survey(request: Request, survey_id: str) -> HTMLResponse:
        row = reader.ws.catalogue.survey_row(survey_id)
        return pages.render(
            request,
            "plan.html",
            plan=row.plan_doc,
            stage="stored",
            token="",
            project_id=row.project_id,
            simulated=row.simulated,
        )

    @app.get("/batches/{batch_id}.json")
    def batch_document(batch_id: str) -> JSONResponse:
        reader.refresh()
        return JSONResponse(reader.batch(batch_id).to_doc())

    @app.get("/batches/{batch_id}", response_class=HTMLResponse)
    def batch(request: Request, batch_id: str) -> HTMLResponse:
        reader.refresh()
        page = reader.batch(batch_id)
        coverage = page.plan.interval_ppm
        rows, axis = interval_rows(page.change.plots, coverage, None)
        return pages.render(
            request,
            "batch.html",
            page=page,
            steps=steps_of_claim(page.claim),
            interval=interval_g(page.change.change, coverage),
            rows=rows,
            axis=axis,
            policy=policy_text(page.plan),
            simulated=page.simulated,
        )

    @app.get("/certificates/{certificate_id:int}", response_class=HTMLResponse)
    def certificate(request: Request, certificate_id: int) -> HTMLResponse:
        reader.refresh()
        found = reader.certificate(certificate_id)
        return pages.render(request, "certificate.html", c=found, simulated=found.simulated)


def _papers(app: FastAPI, ws: Workspace, pages: Pages, reader: Reader) -> None:
    @app.get("/batches/{batch_id}/evidence.zip")
    def evidence(batch_id: str) -> StreamingResponse:
        row = ws.catalogue.claim_row(batch_id)
        if row.bundle_digest is None:
            raise NotFound(
                en="This claim has no evidence bundle yet.", ja="この申請の証拠バンドルはまだありません。"
            )
        return StreamingResponse(
            _pieces(ws, row.bundle_digest),
            media_type="application/zip",
            headers={
                "Content-Length": str(ws.objects.size(row.bundle_digest)),
                "Content-Disposition": 'attachment; filename="evidence.zip"',
            },
        )

    @app.get("/batches/{batch_id}/report", response_class=HTMLResponse)
    def report(request: Request, batch_id: str) -> HTMLResponse:
        row, lang = ws.catalogue.claim_row(batch_id), pages.lang(request)
        kept = ws.scratch_folder / "reports" / f"{row.claim_id.removeprefix('sha256:')}.{lang}.html"
        if not kept.exists():
            part = kept.with_suffix(f".{os.getpid()}.part")
            os.replace(report_of_claim(ws, batch_id, part, tongue=lang), kept)
        return HTMLResponse(kept.read_text(encoding="utf-8"))

    @app.get("/certificates/{certificate_id:int}.pdf")
    def certificate_paper(certificate_id: int) -> Response:
        reader.refresh()
        found = reader.certificate(certificate_id)
        return _pdf(lambda path: render_certificate(found, path), f"certificate-{certificate_id}.pdf")

    @app.get("/projects/{project_id}/statement.pdf")
    def statement_paper(project_id: str) -> Response:
        reader.refresh()
        sheet = reader.project(project_id).statement
        if sheet is None:
            raise NotFound(
                en="No chain was read yet, so there is no statement.",
                ja="チェーンが未読のため、計算書はまだありません。",
            )
        return _pdf(lambda path: render_statement(sheet, path), f"statement-{project_id}.pdf")


def _pieces(ws: Workspace, digest: str) -> Iterator[bytes]:
    with ws.objects.open(digest) as path, path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _pdf(render: Callable[[Path], Path], name: str) -> Response:
    with NamedTemporaryFile(suffix=".pdf") as file:
        data = render(Path(file.name)).read_bytes()
    disposition = f"inline; filename*=UTF-8''{quote(name)}"
    return Response(data, media_type="application/pdf", headers={"Content-Disposition": disposition})


def _uploading(app: FastAPI, ws: Workspace, pages: Pages, reader: Reader) -> None:
    waiting = Waiting(ws.scratch_folder / "uploads")

    @app.get("/upload", response_class=HTMLResponse)
    def form(request: Request) -> HTMLResponse:
        return pages.render(
            request, "upload.html", projects=reader.projects(), limit=ws.settings.max_upload_bytes
        )

    @app.post("/upload", response_class=HTMLResponse)
    async def look(request: Request) -> HTMLResponse:
        limit = ws.settings.max_upload_bytes
        if int(request.headers.get("content-length") or 0) > limit:
            raise too_large(limit)
        token, place = waiting.place()
        try:
            path, fields = await receive(
                request.headers.get("content-type", ""), request.stream(), place, limit
            )
            project_id = fields.get("project_id") or None
            plan = await run_in_threadpool(check_survey, ws, path, project_id)
            if not plan.accepted:
                plan = await run_in_threadpool(submit_survey, ws, path, project_id)
        except BaseException:
            waiting.drop(token)
            raise
        stage = "look"
        if not plan.accepted:
            waiting.drop(token)
            stage = "quarantine"
        return pages.render(
            request,
            "plan.html",
            200 if plan.accepted else 422,
            plan=plan.to_doc(),
            stage=stage,
            token=token,
            project_id=project_id or "",
            simulated=plan.survey is not None and plan.survey.simulated,
        )

    @app.post("/upload/confirm", response_class=HTMLResponse)
    async def confirm(request: Request) -> Response:
        form = await request.form(max_files=0)
        token, project_id = str(form.get("token", "")), str(form.get("project_id", "")) or None
        path = waiting.find(token)
        plan = await run_in_threadpool(submit_survey, ws, path, project_id)
        waiting.drop(token)
        if plan.survey is not None:
            lang = request.query_params.get("lang")
            suffix = f"?lang={lang}" if lang in LANGS else ""
            return RedirectResponse(f"/surveys/{quote(plan.survey.survey_id)}{suffix}", status_code=303)
        return pages.render(
            request,
            "plan.html",
            422,
            plan=plan.to_doc(),
            stage="quarantine",
            token="",
            project_id=project_id or "",
        )
