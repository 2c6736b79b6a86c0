"""SentencePiece's dummy prefix: the ▁ that some tokenizers, Mistral's among them, put before a text.

transformers puts it before the first piece of a text alone, and then before none of ours, since a prompt begins with a special
token; llama.cpp puts it after every special token, so that `[INST] 我` has a ▁ more there (llama-vocab.cpp, tokenize: SPM). Models
are trained and asked without it, and their GGUF says so (tokenizer.ggml.add_space_prefix): then both give the same tokens.
"""

import json
from typing import Any

SPACE = "▁"


def _parts(of: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """The parts of a component of tokenizer.json, which may be a sequence."""
    if of is None:
        return []
    return of[key] if of["type"] == "Sequence" else [of]


def _kept(of: dict[str, Any] | None, key: str, unwanted: dict[str, Any]) -> dict[str, Any] | None:
    """A component without those of its parts that have all values of `unwanted`."""
    parts = [part for part in _parts(of, key) if not unwanted.items() <= part.items()]
    return {"type": "Sequence", key: parts} if parts else None


def without(state: dict[str, Any]) -> dict[str, Any]:
    """What a tokenizer.json holds, without a dummy prefix; `state` itself if it has none. When decoding, no space is taken away
    either."""
    scheme = [part.get("prepend_scheme", "never") for part in _parts(state["pre_tokenizer"], "pretokenizers")]
    prepends = [part for part in _parts(state["normalizer"], "normalizers") if part.get("prepend") == SPACE]
    if not prepends and all(of == "never" for of in scheme):
        return state
    before = [
        {**part, "prepend_scheme": "never"} if part["type"] == "Metaspace" else part
        for part in _parts(state["pre_tokenizer"], "pretokenizers")
    ]
    return {
        **state,
        "normalizer": _kept(state["normalizer"], "normalizers", {"type": "Prepend", "prepend": SPACE}),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": before} if before else None,
        "decoder": _kept(state["decoder"], "decoders", {"type": "Strip", "content": " "}),
    }


def remove(tokenizer: Any) -> None:
    """Makes a loaded tokenizer of transformers put no dummy prefix."""
    from tokenizers import Tokenizer

    backend = tokenizer.backend_tokenizer
    state = json.loads(backend.to_str())
    changed = without(state)
    if changed is not state:
        # Its vocabulary stays where it is: only these three are taken over.
        made = Tokenizer.from_str(json.dumps(changed))
        backend.normalizer, backend.pre_tokenizer, backend.decoder = made.normalizer, made.pre_tokenizer, made.decoder
