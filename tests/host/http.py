"""httpd, judged by curl (and by bytes that no client would send): as a Linux process, and in the guest over
QEMU's user networking."""
import contextlib
import email.utils
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time

import hosts
from framework import FAILED, PARVUS, PASSED, SKIPPED, Result, app_image, command, register, scratch
from parvuslib.images import ROOT

HOSTS = ["tcg-microvm", "tcg-q35", "tcg-pc", "kvm-microvm", "xen-dom0"]
WAIT_S = 120
PATIENCE_S = 60  # for one answer
MTIME = 1_600_000_000
MANY = 100  # connections at once

INDEX = b"<!doctype html><title>test</title><p>index\n"
PAGE = b"x" * 612
LARGE = random.Random(1).randbytes(3_000_000)
SITE = {"index.html": INDEX, "612.html": PAGE, "large.bin": LARGE, "empty.txt": b"", "style.css": b"p{}",
        "data.json": b"{}", "with space & more.txt": b"space", "folder/index.html": b"folder",
        "list/one.txt": b"1", "list/<two>.txt": b"2"}


def site_folder():
    """The site as a folder, and packed beside it."""
    root = os.path.join(scratch("http"), f"site-{os.getpid()}-{time.monotonic_ns()}")
    with tarfile.open(f"{root}.tar", "w") as archive:
        for name, data in SITE.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            os.utime(path, (MTIME, MTIME))
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), MTIME
            archive.addfile(info, io.BytesIO(data))
    return root


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    """One parsed from bytes: status, fields (lower case) and body; `rest` follows it."""

    def __init__(self, data, is_head=False):
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 [1-5][0-9][0-9] \S.*", lines[0]), lines[0]
        self.status = int(lines[0].split()[1])
        self.fields = {name.lower(): value.strip() for name, _, value in
                       (line.partition(":") for line in lines[1:])}
        has_body = not is_head and self.status not in (204, 304)
        length = int(self.fields["content-length"]) if has_body else 0
        self.body, self.rest = rest[:length], rest[length:]
        assert len(self.body) == length, f"{len(self.body)} of {length} bytes"


class Server:
    """A running httpd."""

    def __init__(self, port, child):
        self.port = port
        self.child = child
        self.url = f"http://127.0.0.1:{port}"

    def curl(self, *arguments):
        """(curl's status, output)."""
        done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", str(PATIENCE_S), *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, f"curl {' '.join(arguments)}: {done.stderr.decode()}"
        return done.stdout

    def get(self, path, *arguments, is_head=False):
        return Answer(self.curl("--include", "--path-as-is", *arguments, self.url + path), is_head)

    def connect(self):
        # QEMU's user networking takes one connection at a time; the next one but one waits a second.
        time.sleep(0.01)
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        connection.settimeout(PATIENCE_S)
        return connection

    def send(self, data):
        """Bytes as they are; returns everything until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def status(self):
        return json.loads(self.get("/status.json").body)


def read_all(connection):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def read_answer(connection, is_head=False):
    """One answer, byte by byte no further."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(1)
        assert part, f"closed after {data!r}"
        data += part
    length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", data)
    left = int(length[1]) if length and not is_head else 0
    while left:
        part = connection.recv(min(left, 65536))
        assert part, "closed within the body"
        data += part
        left -= len(part)
    return Answer(data, is_head)


def equal(got, expected, what=""):
    assert got == expected, f"{what}: {got!r} instead of {expected!r}"


def check_get(server):
    answer = server.get("/")
    equal((answer.status, answer.body), (200, INDEX))
    equal(answer.fields["content-type"], "text/html; charset=utf-8")
    email.utils.parsedate_to_datetime(answer.fields["date"])
    equal(email.utils.parsedate_to_datetime(answer.fields["last-modified"]).timestamp(), MTIME)
    for name, data in SITE.items():
        equal(server.get("/" + name.replace(" ", "%20").replace("&", "%26").replace("<", "%3c")).body, data, name)
    equal(server.get("/style.css").fields["content-type"], "text/css; charset=utf-8")
    equal(server.get("/data.json?x=y").fields["content-type"], "application/json")
    equal(server.get("/empty.txt").fields["content-length"], "0")


