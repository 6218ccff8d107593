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
