"""JSON-RPC over HTTP for an embedded chain, on loopback only, so that `cast` and other tools can read it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from models.errors import SatoyamaError
from registry.embedded import EmbeddedChain, wall_clock
from registry.embeddedrpc import EmbeddedRpc, RpcError
from registry.evmdb import ChainFileError

LOOPBACK = "127.0.0.1"
_MAX_BODY_BYTES = 4 * 1024 * 1024
_log = logging.getLogger(__name__)
_LOCAL_HOSTS = {LOOPBACK, "localhost"}


def answer(rpc: EmbeddedRpc, request: Any) -> Any:
    """Response document to one request document, or a list of them to a batch."""
    if isinstance(request, list) and request:
        return [answer(rpc, one) for one in request]
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        error = RpcError(-32600, "expected an object with a method")
        return {"jsonrpc": "2.0", "id": None, "error": error.to_doc()}
    response: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id")}
    params = request.get("params", [])
    try:
        params = [] if params is None else params
        if not isinstance(params, list):
            raise RpcError(-32602, "expected params as a list")
        response["result"] = rpc.handle(request["method"], params)
    except RpcError as error:
        response["error"] = error.to_doc()
    except ChainFileError as error:
        # Whoever runs the server is told as well as whoever asked.
        _log.error("%s: %s", request["method"], error)
        response["error"] = RpcError(-32603, error.en).to_doc()
    return response


class _Handler(BaseHTTPRequestHandler):
    rpc: EmbeddedRpc

    def do_POST(self) -> None:
        # A page opened in a browser must not reach the chain through a name that resolves to loopback.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        declared = self.headers.get("Content-Length") or "0"
        if host not in _LOCAL_HOSTS or self.headers.get("Origin") is not None:
            self.send_error(403)
            return
        if not (declared.isascii() and declared.isdecimal()):
            self.send_error(400)
            return
        if len(declared) > 12 or int(declared) > _MAX_BODY_BYTES:
            self.send_error(413)
            return
        try:
            request = json.loads(self.rfile.read(int(declared)))
        except (ValueError, RecursionError):
            self.send_error(400)
            return
        body = json.dumps(answer(self.rpc, request)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Raw transactions do not belong in a log."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silent where the asker went away before the answer; anything else is printed, as by the base class."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class PortTaken(SatoyamaError):
    """The server cannot listen where it should."""


def make_server(
    path: Path, port: int, *, clock: Callable[[], int] = wall_clock, host: str = LOOPBACK
) -> ThreadingHTTPServer:
    """A server bound to `port` (0 chooses one, see `server_address`); the caller runs and closes it.

    Raises
    ------
    PortTaken
        If nobody may listen there: another program does, or the port is a reserved one.
    ChainFileError
        If there is no chain at `path`.
    """
    handler = type("Handler", (_Handler,), {"rpc": EmbeddedRpc(EmbeddedChain(path, clock=clock))})
    try:
        return _Server((host, port), handler)
    except OSError as error:
        raise PortTaken(
            en=f"Nothing can listen on {host}, port {port} ({error.strerror}). Another program may be there: stop it, or choose another "
            "with --port.",
            ja=f"{host} のポート {port} で待ち受けできません（{error.strerror}）。別のプログラムが使用中なら止めるか、--port で別の"
            "ポートを指定してください。",
        ) from error


def serve(path: Path, port: int, opened: Callable[[], None] = lambda: None) -> None:
    """Serve the chain at `path` on loopback until interrupted; `opened` is called once it listens. Raises as `make_server`."""
    with make_server(path, port) as server:
        opened()
        server.serve_forever()