def check_head(server):
    for path in ("/", "/large.bin", "/nothing", "/status"):
        full, head = server.get(path), server.get(path, "--head", is_head=True)
        equal(head.rest, b"", path)
        equal(head.status, full.status, path)
        if path != "/status":
            equal(head.fields["content-length"], full.fields["content-length"], path)


def check_large(server):
    for options in ([], ["--limit-rate", "3M"]):
        equal(hashlib.sha256(server.get("/large.bin", *options).body).digest(),
              hashlib.sha256(LARGE).digest(), "large.bin")


def check_ranges(server):
    for path, data in (("/612.html", PAGE), ("/large.bin", LARGE)):
        size = len(data)
        for text, first, last in [("0-0", 0, 0), ("10-19", 10, 19), (f"{size - 5}-", size - 5, size - 1),
                                  ("-7", size - 7, size - 1), (f"-{size * 2}", 0, size - 1),
                                  (f"5-{size * 9}", 5, size - 1), ("0-99999999999999999999999", 0, size - 1)]:
            answer = server.get(path, "--range", text)
            equal(answer.status, 206, text)
            equal(answer.fields["content-range"], f"bytes {first}-{last}/{size}", text)
            equal(answer.body, data[first:last + 1], text)
        for text in (f"{size}-", f"{size}-{size + 1}", "-0", "99999999999999999999999-"):
            answer = server.get(path, "--range", text)
            equal(answer.status, 416, text)
            equal(answer.fields["content-range"], f"bytes */{size}", text)
        for text in ("bytes=0-1,5-6", "bytes=", "bytes=-", "bytes=5-4", "bytes=x-1", "lines=0-1", "bytes=1-2x"):
            answer = server.get(path, "--header", f"Range: {text}")
            equal((answer.status, len(answer.body)), (200, size), text)
    etag = server.get("/612.html").fields["etag"]
    equal(server.get("/612.html", "--range", "0-1", "--header", f"If-Range: {etag}").status, 206)
    equal(server.get("/612.html", "--range", "0-1", "--header", 'If-Range: "other"').status, 200)
    equal(server.get("/empty.txt", "--range", "0-0").status, 416)


def check_conditions(server):
    page = server.get("/612.html")
    etag, modified = page.fields["etag"], page.fields["last-modified"]
    before = "Sun, 06 Nov 1994 08:49:37 GMT"
    for fields, status in [([f"If-None-Match: {etag}"], 304), ([f'If-None-Match: "a", W/{etag}'], 304),
                           (["If-None-Match: *"], 304), (['If-None-Match: "a"'], 200),
                           ([f"If-Modified-Since: {modified}"], 304), ([f"If-Modified-Since: {before}"], 200),
                           (["If-Modified-Since: Saturday, 06-Nov-21 08:49:37 GMT"], 304),
                           (["If-Modified-Since: Sun Nov  6 08:49:37 1994"], 200),
                           (["If-Modified-Since: soon"], 200),
                           ([f'If-None-Match: "a"', f"If-Modified-Since: {modified}"], 200),
                           ([f"If-Match: {etag}"], 200), (['If-Match: "a"'], 412),
                           ([f"If-Unmodified-Since: {before}"], 412), ([f"If-Unmodified-Since: {modified}"], 200)]:
        options = [word for field in fields for word in ("--header", field)]
        answer = server.get("/612.html", *options)
        equal(answer.status, status, str(fields))
        if status == 304:
            equal((answer.rest, answer.fields["etag"]), (b"", etag))


