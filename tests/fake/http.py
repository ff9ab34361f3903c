"""A small HTTP/1.1 server on asyncio that can misbehave exactly.

It owns sockets and bytes only: it reads one request at a time, asks a handler for a
Response, and puts that on the wire in the way the response asks for (Response.wire).
Platforms (base.py) decide what to answer; scripts (script.py) decide how to misbehave.
"""
import asyncio
import json
import socket
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

MAX_HEAD = 64 * 1024
MAX_BODY = 8 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"
WIRES = ("send", "drop", "reset", "hang", "drip", "half_close", "truncate", "raw")


class BadRequest(Exception):
    """The bytes on the wire are not a request that this server reads."""


@dataclass
class Request:
    method: str
    target: str
    headers: list
    body: bytes
    connection: int = 0

    @property
    def path(self):
        return unquote(self.target.partition("?")[0])

    @property
    def raw_query(self):
        return self.target.partition("?")[2]

    @property
    def query_pairs(self):
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @property
    def query(self):
        return first_values(self.query_pairs)

    def query_all(self, name):
        return [value for key, value in self.query_pairs if key == name]

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    @property
    def media_type(self):
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def form_pairs(self):
        """The fields of a form body; nothing for any other media type."""
        if self.media_type != FORM:
            return []
        return parse_qsl(self.body.decode("latin-1"), keep_blank_values=True)

    @property
    def form(self):
        return first_values(self.form_pairs)

    @property
    def form_repeats(self):
        names = [name for name, _ in self.form_pairs]
        return len(names) != len(set(names))

    def json(self):
        """The JSON body, or None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def bearer(self, *schemes):
        """The credential of an Authorization header with one of these schemes."""
        scheme, _, value = (self.header("authorization") or "").partition(" ")
        allowed = [name.lower() for name in (schemes or ("Bearer",))]
        return value.strip() if scheme.lower() in allowed and value.strip() else None


def first_values(pairs):
    out = {}
    for key, value in pairs:
        out.setdefault(key, value)
    return out


@dataclass
class Response:
    """What to answer, and how to put it on the wire.

    wire: ``send`` plainly; ``drop`` close without a byte; ``reset`` RST; ``hang`` say
    nothing until the client leaves or hold_s passed; ``drip`` a byte every interval_s;
    ``half_close`` promise the whole body, send half, FIN; ``truncate`` half the body with
    a matching Content-Length; ``raw`` the bytes of raw as they are.
    """

    status: int = 200
    body: bytes = b""
    headers: list = field(default_factory=list)
    wire: str = "send"
    delay_s: float = 0.0
    interval_s: float = 1.0
    hold_s: float = 600.0
    raw: bytes = b""

    def head(self, date, close):
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unknown"
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        names = {name.lower() for name, _ in self.headers}
        lines += [f"{name}: {value}" for name, value in self.headers]
        if "date" not in names:
            lines.append(f"Date: {date}")
        framed = names & {"content-length", "transfer-encoding"}
        if not framed and self.status not in (204, 304):
            lines.append(f"Content-Length: {len(self.body)}")
        if close:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_response(status, value, headers=(), content_type="application/json"):
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(status, body, [("Content-Type", content_type), *headers])


def text_response(status, text, content_type="text/plain; charset=utf-8"):
    return Response(status, text.encode(), [("Content-Type", content_type)])


def html_response(status, html):
    return text_response(status, html, "text/html; charset=utf-8")


def redirect_response(location):
    return Response(302, b"", [("Location", location), ("Cache-Control", "no-store")])


async def read_head(reader):
    """The request line and headers, or None when the client is gone between requests."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as err:
        if err.partial:
            raise BadRequest("cut off in the head") from err
        return None
    except asyncio.LimitOverrunError as err:
        raise BadRequest("head too long") from err
    lines = head[:-4].decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest("request line")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest("header line")
        headers.append((name, value.strip(" \t")))
    return parts[0], parts[1], headers


async def read_chunked(reader):
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n"))[:-2].partition(b";")[0], 16)
        if len(body) + size > MAX_BODY:
            raise BadRequest("body too long")
        if size == 0:
            break
        body += await reader.readexactly(size)
        if await reader.readexactly(2) != b"\r\n":
            raise BadRequest("chunk end")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return body


async def read_request(reader, writer, connection):
    """One request; None at an orderly end; BadRequest when it is not legal HTTP/1.x."""
    head = await read_head(reader)
    if head is None:
        return None
    request = Request(*head, b"", connection)
    if (request.header("expect") or "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            request.body = await read_chunked(reader)
        else:
            length = int(request.header("content-length") or 0)
            if length < 0 or length > MAX_BODY:
                raise BadRequest("content-length")
            request.body = await reader.readexactly(length)
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as err:
        raise BadRequest("body") from err
    return request


async def wait_for_end(reader, seconds):
    """Reads and drops until the client closes or the time is up."""
    async def drain():
        while await reader.read(65536):
            pass
    try:
        await asyncio.wait_for(drain(), seconds)
    except (asyncio.TimeoutError, OSError):
        pass


def abort_with_reset(writer):
    sock = writer.get_extra_info("socket")
    if sock is not None:
        linger = struct.pack("ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def write_response(reader, writer, response, date, close):
    """Puts the response on the wire; True when the connection may serve another request."""
    if response.delay_s:
        await asyncio.sleep(response.delay_s)
    if response.wire == "drop":
        return False
    if response.wire == "reset":
        abort_with_reset(writer)
        return False
    if response.wire == "hang":
        await wait_for_end(reader, response.hold_s)
        return False
    if response.wire == "raw":
        writer.write(response.raw)
        await writer.drain()
        return False
    if response.wire == "truncate":
        response.body = response.body[: len(response.body) // 2]
    data = response.head(date, close) + response.body
    if response.wire == "drip":
        for byte in data:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(response.interval_s)
        return not close
    if response.wire == "half_close":
        writer.write(data[: len(data) - (len(response.body) + 1) // 2])
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
            await wait_for_end(reader, response.hold_s)
        return False
    writer.write(data)
    await writer.drain()
    return not close


class Listener:
    """One listening address. handler: async (Request) -> Response; date: () -> str."""

    def __init__(self, handler, date, host="127.0.0.1", port=0, tls=None):
        self.handler, self.date = handler, date
        self.host, self.port, self.tls = host, port, tls
        self.server = None
        self.accepted = self.open = 0

    async def start(self):
        self.server = await asyncio.start_server(
            self._serve, self.host, self.port, limit=MAX_HEAD, ssl=self.tls, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        """Accepts no more. The connections end with the loop (LoopThread.stop)."""
        for sock in self.server.sockets:
            asyncio.get_running_loop().remove_reader(sock.fileno())
        await asyncio.sleep(0)      # a closed server forgets what it has just accepted
        self.server.close()

    async def _serve(self, reader, writer):
        self.accepted += 1
        self.open += 1
        try:
            await self._requests(reader, writer, self.accepted)
        except OSError:
            pass
        except asyncio.CancelledError:
            writer.transport.abort()        # nothing waits for a client that does not read
        finally:
            self.open -= 1
            writer.close()

    async def _requests(self, reader, writer, connection):
        while True:
            try:
                request = await read_request(reader, writer, connection)
            except BadRequest as err:
                bad = text_response(400, f"Bad Request: {err}\n")
                await write_response(reader, writer, bad, self.date(), True)
                return
            if request is None:
                return
            response = await self.handler(request)
            close = (request.header("connection") or "").lower() == "close"
            if not await write_response(reader, writer, response, self.date(), close):
                return
