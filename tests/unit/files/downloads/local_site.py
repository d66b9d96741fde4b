"""A web site on this machine for the tests of downloads: it counts what it sends and misbehaves."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """A request and its answer.

    Attributes:
        path: What was asked for.
        range: Its Range header.
        status: The answer.
        sent: Bytes of the body that were sent.
    """

    path: str
    range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class Site:
    """What the site has and how it answers.

    Attributes:
        url: Its address, without a slash at the end.
        files: Contents by path.
        plan: How the next requests are answered, one each, in order: an int is an error status or
            ("cut", n) closes the connection after n bytes of the body, ("go", url) redirects,
            "stall" never answers, "chunked" and "until closed" do not say the length, "wrong part"
            answers with another part than asked for, "long" announces and sends more than it
            should. After the last one, all goes well.
        takes_ranges: Whether it answers with parts.
        sends_tags: Whether it sends ETag and honours If-Range.
        requests: All requests so far.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    plan: list = field(default_factory=list)
    takes_ranges: bool = True
    sends_tags: bool = True
    requests: list[Request] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def sent(self) -> list[int]:
        """Bytes sent, by request."""
        return [request.sent for request in self.requests]


@contextmanager
def serving() -> Iterator[Site]:
    """A site while the block runs."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(site, self)

        def log_message(self, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(site: Site, handler: BaseHTTPRequestHandler) -> None:
    request = Request(handler.path, handler.headers.get("Range"))
    site.requests.append(request)
    step = site.plan.pop(0) if site.plan else None
    handler.close_connection = True
    if step == "stall":
        site.ended.wait(5)
        return
    headers, body = {}, b""
    content = site.files.get(handler.path)
    if isinstance(step, int):
        request.status = step
    elif isinstance(step, tuple) and step[0] == "go":
        request.status, headers = 302, {"Location": step[1]}
    elif content is None:
        request.status = 404
    else:
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        request.status, body = 200, content
        if site.sends_tags:
            headers["ETag"] = tag
        asked = re.fullmatch(r"bytes=(\d+)-", request.range or "")
        current = not site.sends_tags or handler.headers.get("If-Range") in (None, tag)
        if asked and current and site.takes_ranges:
            start = int(asked[1])
            if start >= len(content):
                request.status, body = 416, b""
            else:
                request.status, body = 206, content[start:]
                start -= step == "wrong part"
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    if step == "long":
        body += b"more"
    if step == "chunked":
        headers["Transfer-Encoding"] = "chunked"
    elif step != "until closed":
        headers["Content-Length"] = str(len(body))
    handler.send_response(request.status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if isinstance(step, tuple) and step[0] == "cut":
        body = body[: step[1]]
    request.sent = len(body)
    if step == "chunked":
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    handler.wfile.write(body)
