"""The hash of plain data, and how much of it names a thing."""

import hashlib
import json
from typing import Any

KEY_DIGITS = 20


def digest(value: Any) -> str:
    """The sha256, 64 hex digits, of plain data in canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
