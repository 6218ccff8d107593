"""Pictures of pages for docs/images: in a wide and a narrow window, light and dark, side by side in one small PNG.

    python docs/screenshots.py docs/images/page-finished.png file:///tmp/reports/demo/report.html

Needs Debian's chromium and the packages of the tests.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from autosched.testing.chromium import chromium

WINDOWS = (("light", 1280, 2600), ("dark", 1280, 2600), ("light", 400, 2600), ("dark", 400, 2600))
SCALE = 0.5


def photographed(address: str) -> list[Image.Image]:
    """The page in every window, from its top."""
    found = []
    with chromium() as browser:
        for scheme, width, height in WINDOWS:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            context.set_default_timeout(120_000)
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("body[data-ready=true]")
            page.wait_for_timeout(3000)  # the pictures in sight are being drawn
            found.append(Image.open(io.BytesIO(page.screenshot())))
            context.close()
    return found


def beside(pictures: list[Image.Image]) -> Image.Image:
    """Pictures in a row, smaller, with few colours."""
    small = [picture.resize((int(picture.width * SCALE), int(picture.height * SCALE))) for picture in pictures]
    row = Image.new(
        "RGB", (sum(one.width for one in small) + 8 * (len(small) - 1), max(one.height for one in small)), "#888"
    )
    at = 0
    for one in small:
        row.paste(one, (at, 0))
        at += one.width + 8
    return row.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("address")
    arguments = parser.parse_args()
    beside(photographed(arguments.address)).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
