"""Malformed and borderline HTTP requests, and what must become of each.

CASES is data only. A case is (name, raw, expect, code):

  name    "kind/what", unique
  raw     the bytes of one connection, addressed to HOST
  expect  an int: that status, then the connection is closed
          "ok": read as a request; the route decides what to answer
          "close": the request is never complete; nothing is answered before the
          deadline (or end of input), then the connection is closed
          a list of these: pipelined requests in this order
  code    the stable code of the refusal, None where nothing is refused

Whatever is sent in one piece, byte by byte or cut in two anywhere must end the same.
Requests with a body go to BODY_PATH with a body that this route accepts; the bodies
refused with 413 are larger than any route allows.
"""

from typing import NamedTuple, Optional, Union

HOST = b"localhost:3000"
BODY_PATH = b"/oauth/credentials/kick"
BODY = b'{"client_id":"case","client_secret":"case"}'

TARGET_MAX = 16384
REQUEST_LINE_MAX = TARGET_MAX + 64
HEADER_BYTES_MAX = 16384
HEADER_LINES_MAX = 64

Expect = Union[int, str, list]


class Case(NamedTuple):
    name: str
    raw: bytes
    expect: Expect
    code: Optional[str] = None


CASES: list[Case] = []


def for_host(raw: bytes, host: bytes) -> bytes:
    """The bytes of a case for a server that listens elsewhere."""
    return raw.replace(HOST, host)


def add(name: str, raw: bytes, expect: Expect, code: Optional[str] = None) -> None:
    CASES.append(Case(name, raw, expect, code))


def head(*lines: bytes, line: bytes = b"GET /healthz HTTP/1.1", host: bool = True) -> bytes:
    """A head of this request line, a Host and the given header lines."""
    first = [line] + ([b"Host: " + HOST] if host else [])
    return b"\r\n".join([*first, *lines, b"", b""])


def post(*lines: bytes, version: bytes = b"1.1", host: bool = True) -> bytes:
    return head(
        b"Content-Type: application/json",
        *lines,
        line=b"POST " + BODY_PATH + b" HTTP/" + version,
        host=host,
    )


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked") + body


LENGTH = b"Content-Length: %d" % len(BODY)
ONE_CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
GET = head()
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"


def request_line(line: bytes) -> bytes:
    return head(line=line)


# ---- plain requests that must be read ----

add("plain/get", GET, "ok")
add("plain/http-1.0", request_line(b"GET /healthz HTTP/1.0"), "ok")
add("plain/http-1.0-length", post(LENGTH, version=b"1.0") + BODY, "ok")
add("plain/http-1.0-keep-alive-is-closed", head(b"Connection: keep-alive",
    line=b"GET /healthz HTTP/1.0") + GET, ["ok"])
add("plain/head", request_line(b"HEAD /healthz HTTP/1.1"), "ok")
add("plain/delete", request_line(b"DELETE /oauth/kick/nobody HTTP/1.1"), "ok")
add("plain/options", request_line(b"OPTIONS /healthz HTTP/1.1"), "ok")
add("plain/put", request_line(b"PUT /healthz HTTP/1.1"), "ok")
add("plain/patch", request_line(b"PATCH /healthz HTTP/1.1"), "ok")
add("plain/post-length", post(LENGTH) + BODY, "ok")
add("plain/post-chunked", chunked(ONE_CHUNK + b"0\r\n\r\n"), "ok")
add("plain/post-without-body", post(), "ok")
add("plain/post-length-zero", post(b"Content-Length: 0"), "ok")
add("plain/get-length-zero", head(b"Content-Length: 0"), "ok")
add("plain/connection-close", head(b"Connection: close") + GET, ["ok"])
add("plain/connection-keep-alive", head(b"Connection: keep-alive"), "ok")
add("plain/expect-continue", post(b"Expect: 100-continue", LENGTH) + BODY, "ok")
add("plain/root", request_line(b"GET / HTTP/1.1"), "ok")

# ---- request line ----

