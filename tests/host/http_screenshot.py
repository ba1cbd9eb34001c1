"""A browser (headless Chromium) opens httpd's status page in the guest and renders it; the picture stays in
build/tests/http-screenshot.png."""
import collections
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

import hosts
from framework import BOOT_TIMEOUT_S, LOGS, PARVUS, Skip, app_image, scratch, test
from http import free_port, process

WIDTH, HEIGHT = 1000, 1600


def browse(folder, *arguments):
    """What Chromium prints. A profile of its own; as root it has no sandbox."""
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--disable-dev-shm-usage", f"--window-size={WIDTH},{HEIGHT}", f"--user-data-dir={folder}", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
        timeout=BOOT_TIMEOUT_S, env={**os.environ, "HOME": folder})
    assert done.returncode == 0, f"chromium: status {done.returncode}: {done.stderr[-1000:]}"
    return done.stdout


def unfilter(kind, line, above, step):
    """A line of a PNG (W3C's specification, 9.2), in place."""
    for i, value in enumerate(line):
        left, up, corner = (line[i - step], above[i], above[i - step]) if i >= step else (0, above[i], 0)
        if kind == 4:
            distances = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
            guess = (left, up, corner)[distances.index(min(distances))]
        else:
            guess = (0, left, up, (left + up) // 2)[kind]
        line[i] = value + guess & 0xFF


def read_png(data):
    """(width, height, how often each colour occurs) of one with 8 bits for each of RGB or RGBA."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n"), "not a PNG"
    at, pixels, header = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + length)[0], f"chunk {kind}"
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        pixels += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth, colours, *_, interlaced = header
    assert depth == 8 and colours in (2, 6) and not interlaced, header
    step = 3 if colours == 2 else 4
    pixels, above, counts = zlib.decompress(pixels), bytearray(width * step), collections.Counter()
    assert len(pixels) == height * (width * step + 1), "the picture is not whole"
    for start in range(0, len(pixels), width * step + 1):
        line = bytearray(pixels[start + 1:start + 1 + width * step])
        if pixels[start]:
            unfilter(pixels[start], line, above, step)
        counts.update(zip(line[::step], line[1::step], line[2::step]))
        above = line
    return width, height, counts


def check_picture(path):
    with open(path, "rb") as file:
        width, height, counts = read_png(file.read())
    assert (width, height) == (WIDTH, HEIGHT), (width, height)
    # The page's own colours (apps/httpd/frame.h): the paper, the cards on it, the bar, and text.
    shares = {name: counts[colour] / (width * height) for name, colour in
              [("paper", (0xF4, 0xF6, 0xFA)), ("card", (0xFF, 0xFF, 0xFF)), ("mark", (0x24, 0x56, 0xC9)),
               ("ink", (0x1B, 0x23, 0x30))]}
    assert shares["paper"] > 0.05 and shares["card"] > 0.4, shares
    assert shares["mark"] > 0.00005 and shares["ink"] > 0.001, shares
    assert len(counts) > 50, f"{len(counts)} colours: no smooth text"


@test("http-screenshot", "A browser renders the status page; the picture is kept.", hosts=["tcg-microvm"])
def check_screenshot(host, folder):
    if not shutil.which("chromium"):
        raise Skip("chromium is missing")
    picture = os.path.join(LOGS, "http-screenshot.png")
    port, image = free_port(), app_image("httpd")
    words = [PARVUS, "run", *hosts.OPTIONS[host], "--net", f"user,{port}:80",
             "--initrd", image.replace(".img", ".initrd"), image]
    if os.path.exists(picture):
        os.unlink(picture)
    with process(words, port, os.path.join(folder, "httpd.log")) as server, \
            tempfile.TemporaryDirectory(dir=scratch("http-screenshot"), ignore_cleanup_errors=True) as profile:
        dom = browse(profile, "--dump-dom", f"{server.url}/status")
        browse(profile, f"--screenshot={picture}", f"{server.url}/status")
        status = server.status()
    for word in ("<h1>httpd on Parvus</h1>", status["system"], "10.0.2.15/24", "52:54:00:12:34:56", "Memory"):
        assert word in dom, f"no {word} in the page"
    requests = re.search(r"<b>(\d+)</b><span class=\"soft\">requests</span>", dom)
    assert requests and 1 <= int(requests[1]) < status["requests"], f"{requests} requests of {status['requests']}"
    check_picture(picture)