def check_paths(server):
    for path, status in [("/nothing", 404), ("/folder", 301), ("/folder/", 200), ("/list/", 200), ("/list", 301),
                         ("/./folder/../index.html", 200), ("/folder//index.html", 200), ("/folder/%2e%2e/612.html", 200),
                         ("/../../etc/passwd", 400), ("/%2e%2e/%2e%2e/etc/passwd", 400), ("/612.html/", 404),
                         ("/612.html/x", 404), ("/%00", 400), ("/%zz", 400), ("/%4", 400), ("/" + "n" * 300, 404),
                         ("/?", 200), ("/index.html?a=b?c", 200)]:
        equal(server.get(path).status, status, path)
    equal(server.get("/folder").fields["location"], "/folder/")
    equal(server.get("//folder").fields["location"], "/folder/")
    listing = server.get("/list/").body
    assert b'href="./%3Ctwo%3E.txt">&lt;two&gt;.txt</a>' in listing and b"one.txt" in listing, listing
    equal(Answer(server.send(b"GET http://any.host/612.html HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).body, PAGE)


def check_methods(server):
    answer = server.get("/", "--request", "POST", "--data", "some content")
    equal((answer.status, answer.fields["allow"]), (405, "GET, HEAD, OPTIONS"))
    for method, status in [("PUT", 405), ("DELETE", 405), ("TRACE", 405), ("BREW", 501), ("get", 501)]:
        equal(server.get("/", "--request", method).status, status, method)
    for target in (b"/", b"*"):
        answer = Answer(server.send(b"OPTIONS %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target))
        equal((answer.status, answer.fields["allow"]), (204, "GET, HEAD, OPTIONS"))
    # The content is passed over, and what follows is a request again.
    data = server.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\nGET /612.html HTTP"
                       b"GET /empty.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    first = Answer(data)
    second = Answer(first.rest)
    equal((first.status, second.status, second.body, second.rest), (405, 200, b"", b""))


GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n"
# what is wrong with it, the request, the status.
MALFORMED = [
    ("no version", b"GET /\r\n\r\n", 400), ("no target", b"GET HTTP/1.1\r\n\r\n", 400), ("words", b"hello\r\n\r\n", 400),
    ("two blanks", b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("four words", b"GET / x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("a blank first", b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400), ("relative", b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("version", b"GET / HTTP/1.x\r\nHost: x\r\n\r\n", 400), ("lower case", b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505), ("HTTP/3", b"GET / HTTP/3.0\r\n\r\n", 505),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400), ("zero bytes", b"\0\0\0\0\r\n\r\n", 400),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400), ("two Hosts", GOOD + b"Host: y\r\n\r\n", 400),
    ("no colon", GOOD + b"Field\r\n\r\n", 400), ("no name", GOOD + b": value\r\n\r\n", 400),
    ("blank before colon", GOOD + b"Field : value\r\n\r\n", 400), ("folded", GOOD + b"A: b\r\n c\r\n\r\n", 400),
    ("bare CR", GOOD + b"A: b\rC: d\r\n\r\n", 400), ("zero in value", GOOD + b"A: b\0c\r\n\r\n", 400),
    ("length text", GOOD + b"Content-Length: five\r\n\r\n", 400), ("length sign", GOOD + b"Content-Length: -1\r\n\r\n", 400),
    ("length empty", GOOD + b"Content-Length: \r\n\r\n", 400),
    ("length huge", GOOD + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("two lengths", GOOD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("length and chunks", GOOD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("coding", GOOD + b"Transfer-Encoding: gzip\r\n\r\n", 501), ("codings", GOOD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("expectation", GOOD + b"Expect: miracles\r\n\r\n", 417),
    ("much content", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n", 413),
    ("chunks", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 405),
    ("long target", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ("endless target", b"GET /" + b"a" * 20000, 414), ("endless field", GOOD + b"A: " + b"b" * 20000, 431),
    ("endless fields", GOOD + b"A: b\r\n" * 5000, 431), ("many fields", GOOD + b"A: b\r\n" * 101 + b"\r\n", 431),
]


def check_malformed(server):
    for name, data, status in MALFORMED:
        answer = Answer(server.send(data))
        equal(answer.status, status, name)
        equal(answer.fields["connection"], "close", name)
        equal(answer.rest, b"", name)
    # Odd, but right.
    for name, data in [("LF alone", b"GET / HTTP/1.1\nHost: x\nConnection: close\n\n"),
                       ("empty lines first", b"\r\n\r\n" + GOOD + b"Connection: close\r\n\r\n"),
                       ("equal lengths", GOOD + b"Content-Length: 0\r\nContent-Length: 0, 0\r\nConnection: close\r\n\r\n"),
                       ("case", b"GET / HTTP/1.1\r\nhOST:x\r\nCONNECTION:\tx , CLOSE \t\r\n\r\n"),
                       ("1.9", b"GET / HTTP/1.9\r\nHost: x\r\nConnection: close\r\n\r\n"), ("1.0", b"GET / HTTP/1.0\r\n\r\n")]:
        equal(Answer(server.send(data)).body, INDEX, name)


def check_keep_alive(server):
    urls = [server.url + path for path in ("/", "/612.html", "/large.bin", "/nothing", "/status", "/empty.txt")]
    words = [word for url in urls for word in ("--output", "/dev/null", url)]
    equal(server.curl("--write-out", "%{num_connects} ", *words).decode().split(), ["1"] + ["0"] * (len(urls) - 1))
    equal(server.curl("--http1.0", "--header", "Connection: keep-alive", "--write-out", "%{num_connects} ",
                      *words).decode().split(), ["1"] + ["0"] * (len(urls) - 1), "HTTP/1.0")
    with server.connect() as connection:
        for _ in range(200):
            connection.sendall(GOOD + b"\r\n")
            equal(read_answer(connection).body, INDEX)


def check_pipelining(server):
    paths = ["/612.html", "/", "/large.bin", "/empty.txt", "/nothing", "/612.html"] * 5
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode() for path in paths)
    with server.connect() as connection:
        connection.sendall(data)
        for path in paths:
            answer = read_answer(connection)
            equal((answer.status, answer.body if answer.status == 200 else None),
                  (404, None) if path == "/nothing" else (200, SITE.get(path[1:] or "index.html")), path)
    with server.connect() as connection:  # more than all buffers hold
        connection.sendall(b"GET /612.html HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        for _ in range(500):
            equal(read_answer(connection).body, PAGE)


def check_pieces(server):
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GOOD + b"\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.002)
        equal(read_answer(connection).body, INDEX)


def check_many(server):
    connections = [server.connect() for _ in range(MANY)]
    try:
        for connection in connections:
            connection.sendall(GOOD + b"\r\n")
        for connection in connections:
            equal(read_answer(connection).body, INDEX)
        assert server.status()["connections_open"] >= MANY + 1, "some were closed"
        for connection in connections[::2]:
            connection.sendall(b"GET /612.html HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in connections[::2]:
            equal(read_answer(connection).body, PAGE)
    finally:
        for connection in connections:
            connection.close()


def check_rude(server):
    """Clients that leave: before, within and behind a request, within an answer, by reset."""
    for data in (b"", b"GET / HT", GOOD, GOOD + b"\r\n", b"GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n" * 3):
        for is_reset in (False, True):
            for _ in range(5):
                connection = server.connect()
                connection.sendall(data)
                if is_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.close()
    deadline = time.monotonic() + PATIENCE_S
    while (status := server.status())["connections_open"] > 1:
        assert time.monotonic() < deadline, f"connections stay open: {status}"
        time.sleep(0.2)


def check_status(server):
    before = server.status()
    for _ in range(10):
        server.get("/612.html")
    after = server.status()
    equal(after["requests"] - before["requests"], 11)
    equal(after["connections_accepted"] - before["connections_accepted"], 11)
    assert after["machine_uptime_ms"] >= before["machine_uptime_ms"] > 0
    assert 0 < after["memory_free_bytes"] < after["memory_bytes"]
    equal(after["answers_5xx"], before["answers_5xx"])
    page = server.get("/status").body.decode()
    for word in ("<h1>httpd on", "Memory", "Network", "requests", after["system"]):
        assert word in page, f"no {word} in the page"
    assert "http://" not in page and "https://" not in page and "src=" not in page, "not self-contained"


def check_slow(server):
    """Requests that never end are given up, whatever trickles in; others go on."""
    with server.connect() as connection, server.connect() as silent:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        deadline = time.monotonic() + PATIENCE_S
        connection.settimeout(1)
        data = b""
        while not data:
            assert time.monotonic() < deadline, "no time-out"
            try:
                data = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"A: b\r\n")
                equal(server.get("/").status, 200)
        connection.settimeout(PATIENCE_S)
        equal(Answer(data + read_all(connection)).status, 408)
        silent.sendall(GOOD + b"\r\n")  # it was idle, which may last longer
        equal(read_answer(silent).body, INDEX)


CHECKS = [check_get, check_head, check_large, check_ranges, check_conditions, check_paths, check_methods,
          check_malformed, check_keep_alive, check_pipelining, check_pieces, check_many, check_rude,
          check_status, check_slow]


@contextlib.contextmanager
def process(words, port, log, **keywords):
    """A server in a process of its own: yields it when it answers."""
    with open(log, "wb") as output:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                 start_new_session=True, cwd=ROOT, **keywords)
    try:
        deadline = time.monotonic() + WAIT_S
        while True:
            assert child.poll() is None, f"it ended with {child.returncode}"
            assert time.monotonic() < deadline, "it does not answer"
            done = subprocess.run(["curl", "--silent", "--max-time", "5", f"http://127.0.0.1:{port}/"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            if done.returncode == 0:
                break
            time.sleep(0.2)
        yield Server(port, child)
        assert child.poll() is None, f"it ended with {child.returncode}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def run_checks(test_id, start, log):
    """Each check is a result."""
    if not shutil.which("curl"):
        return [Result(test_id, SKIPPED, "curl is missing")]
    results = []
    try:
        with start as server:
            for check in CHECKS:
                name = check.__name__.replace("check_", f"{test_id}-").replace("_", "-")
                try:
                    check(server)
                    results.append(Result(name, PASSED))
                except (AssertionError, OSError, ValueError, KeyError) as error:
                    results.append(Result(name, FAILED, f"{type(error).__name__}: {error}", log))
                    if server.child.poll() is not None:
                        break
    except AssertionError as error:
        results.append(Result(test_id, FAILED, str(error), log))
    return results


def linux_program():
    compiler = os.environ.get("CC") or "gcc"
    program = os.path.join(scratch("http"), f"httpd-{os.getpid()}-{time.monotonic_ns()}")
    folder = os.path.join(ROOT, "apps", "httpd")
    sources = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".c")]
    status, output = command([compiler, "-std=gnu17", "-O2", "-g", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                              "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-o", program, *sources])
    assert status == 0, output
    return program


def run_on_linux(_):
    log, port = os.path.join(scratch("http"), "linux.log"), free_port()
    return run_checks("http-linux", process([linux_program(), "-p", str(port), site_folder()], port, log), log)


def run_in_guest(host):
    log, port = os.path.join(scratch("http"), f"{host}.log"), free_port()
    words = [PARVUS, "run", *hosts.OPTIONS[host], "--net", f"user,{port}:80", "--initrd", f"{site_folder()}.tar",
             app_image("httpd")]
    return run_checks("http", process(words, port, log), log)


def run_without_descriptors(_):
    """With 40 descriptors, the 300th client is served: the longest idle one goes."""
    test_id = "http-descriptors"
    log, port = os.path.join(scratch("http"), "descriptors.log"), free_port()
    words = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", linux_program(), "-p", str(port), site_folder()]
    try:
        with process(words, port, log) as server, contextlib.ExitStack() as stack:
            for _ in range(300):
                connection = stack.enter_context(server.connect())
                connection.sendall(GOOD + b"\r\n")
                equal(read_answer(connection).body, INDEX)
            equal(server.get("/large.bin").body, LARGE)
            status = server.status()
            assert status["connections_evicted"] >= 250 and status["answers_5xx"] == 0, status
    except (AssertionError, OSError) as error:
        return [Result(test_id, FAILED, str(error), log)]
    return [Result(test_id, PASSED)]


register("http-linux", "httpd as a Linux process answers as HTTP wants it.", [hosts.LOCAL], run_on_linux)
register("http-descriptors", "Out of descriptors, httpd closes idle connections.", [hosts.LOCAL],
         run_without_descriptors)
register("http", "httpd in the guest answers as HTTP wants it, over user networking.", HOSTS, run_in_guest)