add("line/empty-first", b"\r\n" + GET, 400, "leading_line_break")
add("line/two-empty-first", b"\r\n\r\n" + GET, 400, "leading_line_break")
add("line/lf-first", b"\n" + GET, 400, "leading_line_break")
add("line/cr-first", b"\r" + GET, 400, "leading_line_break")
add("line/space-first", b" " + GET, 400, "bad_method")
add("line/tab-first", b"\t" + GET, 400, "bad_method")
add("line/nul-first", b"\0" + GET, 400, "bad_method")
add("line/byte-order-mark", b"\xef\xbb\xbf" + GET, 400, "bad_method")
add("line/tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_method")
add("line/ssh-banner", b"SSH-2.0-OpenSSH_9.2\r\n", 400, "bad_request_line")
add("line/http-0.9", b"GET /healthz\r\n", 400, "bad_request_line")
add("line/http-0.9-space", b"GET /healthz \r\n", 400, "bad_version")
add("line/method-only", request_line(b"GET"), 400, "bad_request_line")
add("line/method-and-space", request_line(b"GET "), 400, "bad_request_line")
add("line/no-target", request_line(b"GET HTTP/1.1"), 400, "bad_request_line")
add("line/two-spaces", request_line(b"GET  /healthz HTTP/1.1"), 400, "bad_request_line")
add("line/two-spaces-before-version", request_line(b"GET /healthz  HTTP/1.1"), 400, "bad_version")
add("line/tab-after-method", request_line(b"GET\t/healthz HTTP/1.1"), 400, "bad_method")
add("line/tab-before-version", request_line(b"GET /healthz\tHTTP/1.1"), 400, "bad_request_line")
add("line/space-at-end", request_line(b"GET /healthz HTTP/1.1 "), 400, "bad_version")
add("line/more-words", request_line(b"GET /healthz HTTP/1.1 x"), 400, "bad_version")
add("line/space-in-target", request_line(b"GET /a b HTTP/1.1"), 400, "bad_version")
add("line/bare-lf", b"GET /healthz HTTP/1.1\nHost: " + HOST + b"\n\n", 400, "bare_line_feed")
add("line/bare-lf-once", b"GET /healthz HTTP/1.1\nHost: " + HOST + b"\r\n\r\n", 400, "bare_line_feed")
add("line/bare-cr", b"GET /healthz HTTP/1.1\rHost: " + HOST + b"\r\n\r\n", 400, "bad_version")
add("line/cr-cr-lf", b"GET /healthz HTTP/1.1\r\r\nHost: " + HOST + b"\r\n\r\n", 400, "bad_version")
add("line/nul-at-end", request_line(b"GET /healthz HTTP/1.1\0"), 400, "bad_version")
add("line/cut-in-method", b"GE", "close")
add("line/cut-in-target", b"GET /heal", "close")
add("line/cut-before-lf", b"GET /healthz HTTP/1.1\r", "close")
add("line/only", b"GET /healthz HTTP/1.1\r\n", "close")
add("line/nothing", b"", "close")

# ---- methods ----

for method in (b"CONNECT", b"TRACE", b"TRACK", b"PROPFIND", b"PURGE", b"DEBUG", b"get", b"Get",
               b"GETS", b"GE", b"POST2", b"M-SEARCH", b"!#$%&'*+-.^_`|~9"):
    add("method/unknown-" + method.decode(), request_line(method + b" /healthz HTTP/1.1"), 501,
        "unknown_method")
add("method/connect-authority", request_line(b"CONNECT localhost:3000 HTTP/1.1"), 501,
    "unknown_method")
for name, method in (("paren", b"G(T"), ("slash", b"GET/"), ("comma", b"GET,POST"),
                     ("quote", b'"GET"'), ("nul", b"G\0T"), ("high", b"G\xc9T"), ("del", b"G\x7fT"),
                     ("colon", b"GET:"), ("brace", b"{GET}"), ("at", b"G@T")):
    add("method/no-token-" + name, request_line(method + b" /healthz HTTP/1.1"), 400, "bad_method")
add("method/endless", b"A" * (REQUEST_LINE_MAX + 2), 400, "bad_request_line")
add("method/long-unknown", request_line(b"A" * 1000 + b" / HTTP/1.1"), 501, "unknown_method")

# ---- versions ----

for version in (b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/0.9", b"HTTP/0.1",
                b"HTTP/9.9"):
    add("version/" + version.decode().lower(), request_line(b"GET /healthz " + version), 505,
        "unsupported_version")
for version in (b"HTTP/1", b"HTTP/1.", b"HTTP/1.10", b"HTTP/11.1", b"HTTP/1,1", b"HTTP/.1",
                b"HTTP1.1", b"http/1.1", b"Http/1.1", b"HTTPS/1.1", b"HTTP/1.1x", b"HTTP/x.y",
                b"HTTP /1.1", b"HTTP/ 1.1", b"ICY/1.1", b"HTTP/1.01", b"HTTP/-1.1", b"1.1",
                b"HTTP/1.\xb1", b"HTTP/1.\xd9\xa1"):
    add("version/ill-" + repr(version)[2:-1], request_line(b"GET /healthz " + version), 400,
        "bad_version")
