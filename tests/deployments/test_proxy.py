"""The sample of a proxy with TLS, in a real nginx before a server that tells what it was asked."""

from __future__ import annotations

import getpass
import http.client
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from distributed.security import Security

from flows.terminal.loopback import free_port

SAMPLE = Path(__file__).parents[2] / "deployments" / "team" / "nginx.conf"
NAME = "qsm.example.org"
_NGINX = """\
user {user};  # reaches the folder of the test
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/qsm.conf;
}}
"""

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (Debian: nginx-light)"
)


class _Tell(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = len(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        shown = {"path": self.path, "headers": dict(self.headers), "length": length}
        text = json.dumps(shown).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: object) -> None:
        """Print nothing."""


@dataclass(frozen=True)
class Proxy:
    plain: int
    secure: int
    context: ssl.SSLContext

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> dict:
        """Return what the server behind the proxy was asked."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.secure, timeout=30, context=self.context
        )
        try:
            connection.request(method, path, body, {"Host": NAME, **headers})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return {**json.loads(text), "hsts": answer.headers["Strict-Transport-Security"]}
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    behind = ThreadingHTTPServer(("127.0.0.1", 0), _Tell)
    thread = threading.Thread(target=behind.serve_forever)
    thread.start()
    made = Security.temporary()  # has a certificate that is signed by itself
    (folder / "cert.pem").write_text(made.tls_ca_file)
    (folder / "key.pem").write_text(made.tls_scheduler_key)
    plain, secure = free_port(), free_port()
    text = SAMPLE.read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        f"/etc/ssl/certs/{NAME}.pem": str(folder / "cert.pem"),
        f"/etc/ssl/private/{NAME}.key": str(folder / "key.pem"),
        "http://127.0.0.1:4200": f"http://127.0.0.1:{behind.server_port}",
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "qsm.conf").write_text(text)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=getpass.getuser()))
    context = ssl.create_default_context(cadata=made.tls_ca_file)
    context.check_hostname = False  # the certificate is for Dask
    nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    try:
        _wait_for(folder / "pid", nginx)
        yield Proxy(plain, secure, context)
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)
        behind.shutdown()
        thread.join()
        behind.server_close()


def _wait_for(pid: Path, nginx: subprocess.Popen[bytes]) -> None:
    """Wait until nginx listens: it does before it writes its process id."""
    deadline = time.monotonic() + 60
    while not pid.exists():
        assert nginx.poll() is None, "nginx has refused the sample"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_server_is_reached_over_tls_and_knows_it(proxy: Proxy) -> None:
    shown = proxy.ask("GET", "/api/health?a=b")
    assert shown["path"] == "/api/health?a=b"
    assert shown["headers"]["Host"] == NAME
    assert shown["headers"]["X-Forwarded-Proto"] == "https"
    assert shown["headers"]["Connection"] == "close"
    assert shown["hsts"]


def test_a_websocket_is_handed_on(proxy: Proxy) -> None:
    shown = proxy.ask("GET", "/api/events/out", Connection="Upgrade", Upgrade="websocket")
    assert shown["headers"]["Upgrade"] == "websocket"
    assert shown["headers"]["Connection"] == "upgrade"


def test_login_and_a_large_artifact_come_through(proxy: Proxy) -> None:
    shown = proxy.ask("POST", "/api/artifacts/", b"x" * 5_000_000, Authorization="Basic abc")
    assert shown["length"] == 5_000_000
    assert shown["headers"]["Authorization"] == "Basic abc"


def test_without_tls_nothing_is_served(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain, timeout=30)
    try:
        connection.request("GET", "/api/health", headers={"Host": NAME})
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/api/health"
