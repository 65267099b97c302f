"""Checks that an independent reader decodes the QR codes of a running server to the texts that were sent.

usage: check_qr.py URL TOKEN
"""

import re
import sys
import urllib.request

import zxingcpp

PIXELS = 4
TEXTS = [
    "1",
    "https://paths.example.org:8443/ingest/owntracks/TOKEN-0123456789abcdef",
    "HTTPS://PATHS.EXAMPLE.ORG/",
    "Pot čez Črno prst 山 🚲",
    '<svg onload="x">&amp;',
    "7" * 5596,
    "x" * 2331,
]


def picture(svg: str) -> memoryview:
    """Draws the runs of dark modules of a code."""
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', svg).group(1))
    width = side * PIXELS
    assert f'<path fill="#fff" d="M0 0h{side}v{side}H0z"/>' in svg, svg[:300]
    pixels = bytearray(b"\xff" * (width * width))
    for x, y, run in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", svg):
        left, top, length = (int(value) * PIXELS for value in (x, y, run))
        for row in range(top, top + PIXELS):
            pixels[row * width + left : row * width + left + length] = bytes(length)
    return memoryview(pixels).cast("B", (width, width))


def main(url: str, token: str) -> None:
    for text in TEXTS:
        request = urllib.request.Request(f"{url}/api/qr", text.encode(), method="POST")
        request.add_header("authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=120) as answer:
            assert answer.headers["content-type"] == "image/svg+xml", answer.headers
            svg = answer.read().decode()
        found = zxingcpp.read_barcodes(picture(svg), formats=zxingcpp.BarcodeFormat.QRCode)
        assert [code.text for code in found] == [text], (text[:60], found)
    print(f"{len(TEXTS)} QR codes decoded")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