add("version/h2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", 505,
    "unsupported_version")

# ---- targets ----

for name, target in (
        ("absolute", b"http://localhost:3000/healthz"), ("absolute-evil", b"http://evil.test/"),
        ("absolute-https", b"https://localhost/"), ("authority", b"localhost:3000"),
        ("asterisk", b"*"), ("relative", b"healthz"), ("dot", b"./healthz"), ("query", b"?a=b"),
        ("escape", b"%2fhealthz"), ("backslash", b"\\healthz"), ("star-path", b"*/healthz")):
    add("target/" + name, request_line(b"GET " + target + b" HTTP/1.1"), 400, "bad_target")
add("target/options-asterisk", request_line(b"OPTIONS * HTTP/1.1"), 400, "bad_target")
for name, target in (
        ("fragment", b"/healthz#top"), ("fragment-in-query", b"/healthz?a#b"),
        ("nul", b"/heal\0thz"), ("soh", b"/\x01"), ("esc", b"/\x1b[2J"), ("del", b"/\x7f"),
        ("tab-inside", b"/a\tb"), ("bare-cr", b"/a\rb"), ("utf-8", b"/caf\xc3\xa9"),
        ("latin-1", b"/caf\xe9"), ("high", b"/\xff"), ("quote", b'/"a"'), ("less", b"/<a"),
        ("greater", b"/a>"), ("backslash-inside", b"/..\\..\\etc"), ("caret", b"/a^b"),
        ("backtick", b"/a`b"), ("brace", b"/{a}"), ("bar", b"/a|b"), ("bracket", b"/a[0]"),
        ("bracket-in-query", b"/a?b[]=c"), ("high-in-query", b"/a?b=\x80"),
        ("nul-in-query", b"/a?b=\0")):
    add("target/byte-" + name, request_line(b"GET " + target + b" HTTP/1.1"), 400,
        "bad_target_byte")
for name, target in (
        ("nul", b"/a%00"), ("nul-in-query", b"/a?b=%00"), ("nul-in-middle", b"/a%00b"),
        ("lone", b"/a%"), ("one-digit", b"/a%4"), ("no-hex", b"/a%zz"), ("half-hex", b"/a%4g"),
        ("iis", b"/a%u0041"), ("double-percent", b"/a%%41"), ("before-query", b"/a%?b"),
        ("space", b"/a%+1"), ("lone-in-query", b"/a?b=%"), ("minus", b"/a%-1")):
    add("target/escape-" + name, request_line(b"GET " + target + b" HTTP/1.1"), 400,
        "bad_target_escape")
for name, target in (
        ("query-empty", b"/healthz?"), ("query", b"/healthz?a=b&c=%2F"),
        ("query-question", b"/healthz?a?b/c"), ("all-pchar", b"/-._~!$&'()*+,;=:@"),
        ("escaped-space", b"/a%20b"), ("two-slashes", b"//evil.test/"), ("dots", b"/../etc"),
        ("escaped-slash", b"/a%2fb"), ("escaped-crlf", b"/a%0d%0ab"), ("twice-escaped", b"/%2500"),
        ("max-length", b"/" + b"a" * (TARGET_MAX - 1))):
    add("target/fine-" + name, request_line(b"GET " + target + b" HTTP/1.1"), "ok")
add("target/over-length", request_line(b"GET /" + b"a" * TARGET_MAX + b" HTTP/1.1"), 414,
    "target_too_long")
add("target/query-over-length", request_line(b"GET /?" + b"a" * TARGET_MAX + b" HTTP/1.1"), 414,
    "target_too_long")
add("target/over-line", request_line(b"GET /" + b"a" * (2 * TARGET_MAX) + b" HTTP/1.1"), 414,
    "target_too_long")
add("target/endless", b"GET /" + b"a" * (REQUEST_LINE_MAX - 3), 414, "target_too_long")
add("target/line-at-limit-unfinished", b"GET /" + b"a" * (REQUEST_LINE_MAX - 4), "close")

# ---- header lines ----

