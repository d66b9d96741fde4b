"""One file over HTTP, in as many attempts as it takes; each gets only what is not on disk yet.

Beside the partial file lies `<partial file>.json`, which says which version of which file it is the
start of.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import urlsplit

from distillweighted import __version__
from distillweighted.errors import DataError
from distillweighted.files.downloads.archives import DISK_FULL, check_space, format_bytes

TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
"""HTTP answers after which the same request may work later."""

_CHUNK = 1 << 18


class Interrupted(Exception):
    """An attempt failed and another one may do better."""


class _Changed(Exception):
    """The partial file is not the start of what the server has."""


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class _Version:
    """What a server said of a file: a partial download is the start of this version only."""

    url: str
    tag: str | None
    modified: str | None
    total: int | None

    @classmethod
    def of(cls, url: str, headers: Message) -> _Version:
        length = headers.get("Content-Length", "")
        known = re.fullmatch("[0-9]{1,18}", length) and "Transfer-Encoding" not in headers
        total = int(length) if known else None
        return cls(url, headers.get("ETag"), headers.get("Last-Modified"), total)

    @property
    def validator(self) -> str | None:
        """What `If-Range` takes: no weak tag."""
        weak = self.tag is None or self.tag.startswith("W/")
        return self.modified if weak else self.tag

    def differs(self, other: _Version) -> bool:
        """Whether the headers show another version; machines of one site may differ in times."""
        if self.tag and other.tag:
            return self.tag != other.tag
        return bool(self.modified and other.modified and self.modified != other.modified)


class Transfer:
    """Brings the bytes of a file to its partial file, in as many attempts as it takes.

    Args:
        url: Address.
        partial: The partial file.
        verified: Whether a checksum will be compared.
        size: Bytes of the file, roughly, where known.
        progress: See `download`.
    """

    def __init__(
        self,
        url: str,
        partial: Path,
        verified: bool,
        size: int | None,
        progress: Callable[[int, int | None], None] | None,
    ):
        self.url, self.partial = url, partial
        self._note = partial.with_name(partial.name + ".json")
        self._verified, self._size = verified, size
        self._progress = progress or (lambda done, total: None)
        self._opener = urllib.request.build_opener(_WebRedirects)

    def attempt(self, timeout: float) -> None:
        """Get all that is missing.

        Raises:
            Interrupted: Where another attempt may help.
            DataError: Where it will not.
        """
        try:
            self._attempt(timeout)
        except _Changed:
            # Nothing is asked to continue now, so this cannot happen twice.
            self.discard()
            self._attempt(timeout)

    def bytes_on_disk(self) -> int:
        """Bytes of the partial file."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    def discard(self) -> None:
        """Remove the partial file and the note beside it."""
        self.partial.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _attempt(self, timeout: float) -> None:
        version, offset = self._resumable()
        if version is not None and version.total == offset:
            return
        headers = {"User-Agent": f"distillweighted/{__version__}", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if version.validator is not None:
                headers["If-Range"] = version.validator
        request = urllib.request.Request(self.url, headers=headers)
        try:
            response = self._opener.open(request, timeout=timeout)
        except (OSError, http.client.HTTPException) as error:
            self._explain(error, offset)
        with response:
            if offset and response.status == 206:
                total = self._check_part(response.headers, version, offset)
            elif response.status == 200:
                # The whole file: the server takes no ranges, or has another version by now.
                self.discard()
                version = _Version.of(self.url, response.headers)
                offset, total = 0, version.total
                # Before the first byte: a partial file without its note is never continued.
                self._note.write_text(json.dumps(asdict(version)), encoding="utf-8")
            else:
                raise DataError(
                    f"{self.url}: the server gives the unexpected answer {response.status}"
                )
            left = (total if total is not None else self._size or offset) - offset
            check_space(self.partial.parent, max(left, 0), f"the rest of {self.url}")
            self._receive(response, offset, total)

    def _resumable(self) -> tuple[_Version | None, int]:
        """The version that the partial file is the start of, and how much of it is there."""
        offset = self.bytes_on_disk()
        try:
            version = _Version(**json.loads(self._note.read_text(encoding="utf-8")))
            too_long = version.total is not None and offset > version.total
        except (OSError, ValueError, TypeError):
            return None, 0
        if not self.partial.exists() or version.url != self.url or too_long:
            return None, 0
        # Two versions spliced together would go unnoticed.
        if version.validator is None and not self._verified and offset != version.total:
            return None, 0
        return version, offset

    def _check_part(self, headers: Message, version: _Version, offset: int) -> int | None:
        """The total size, where a partial answer continues the partial file."""
        content_range = headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\*)", content_range.strip())
        total = int(match[2]) if match and match[2] != "*" else version.total
        answer = _Version.of(self.url, headers)
        if (
            match is None
            or int(match[1]) != offset
            or version.total not in (None, total)
            or answer.differs(version)
        ):
            raise _Changed
        return total

    def _receive(self, response: http.client.HTTPResponse, offset: int, total: int | None) -> None:
        received = offset
        self._progress(received, total)
        # Unbuffered: what is on disk is exactly what was received, also when the disk is full.
        with open(self.partial, "ab", buffering=0) as file:
            while True:
                try:
                    block = response.read(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise Interrupted(f"the connection broke ({error!r})") from error
                if not block:
                    break
                self._append(file, block, total)
                received += len(block)
                self._progress(received, total)
            if total is not None and received < total:
                raise Interrupted(f"the connection ended after {received:,} of {total:,} bytes")
            chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
            if total is None and not chunked and not self._verified:
                raise DataError(
                    f"{self.url}: the server does not say how long the file is and no checksum of "
                    "it is known, so nobody can tell whether it is complete; get it by hand"
                )
            os.fsync(file.fileno())
        if self.bytes_on_disk() != received or (total is not None and received > total):
            self.discard()
            raise DataError(
                f"{self.partial} became longer than what was downloaded: another process writes to "
                "it, or the server sends too much; it was removed, start again"
            )

    def _append(self, file: IO[bytes], block: bytes, total: int | None) -> None:
        view = memoryview(block)
        try:
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            of_total = f" of {format_bytes(total)}" if total is not None else ""
            raise DataError(
                f"the disk is full: {format_bytes(self.bytes_on_disk())}{of_total} of {self.url} "
                f"are in {self.partial}. Make room on that disk and start again; the download "
                "continues from there"
            ) from error

    def _explain(self, error: OSError | http.client.HTTPException, offset: int) -> NoReturn:
        """Raise what a failed request means."""
        if isinstance(error, urllib.error.HTTPError):
            error.close()
            if error.code == 416 and offset:
                raise _Changed from error
            answer = f"the server answers {error.code} {error.reason}".rstrip()
            if error.code in TRANSIENT_STATUS:
                raise Interrupted(answer) from error
            raise DataError(
                f"{self.url}: {answer}; open the address in a browser to see what has become of it"
            ) from error
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, ssl.SSLCertVerificationError | http.client.InvalidURL):
            raise DataError(f"{self.url}: no connection is possible ({reason})") from error
        raise Interrupted(f"no connection ({reason!r})") from error


def check_url(url: str) -> None:
    """Check that an address is a web site's, and not that of a local file.

    Raises:
        DataError: Where it is not.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable or re.search("[^!-~]", url):
        raise DataError(f"{url!r} is no http or https address; nothing else is downloaded")
