"""Character shingles of a text as numbers, and how alike two texts are by them. Chinese has no words to split at."""

import numpy as np
import numpy.typing as npt

SIZE = 4
# Odd 64-bit constants (the fractional parts of square roots); the product mixes each place of a shingle differently.
PLACES = np.array([0x6A09E667F3BCC909, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1], dtype=np.uint64)


def packed(text: str) -> str:
    """The letters, digits and Han characters of a text: white space and punctuation make no difference."""
    return "".join(char for char in text if char.isalnum())


def shingles(text: str) -> npt.NDArray[np.uint64]:
    """A 64-bit number for each different 4-gram of the packed text; one for a shorter text."""
    codes = np.frombuffer(packed(text).ljust(SIZE).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - SIZE + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for place, factor in enumerate(PLACES):
        mixed += (codes[place : place + count] + np.uint64(1)) * factor
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return np.unique(mixed)