for name, line in (
        ("no-colon", b"X-A"), ("empty-name", b": a"), ("paren", b"X(A: b"), ("at", b"X@A: b"),
        ("slash", b"X/A: b"), ("nul", b"X\0A: b"), ("high", b"X\xe9: b"), ("utf-8", b"X\xc3\xa9: b"),
        ("del", b"X\x7f: b"), ("quote", b'"X": b'), ("equals", b"X=A b"), ("semicolon", b"X;A: b"),
        ("brace", b"{X}: b"), ("bracket", b"[X]: b"), ("esc", b"\x1bX: b"), ("vt", b"X\x0b: b"),
        ("only-colon", b":"), ("comma", b"X,Y: b")):
    add("header/name-" + name, head(line), 400, "bad_header_name")
for name, line in (("space", b"X-A : b"), ("tab", b"X-A\t: b"), ("two-words", b"X A: b"),
                   ("host", b"Host : x"), ("length", b"Content-Length : 3"),
                   ("coding", b"Transfer-Encoding : chunked"), ("no-colon", b"X A")):
    add("header/space-before-colon-" + name, head(line), 400, "space_before_colon")
for name, line in (("space", b" b"), ("tab", b"\tb"), ("field", b" X-B: c"), ("blank", b" "),
                   ("length", b" Content-Length: 3"), ("two-spaces", b"  "),
                   ("coding", b"\tTransfer-Encoding: chunked")):
    add("header/folded-" + name, head(b"X-A: a", line), 400, "folded_header")
add("header/folded-first", b"GET /healthz HTTP/1.1\r\n X: a\r\nHost: " + HOST + b"\r\n\r\n", 400,
    "folded_header")
