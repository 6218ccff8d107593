"""What a frozen page carries, read back."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import Any


def document_of(page: str) -> dict[str, Any]:
    """The document inside a page."""
    found = re.search(r'<script type="text/plain" id="document">([\w+/=]*)</script>', page)
    assert found is not None
    document: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return document


def moments_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The moments of a document in order, without the fields that were not told of them."""
    found = [
        {"kind": kind, **{name: values[row] for name, values in columns.items() if values[row] is not None}}
        for stretch in document["moments"]
        for kind, columns in stretch.items()
        for row in range(len(columns["event"]))
    ]
    return sorted(found, key=lambda moment: moment["event"])
