"""SentencePiece tokenizers for the tiny models, of the kinds of Gemma 3 and of Mistral v0.3: byte-pair pieces with byte fallback,
white space as ▁. A base of such a family has its vocabulary twice, and so have these: tokenizer.model, which llama.cpp's
converter takes, and tokenizer.json, which transformers takes."""

import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgauge.files import read_json, write_json

# Gemma's longest runs of line ends and of spaces that are tokens of their own.
LONGEST_RUN = 31


@dataclass(frozen=True)
class Trained:
    """A SentencePiece model (the bytes of tokenizer.model), its pieces' ids, its merges in order, and those ids that are found
    in a text before anything is merged, with whether they are special."""

    model: bytes
    vocabulary: dict[str, int]
    merges: Any
    whole: dict[int, tuple[str, bool]]


def trained(texts: Iterable[str], size: int, controls: list[str], users: list[str], **options: Any) -> Trained:
    """A model of `size` pieces learnt from the lines of `texts`. `controls` are special tokens, `users` tokens that ordinary text
    holds; `options` are SentencePiece's."""
    from sentencepiece import SentencePieceTrainer
    from tokenizers.models import BPE
    from transformers.convert_slow_tokenizer import SentencePieceExtractor

    out = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=(line for text in texts for line in text.split("\n") if line),
        model_writer=out,
        model_type="bpe",
        vocab_size=size,
        byte_fallback=True,
        character_coverage=1.0,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        control_symbols=controls,
        user_defined_symbols=users,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    with tempfile.NamedTemporaryFile(suffix=".model") as file:
        Path(file.name).write_bytes(out.getvalue())
        found: Any = SentencePieceExtractor(file.name).extract(BPE)  # a dict, whatever its annotation says
    special = {token.content: token.special for token in found["additional_special_tokens"]}
    whole = {number: (piece, special[piece]) for piece, number in found["vocab"].items() if piece in special}
    return Trained(out.getvalue(), found["vocab"], found["merges"], whole)


def gemma3(texts: Iterable[str], size: int) -> tuple[Any, Trained]:
    """Gemma 3's kind: no space is put before a text; the marks of turns, and runs of line ends and of spaces, are pieces that its
    configuration declares, the marks as special."""
    from transformers import GemmaTokenizer

    turns = ["<start_of_turn>", "<end_of_turn>"]
    runs = ["\n" * count for count in range(1, LONGEST_RUN + 1)] + ["▁" * count for count in range(2, LONGEST_RUN + 1)]
    names = {"pad_piece": "<pad>", "eos_piece": "<eos>", "bos_piece": "<bos>", "unk_piece": "<unk>"}
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    found = trained(texts, size, [], ["<mask>", *turns, *runs], add_dummy_prefix=False, **names, **ids)
    whole = {number: (piece, special or piece in turns) for number, (piece, special) in found.whole.items()}
    found = Trained(found.model, found.vocabulary, found.merges, whole)
    made = GemmaTokenizer(vocab=found.vocabulary, merges=found.merges, model_max_length=4096)
    return _declared(made, found), found


def mistral(texts: Iterable[str], size: int) -> tuple[Any, Trained]:
    """Mistral v0.3's kind: SentencePiece puts a space before a text (tokenizer.json: before the first piece of it alone), the
    marks of an instruction are control tokens, and there is no token for padding."""
    from transformers import LlamaTokenizer

    ids = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
    found = trained(texts, size, ["[INST]", "[/INST]"], [], add_dummy_prefix=True, **ids)
    made = LlamaTokenizer(
        vocab=found.vocabulary, merges=found.merges, legacy=False, add_prefix_space=True, model_max_length=4096
    )
    return _declared(made, found), found


def _declared(made: Any, found: Trained) -> Any:
    from tokenizers import AddedToken

    tokens = [AddedToken(piece, normalized=False, special=special) for piece, special in found.whole.values()]
    made.add_tokens([token for token in tokens if not token.special])
    made.add_tokens([token for token in tokens if token.special], special_tokens=True)
    return made


def save(found: Trained, out: Path, kind: str, **config: Any) -> None:
    """Adds to a saved tokenizer what the published ones of its kind have: tokenizer.model, its class `kind`, and the declaration of
    whole tokens in tokenizer_config.json, which the converter reads."""
    (out / "tokenizer.model").write_bytes(found.model)
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    declared = {
        str(number): {"content": piece, "special": special, **flags} for number, (piece, special) in found.whole.items()
    }
    saved = read_json(out / "tokenizer_config.json")
    write_json(
        out / "tokenizer_config.json", saved | {"tokenizer_class": kind, "added_tokens_decoder": declared} | config
    )