add("header/folded-coding-value", post(b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n", 400,
    "bad_transfer_encoding")
for byte in (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F):
    add("header/value-byte-%02x" % byte, head(b"X-A: a" + bytes([byte]) + b"b"), 400,
        "control_byte_in_header")
    add("header/long-value-byte-%02x" % byte,
        head(b"X-A: " + b"v" * 37 + bytes([byte]) + b"v" * 21), 400, "control_byte_in_header")
add("header/value-nul-last", head(b"X-A: a\0"), 400, "control_byte_in_header")
add("header/value-bare-cr", head(b"X-A: a\rb"), 400, "bare_carriage_return")
add("header/value-cr-cr-lf", head(b"X-A: a\r"), 400, "bare_carriage_return")
add("header/value-cr-hides-field", head(b"X-A: a\rContent-Length: 5"), 400, "bare_carriage_return")
add("header/name-cr", head(b"X\r-A: a"), 400, "bare_carriage_return")
add("header/cr-line", head(b"\r"), 400, "bare_carriage_return")
add("header/bare-lf", b"GET /healthz HTTP/1.1\r\nHost: " + HOST + b"\nX-A: b\r\n\r\n", 400,
    "bare_line_feed")
add("header/bare-lf-end", b"GET /healthz HTTP/1.1\r\nHost: " + HOST + b"\r\n\n", 400,
    "bare_line_feed")
add("header/lf-cr", b"GET /healthz HTTP/1.1\r\nHost: " + HOST + b"\n\r\n\r", 400, "bare_line_feed")
add("header/lf-in-value", head(b"X-A: a\nX-B: b"), 400, "bare_line_feed")
for name, line in (("empty-value", b"X-A:"), ("blank-value", b"X-A:   \t "), ("no-space", b"X-A:b"),
                   ("many-spaces", b"X-A: \t b \t "), ("inner-tab", b"X-A: a\tb"),
                   ("obs-text", b"X-City: S\xc3\xa3o Paulo"), ("colon-value", b"X-A: b:c:d"),
                   ("tchars", b"!#$%&'*+-.^_`|~9aZ: b"), ("same-twice", b"X-A: a\r\nX-A: a"),
                   ("te-trailers", b"TE: trailers"), ("proxy-connection", b"Proxy-Connection: close"),
                   ("upgrade-insecure", b"Upgrade-Insecure-Requests: 1")):
    add("header/fine-" + name, head(line), "ok")
add("header/cut-in-name", GET[:-2] + b"X-", "close")
add("header/cut-in-value", GET[:-2] + b"X-A: b", "close")
add("header/cut-before-last-lf", GET[:-1], "close")
add("header/cut-before-last-crlf", GET[:-2], "close")
add("header/lines-at-limit", head(*[b"X-A: b"] * (HEADER_LINES_MAX - 1)), "ok")
add("header/lines-above-limit", head(*[b"X-A: b"] * HEADER_LINES_MAX), 431, "too_many_headers")
add("header/lines-far-above", head(*[b"A:"] * 2001), 431, "too_many_headers")
FIXED = len(b"Host: " + HOST) + 2 + len(b"X-A: ") + 2 + 2
add("header/bytes-below-limit", head(b"X-A: " + b"v" * (HEADER_BYTES_MAX - FIXED - 1)), "ok")
add("header/bytes-at-limit", head(b"X-A: " + b"v" * (HEADER_BYTES_MAX - FIXED)), "ok")
add("header/bytes-above-limit", head(b"X-A: " + b"v" * (HEADER_BYTES_MAX - FIXED + 1)), 431,
    "headers_too_large")
add("header/bytes-far-above", head(b"X-A: " + b"v" * 20000), 431, "headers_too_large")
add("header/endless-name", GET[:-2] + b"X" * HEADER_BYTES_MAX, 431, "headers_too_large")
add("header/limit-before-content", head(b"X-A: \0" + b"v" * 20000), 431, "headers_too_large")

# ---- Host ----


def host(value: bytes) -> bytes:
    return head(b"Host:" + value, host=False)


add("host/missing", head(host=False), 400, "missing_host")
add("host/missing-in-1.0", head(line=b"GET /healthz HTTP/1.0", host=False), 400, "missing_host")
add("host/twice-equal", head(b"Host: " + HOST), 400, "several_hosts")
add("host/twice-differing", head(b"Host: evil.test"), 400, "several_hosts")
add("host/twice-other-case", head(b"hOST: " + HOST), 400, "several_hosts")
add("host/twice-in-1.0", head(b"Host: x", line=b"GET / HTTP/1.0"), 400, "several_hosts")
for name, value in (
        ("empty", b""), ("blank", b"  "), ("list", b" a, b"), ("comma", b" a,b"),
        ("user", b" localhost@evil.test"), ("scheme", b" http://localhost"),
        ("path", b" localhost/x"), ("port-empty", b" localhost:"), ("port-word", b" localhost:http"),
        ("port-sign", b" localhost:+80"), ("port-large", b" localhost:65536"),
        ("port-long", b" localhost:000080"), ("port-twice", b" localhost:80:80"),
        ("port-only", b" :3000"), ("space", b" local host"), ("tab", b" local\thost"),
        ("high", b" caf\xc3\xa9"), ("percent", b" a%41b"), ("v6-bare", b" ::1"),
        ("v6-open", b" [::1"), ("v6-empty", b" []"), ("v6-close", b" ::1]"), ("v6-zone", b" [fe80::1%25lo]"),
        ("v6-triple", b" [:::1]"), ("v6-long", b" [1:2:3:4:5:6:7:8:9]"), ("v6-tail", b" [::1]x"),
        ("v6-port-empty", b" [::1]:"), ("v6-word", b" [localhost]"), ("v-future", b" [v1.a]"),
        ("dot", b" ."), ("two-dots", b" a..b"), ("dot-first", b" .a"), ("query", b" a?b"),
        ("hash", b" a#b"), ("backslash", b" a\\b"), ("quote", b' "a"'), ("long", b" " + b"a" * 256),
        ("v6-very-long", b" [" + b"0" * 300 + b"]")):
    add("host/ill-" + name, host(value), 400, "bad_host")
add("host/no-space", host(b"" + HOST), "ok")
add("host/spaces-around", host(b" \t" + HOST + b" \t "), "ok")
add("host/lower-name", head(b"host: " + HOST, host=False), "ok")

# ---- Content-Length ----

for name, value in (
        ("plus", b"+43"), ("minus", b"-1"), ("minus-zero", b"-0"), ("hex", b"0x2b"), ("empty", b""),
        ("word", b"abc"), ("space-inside", b"4 3"), ("tab-inside", b"4\t3"), ("list-equal", b"43, 43"),
        ("list", b"43,0"), ("comma-last", b"43,"), ("comma-first", b",43"), ("zero-first", b"043"),
        ("zeros", b"00"), ("point", b"43.0"), ("exponent", b"4e1"), ("semicolon", b"43;"),
        ("quoted", b'"43"'), ("arabic", b"\xd9\xa4\xd9\xa3"), ("high", b"4\xb3"), ("unit", b"43b"),
        ("sign-only", b"+"), ("overflow-sign", b"-18446744073709551573"),
        ("overflow-word", b"18446744073709551659x")):
    add("length/ill-" + name, post(b"Content-Length: " + value) + BODY, 400, "bad_content_length")
add("length/ill-in-get", head(b"Content-Length: x"), 400, "bad_content_length")
add("length/twice-equal", post(LENGTH, LENGTH) + BODY, 400, "several_content_lengths")
add("length/twice-differing", post(LENGTH, b"Content-Length: 0") + BODY, 400,
    "several_content_lengths")
add("length/twice-other-case", post(LENGTH, b"content-length: 3") + BODY, 400,
    "several_content_lengths")
add("length/twice-apart", post(b"Content-Length: 0", b"X-A: b", LENGTH) + BODY, 400,
    "several_content_lengths")
for name, value in (("16-digits", b"1" * 16), ("int64", b"9223372036854775807"),
                    ("wraps-to-0", b"18446744073709551616"),
                    ("wraps-to-43", b"18446744073709551659"), ("300-digits", b"9" * 300),
                    ("15-digits", b"9" * 15), ("1-gb", b"1000000000"), ("100-mb", b"100000000")):
    add("length/too-large-" + name, post(b"Content-Length: " + value) + BODY, 413,
        "body_too_large")
add("length/spaces-around", post(b"Content-Length: \t%d \t" % len(BODY)) + BODY, "ok")
add("length/cut-in-body", post(LENGTH) + BODY[:-1], "close")
add("length/no-body-yet", post(LENGTH), "close")
add("length/underscore-is-another-header", post(b"Content_Length: 5"), "ok")

# ---- Transfer-Encoding ----

CHUNKS = ONE_CHUNK + b"0\r\n\r\n"
for name, value in (
        ("xchunked", b"xchunked"), ("identity", b"identity"), ("gzip", b"gzip"), ("empty", b""),
        ("twice", b"chunked, chunked"), ("not-last", b"chunked, gzip"), ("comma-last", b"chunked,"),
        ("comma-first", b",chunked"), ("quoted", b'"chunked"'), ("parameter", b"chunked;q=1"),
        ("two-words", b"chunked gzip"), ("semicolon", b"chunked;"), ("high", b"chunked\xa0"),
        ("identity-last", b"chunked, identity"), ("chunk", b"chunk"), ("bracket", b"[chunked]"),
        ("ill-before", b"g(zip, chunked"), ("comma-alone", b",")):
    add("coding/ill-" + name, post(b"Transfer-Encoding: " + value) + CHUNKS, 400,
        "bad_transfer_encoding")
add("coding/two-lines", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS,
    400, "bad_transfer_encoding")
add("coding/two-lines-identity", post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity")
    + CHUNKS, 400, "bad_transfer_encoding")
for name, value in (("gzip", b"gzip, chunked"), ("identity", b"identity, chunked"),
                    ("gzip-no-space", b"gzip,chunked"), ("three", b"gzip, br, chunked")):
    add("coding/not-spoken-" + name, post(b"Transfer-Encoding: " + value) + CHUNKS, 501,
        "unsupported_transfer_encoding")
add("coding/and-length", post(b"Transfer-Encoding: chunked", LENGTH) + CHUNKS, 400,
    "length_and_transfer_encoding")
add("coding/and-length-before", post(LENGTH, b"Transfer-Encoding: chunked") + CHUNKS, 400,
    "length_and_transfer_encoding")
add("coding/and-length-smuggle", post(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    + b"0\r\n\r\n" + SMUGGLED, 400, "length_and_transfer_encoding")
add("coding/identity-and-length", post(LENGTH, b"Transfer-Encoding: identity") + BODY, 400,
    "length_and_transfer_encoding")
add("coding/in-1.0", post(b"Transfer-Encoding: chunked", version=b"1.0") + CHUNKS, 400,
    "transfer_encoding_in_http_1_0")
add("coding/capitals", post(b"TRANSFER-ENCODING: CHUNKED") + CHUNKS, "ok")
add("coding/spaces-around", post(b"Transfer-Encoding: \t chunked \t") + CHUNKS, "ok")
add("coding/closes-afterwards", chunked(CHUNKS) + GET, ["ok"])

# ---- chunks ----

for name, size in (
        ("hex-prefix", b"0x2b"), ("plus", b"+2b"), ("minus", b"-1"), ("minus-zero", b"-0"),
        ("space-first", b" 2b"), ("tab-first", b"\t2b"), ("space-last", b"2b "), ("word", b"xyz"),
        ("empty", b""), ("9-digits", b"00000002b"), ("9-zeros", b"0" * 9), ("17-digits", b"f" * 17),
        ("wraps", b"10000000000000000"), ("point", b"2b.0"), ("underscore", b"2_b"),
        ("high", b"2\xe2"), ("nul", b"2\0b"), ("comma", b"2b,2b"), ("semicolon-only", b";"),
        ("quote", b'"2b"'), ("half", b"2g"), ("cr-inside", b"2\rb")):
    add("chunk/size-" + name, chunked(size + b"\r\n" + BODY + b"\r\n0\r\n\r\n"), 400,
        "bad_chunk_size")
for name, extension in (("plain", b";ext=1"), ("bare", b";"), ("quoted", b';a="b"'),
                        ("long", b";" + b"a" * 100), ("lf-inside", b";\n")):
    add("chunk/extension-" + name, chunked(b"2b" + extension + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
        400, "chunk_extension")
add("chunk/extension-on-last", chunked(ONE_CHUNK + b"0;a\r\n\r\n"), 400, "chunk_extension")
add("chunk/space-before-extension", chunked(b"2b ;a\r\n" + BODY + b"\r\n0\r\n\r\n"), 400,
    "bad_chunk_size")
add("chunk/endless-size", chunked(b"0" * 4096), 400, "bad_chunk_size")
add("chunk/endless-extension", chunked(b"1;" + b"a" * 4096), 400, "chunk_extension")
add("chunk/lf-after-size", chunked(b"2b\n" + BODY + b"\r\n0\r\n\r\n"), 400, "bare_line_feed")
add("chunk/lf-after-data", chunked(b"2b\r\n" + BODY + b"\n0\r\n\r\n"), 400, "bad_chunk_end")
add("chunk/cr-after-data", chunked(b"2b\r\n" + BODY + b"\r0\r\n\r\n"), 400, "bad_chunk_end")
add("chunk/lf-after-last-size", chunked(ONE_CHUNK + b"0\n\r\n"), 400, "bare_line_feed")
add("chunk/lf-at-end", chunked(ONE_CHUNK + b"0\r\n\n"), 400, "trailer")
add("chunk/cr-at-end", chunked(ONE_CHUNK + b"0\r\n\rx"), 400, "trailer")
add("chunk/lf-everywhere", chunked(b"2b\n" + BODY + b"\n0\n\n"), 400, "bare_line_feed")
add("chunk/too-short", chunked(b"2a\r\n" + BODY + b"\r\n0\r\n\r\n"), 400, "bad_chunk_end")
add("chunk/too-long", chunked(b"2c\r\n" + BODY + b"\r\n0\r\n\r\n"), 400, "bad_chunk_end")
add("chunk/no-crlf-after-data", chunked(b"2b\r\n" + BODY + b"0\r\n\r\n"), 400, "bad_chunk_end")
add("chunk/empty-line-between", chunked(ONE_CHUNK + b"\r\n0\r\n\r\n"), 400, "bad_chunk_size")
add("chunk/trailer", chunked(ONE_CHUNK + b"0\r\nX-Auth: evil\r\n\r\n"), 400, "trailer")
add("chunk/trailer-length", chunked(ONE_CHUNK + b"0\r\nContent-Length: 5\r\n\r\n"), 400, "trailer")
add("chunk/trailer-space", chunked(ONE_CHUNK + b"0\r\n \r\n\r\n"), 400, "trailer")
add("chunk/data-after-last", chunked(ONE_CHUNK + b"0\r\nabc"), 400, "trailer")
add("chunk/too-large-at-once", chunked(b"ffffffff\r\n"), 413, "body_too_large")
add("chunk/too-large-first", chunked(b"7fffffff\r\nabc"), 413, "body_too_large")
add("chunk/too-large-in-sum", chunked(ONE_CHUNK + b"fffffff\r\n"), 413, "body_too_large")
add("chunk/fine-single-bytes", chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    + b"0\r\n\r\n"), "ok")
add("chunk/fine-capitals", chunked(b"2B\r\n" + BODY + b"\r\n0\r\n\r\n"), "ok")
add("chunk/fine-8-digits", chunked(b"0000002b\r\n" + BODY + b"\r\n00000000\r\n\r\n"), "ok")
add("chunk/fine-empty-body", chunked(b"0\r\n\r\n"), "ok")
add("chunk/cut-in-size", chunked(b"2"), "close")
add("chunk/cut-before-size-lf", chunked(b"2b\r"), "close")
add("chunk/cut-in-data", chunked(b"2b\r\nabc"), "close")
add("chunk/cut-after-data", chunked(b"2b\r\n" + BODY), "close")
add("chunk/cut-after-chunk", chunked(ONE_CHUNK), "close")
add("chunk/cut-before-end", chunked(ONE_CHUNK + b"0\r\n"), "close")
add("chunk/cut-in-end", chunked(ONE_CHUNK + b"0\r\n\r"), "close")

# ---- Connection, Upgrade, Expect ----

for name, value in (("quoted", b'"close"'), ("two-words", b"close now"), ("equals", b"a=b"),
                    ("high", b"clos\xe9"), ("brace", b"{close}"), ("semicolon", b"close; x")):
    add("connection/ill-" + name, head(b"Connection: " + value), 400, "bad_connection")
for name, value in (("list", b"keep-alive, close"), ("capitals", b"CLOSE"),
                    ("empty-elements", b", ,close,,"), ("other-first", b"x, y,close")):
    add("connection/closes-" + name, head(b"Connection: " + value) + GET, ["ok"])
add("connection/closes-second-line", head(b"Connection: keep-alive", b"Connection: close") + GET,
    ["ok"])
for name, value in (("empty", b""), ("closed-is-another-word", b"closed"), ("te", b"TE"),
                    ("names-host", b"Host"), ("names-length", b"Content-Length")):
    add("connection/stays-" + name, head(b"Connection: " + value) + GET, ["ok", "ok"])
for name, value in (("websocket", b"websocket"), ("h2c", b"h2c"), ("tls", b"TLS/1.0, HTTP/1.1"),
                    ("empty", b"")):
    add("upgrade/" + name, head(b"Connection: Upgrade", b"Upgrade: " + value), 501,
        "upgrade_unsupported")
add("upgrade/without-connection", head(b"upgrade: websocket"), 501, "upgrade_unsupported")
for name, value in (("other", b"x"), ("empty", b""), ("101", b"101-continue"),
                    ("list", b"100-continue, x"), ("quoted", b'"100-continue"'),
                    ("parameter", b"100-continue;a"), ("200", b"200-ok")):
    add("expect/" + name, post(b"Expect: " + value, LENGTH) + BODY, 417, "unsupported_expectation")
add("expect/twice", post(b"Expect: 100-continue", b"Expect: 100-continue", LENGTH) + BODY, 417,
    "unsupported_expectation")
add("expect/capitals", post(b"EXPECT: 100-Continue", LENGTH) + BODY, "ok")
add("expect/in-1.0", post(b"Expect: 100-continue", LENGTH, version=b"1.0") + BODY, "ok")
add("expect/without-body", head(b"Expect: 100-continue"), "ok")
add("expect/and-too-large", post(b"Expect: 100-continue", b"Content-Length: 100000000"), 413,
    "body_too_large")

# ---- several requests on one connection ----

add("pipeline/two", GET * 2, ["ok", "ok"])
add("pipeline/ten", GET * 10, ["ok"] * 10)
add("pipeline/body-then-get", post(LENGTH) + BODY + GET, ["ok", "ok"])
add("pipeline/empty-body-then-get", post(b"Content-Length: 0") + GET, ["ok", "ok"])
add("pipeline/post-without-length-then-get", post() + GET, ["ok", "ok"])
add("pipeline/get-with-body", head(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED + GET,
    ["ok", "ok"])
add("pipeline/good-then-bad", GET + b"GET /\r\n", ["ok", 400], "bad_request_line")
add("pipeline/good-bad-good", GET + head(b"X : y") + GET, ["ok", 400], "space_before_colon")
add("pipeline/good-then-empty-line", GET + b"\r\n" + GET, ["ok", 400], "leading_line_break")
add("pipeline/body-one-too-long", post(LENGTH) + BODY + b"}" + GET, ["ok", 400], "bad_method")
add("pipeline/body-crlf-too-long", post(LENGTH) + BODY + b"\r\n" + GET, ["ok", 400],
    "leading_line_break")
add("pipeline/good-then-cut", GET + GET[:20], ["ok", "close"])
add("pipeline/good-then-large", GET + post(b"Content-Length: 100000000"), ["ok", 413],
    "body_too_large")
add("pipeline/after-1.0", request_line(b"GET /healthz HTTP/1.0") + GET, ["ok"])
add("pipeline/after-close", head(b"Connection: close") + b"\0\0\0", ["ok"])
add("pipeline/after-refusal", request_line(b"GET /healthz HTTP/1.1 ") + GET, 400, "bad_version")
