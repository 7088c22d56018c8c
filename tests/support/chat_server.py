"""A real HTTP server on loopback that speaks the OpenAI chat API, with scripted replies."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What the server sends: by default a whole completion with `text`."""

    text: str | None = ""
    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    finish: str = "stop"


def failure(status: int, message: str = "scripted failure", **headers: str) -> Reply:
    """Return an error as OpenAI words it; `retry_after_ms=...` becomes a header."""
    body = json.dumps({"error": {"message": message, "type": "scripted"}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=body, headers=named)


@dataclass
class ChatServer:
    """The running server: where it is, and what it was asked."""

    base_url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        """The user turns, in order."""
        return [one["messages"][-1]["content"] for one in self.requests]


Script = Callable[[int, Mapping[str, Any]], Reply]


def in_turn(*replies: Reply | str) -> Script:
    """Return a script that gives replies one after the other, and then the last one for ever."""
    whole = [Reply(one) if isinstance(one, str) else one for one in replies]
    return lambda number, _request: whole[min(number, len(whole) - 1)]


@contextmanager
def chat_server(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[ChatServer]:
    """Run a server whose reply to request number n (from 0) is `script(n, request)`."""
    release, lock = threading.Event(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(shown.requests)
                shown.requests.append(request)
                shown.keys.append(self.headers.get("Authorization"))
            reply = script(number, request)
            if reply.hangs:
                release.wait(30)
                self.close_connection = True
                return
            body = reply.body if reply.body is not None else _completion(request, reply)
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    shown = ChatServer(f"{scheme}://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield shown
    finally:
        release.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _completion(request: Mapping[str, Any], reply: Reply) -> bytes:
    message = {"role": "assistant", "content": reply.text}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish}
    return json.dumps(
        {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": 0,
            "model": request["model"],
            "choices": [choice],
        }
    ).encode()
