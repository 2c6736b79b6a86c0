"""Character shingles of a text as numbers, and how alike two texts are by them. Chinese has no words to split at."""

import numpy as np
import numpy.typing as npt

SIZE = 4
# An odd 64-bit constant (the golden ratio's fraction); its powers weigh the places of a shingle.
FACTOR = 0x9E3779B97F4A7C15


def packed(text: str) -> str:
    """The letters, digits and Han characters of a text: white space and punctuation make no difference."""
    return "".join(char for char in text if char.isalnum())


def shingles(text: str, size: int = SIZE) -> npt.NDArray[np.uint64]:
    """A 64-bit number for each different `size`-gram of the packed text; one for a shorter text. Sorted."""
    codes = np.frombuffer(packed(text).ljust(size).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - size + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for place in range(size):
        mixed += (codes[place : place + count] + np.uint64(1)) * np.uint64(pow(FACTOR, 2 * place + 1, 1 << 64))
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return np.unique(mixed)
