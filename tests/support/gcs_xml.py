"""Cloud Storage's XML interface, in the part that object stores' clients speak, before a server that has only JSON.

fake-gcs-server keeps the objects and knows generations and conditions; but it takes no upload by XML, and its lists
by XML know neither where to begin nor pages. Here each such call becomes one of the JSON interface.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape

PAGE = 50
"""Names in a page of a list; the service gives 1,000, and then few tests would see a second page."""

_PASSED = ("content-type", "content-range", "etag", "last-modified", "x-goog-generation")


class Front(ThreadingHTTPServer):
    """Takes the calls of clients.

    Attributes:
      assembled: names of the objects that were put in parts.
      authorizations: what clients said of themselves, in the order of the calls.
      uploading: set when the bytes of an upload begin to come in, while `stalled` is set.
      stalled: while set, an upload is never finished: its bytes are read, and kept nowhere.
    """

    daemon_threads = True

    def __init__(self, upstream: int) -> None:
        self.upstream, self.parts, self.lock = upstream, dict[str, dict[int, bytes]](), threading.Lock()
        self.assembled: list[str] = []
        self.authorizations: list[str | None] = []
        self.stalled, self.uploading = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Call)


class Call(BaseHTTPRequestHandler):
    """One call of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each body waits for the headers before it to be acknowledged
    server: Front

    def do_GET(self) -> None:
        """An object or a part of it, or a list of names."""
        if self.path.startswith("/storage/") or self.name:
            self.pass_on()
        else:
            self.list_names()

    def do_DELETE(self) -> None:
        """Removes an object, or gives a put in parts up."""
        if upload := self.asked.get("uploadId"):
            self.server.parts.pop(upload, None)
            self.answer(204)
        else:
            self.pass_on()

    def do_PUT(self) -> None:
        """A whole object, or one part of it."""
        data = self.body()
        if self.server.stalled.is_set():
            self.server.uploading.set()
            self.close_connection = True
        elif upload := self.asked.get("uploadId"):
            with self.server.lock:
                self.server.parts[upload][int(self.asked["partNumber"])] = data
            self.answer(200, headers={"ETag": f'"{self.asked["partNumber"]}"'})
        else:
            self.upload(data)

    def do_POST(self) -> None:
        """Begins or ends a put in parts; or is of the JSON interface already."""
        if self.path.startswith("/storage/"):
            self.pass_on()
        elif "uploads" in self.asked:
            upload = uuid.uuid4().hex
            self.server.parts[upload] = {}
            self.answer(200, _xml("InitiateMultipartUploadResult", UploadId=upload))
        else:
            self.body()
            parts = self.server.parts.pop(self.asked["uploadId"])
            self.server.assembled.append(self.name)
            self.upload(b"".join(parts[number] for number in sorted(parts)))

    do_HEAD = do_GET  # noqa: N815 - named by the base class

    @property
    def asked(self) -> dict[str, str]:
        """The query of the address."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, True).items()}

    @property
    def bucket(self) -> str:
        return unquote(urlsplit(self.path).path.split("/")[1])

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.path).path.lstrip("/").partition("/")[2])

    def body(self) -> bytes:
        """The bytes that came with the call."""
        self.server.authorizations.append(self.headers["Authorization"])
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def upload(self, data: bytes) -> None:
        """Makes bytes an object, on the condition that the client gave."""
        asked = {"uploadType": "media", "name": self.name}
        if (generation := self.headers["x-goog-if-generation-match"]) is not None:
            asked["ifGenerationMatch"] = generation
        status, _, answer = self.ask("POST", f"/upload/storage/v1/b/{self.bucket}/o?{urlencode(asked)}", data)
        if status != 200:
            self.answer(status, answer)
            return
        made = json.loads(answer)
        self.answer(200, _xml("Result", ETag=made["etag"]), _marks(made["etag"], made["generation"]))

    def list_names(self) -> None:
        """A page of names, from where the client says."""
        asked: dict[str, str] = {name: value for name, value in self.asked.items() if name in ("prefix", "delimiter")}
        asked["maxResults"] = self.asked.get("max-keys", str(PAGE))
        if after := self.asked.get("start-after"):
            asked["startOffset"] = f"{after}\0"
        if token := self.asked.get("continuation-token"):
            asked["pageToken"] = token
        status, _, answer = self.ask("GET", f"/storage/v1/b/{self.bucket}/o?{urlencode(asked)}")
        self.answer(status, _listed(json.loads(answer)) if status == 200 else answer)

    def pass_on(self) -> None:
        """The same call, as the JSON interface has it."""
        path = self.path
        if not path.startswith("/storage/"):
            path = f"/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}?alt=media"
        status, headers, answer = self.ask(self.command, path, self.body())
        size = {"Content-Length": headers["content-length"]} if self.command == "HEAD" else {}
        self.answer(status, answer, {name: headers[name] for name in _PASSED if name in headers} | size)

    def ask(self, method: str, path: str, data: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Asks the server behind: status, headers in small letters, body."""
        connection = HTTPConnection("127.0.0.1", self.server.upstream)
        told = {name: self.headers[name] for name in ("Range", "Content-Type") if self.headers[name]}
        connection.request(method, path, data, told)
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def answer(self, status: int, data: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Sends an answer; HEAD's has no body, whatever its length."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _listed(found: dict[str, Any]) -> bytes:
    """A page of the JSON interface, as XML has it."""
    objects = "".join(
        f"<Contents><Key>{escape(each['name'])}</Key><Generation>{each['generation']}</Generation><LastModified>"
        f'{each["updated"]}</LastModified><ETag>"{each["etag"]}"</ETag><Size>{each["size"]}</Size></Contents>'
        for each in found.get("items", ())
    )
    folders = (
        f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in found.get("prefixes", ())
    )
    token = found.get("nextPageToken", "")
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{escape(token)}</NextContinuationToken>"
    return f"<ListBucketResult>{objects}{''.join(folders)}{more if token else ''}</ListBucketResult>".encode()


def _marks(etag: str, generation: str) -> dict[str, str]:
    return {"ETag": f'"{etag}"', "x-goog-generation": generation}


def _xml(name: str, **values: str) -> bytes:
    """An element with some others in it."""
    inner = "".join(f"<{each}>{escape(value)}</{each}>" for each, value in values.items())
    return f"<{name}>{inner}</{name}>".encode()
