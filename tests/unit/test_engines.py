"""The answering engines against brute force from plain forwards, against each other, and against themselves in other company."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import ROOT

from mindgauge import answers, chat, converting, tiny_models, trie
from mindgauge.engines import llama_cpp, shared
from mindgauge.engines import transformers as hf
from mindgauge.errors import UserError
from mindgauge.labels import Scheme

# Two values whose probabilities differ by less may change places with the company a record is evaluated in.
TIE = 1e-3
FAMILIES = {"tiny-qwen3": "qwen3", "tiny-llama": "llama3", "tiny-gemma3": "gemma3", "tiny-mistral": "mistral"}
SLOW = ("tiny-gemma3", "tiny-mistral")
# Values that share first tokens, and values of several tokens.
HARD = {
    "fields": [
        {"name": "risk", "kind": "nominal", "values": ["none", "suicidal", "self_harm", "self_hate", "violence"]},
        {"name": "score", "kind": "ordinal", "values": [0, 1, 10, 11, 100]},
    ]
}
WINDOW = 24
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
KINDS = ["sliding_attention", "full_attention", "sliding_attention"]
ARCHITECTURES = {
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE),
    "qwen2-window": lambda: transformers.Qwen2Config(
        **SHAPE, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1
    ),
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE),
    "llama": lambda: transformers.LlamaConfig(**SHAPE),
    "mistral-window": lambda: transformers.MistralConfig(**SHAPE, sliding_window=WINDOW),
    "gemma2-window": lambda: transformers.Gemma2Config(
        **SHAPE, sliding_window=WINDOW, layer_types=KINDS, query_pre_attn_scalar=16, attn_implementation="eager"
    ),
    "gemma3-window": lambda: transformers.Gemma3TextConfig(
        **SHAPE, sliding_window=WINDOW, layer_types=KINDS, query_pre_attn_scalar=16
    ),
}


def characters(text):
    """A made-up tokeniser: a token for each character, none of the special ones."""
    return [ord(character) + 3 for character in text]


def brute_force(scheme, tokenise, logits, prompt):
    """Label by label over the list of all answers, from plain forwards: labels and probabilities."""
    rows = [(tuple(tokenise(text)), answers.parse(scheme, text)) for text in answers.all_answers(scheme)]
    known = {}

    def steps(path, allowed):
        if path not in known:
            known[path] = logits([*prompt, *path])
        weights = np.exp(known[path][allowed] - known[path][allowed].max())
        return weights / weights.sum()

    chosen, probabilities = {}, {}
    for field in scheme.fields:
        left = [(ids, labels) for ids, labels in rows if chosen.items() <= labels.items()]
        masses = dict.fromkeys(field.values, 0.0)
        # Down the tokens of what is left, until all answers behind a path agree in the label.
        behind = [((), 1.0, left)]
        while behind:
            path, mass, of = behind.pop()
            if len({labels[field.name] for _, labels in of}) == 1:
                masses[of[0][1][field.name]] += mass
                continue
            allowed = sorted({ids[len(path)] for ids, _ in of})
            share = steps(path, allowed) if len(allowed) > 1 else [1.0]
            for token, probability in zip(allowed, share, strict=True):
                behind.append(((*path, token), mass * probability, [row for row in of if row[0][len(path)] == token]))
        probabilities[field.name], chosen[field.name] = masses, max(masses, key=masses.get)
    return chosen, probabilities


def plain(model):
    """Logits after the last of some ids, by a forward of its own without a cache or a mask."""

    def logits(ids):
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].double().numpy()

    return logits


def made_prompts(count, seed, beginning=40, longest=60):
    draw = np.random.default_rng(seed)
    first = draw.integers(3, 300, beginning).tolist()
    return [first + draw.integers(3, 300, draw.integers(1, longest)).tolist() for _ in range(count)]


def differences(one, other):
    """The largest difference of probabilities as far as both chose the same before, and the answers that part without a tie."""
    largest, parted = 0.0, 0
    for left, right in zip(one, other, strict=True):
        for name, of in left.probabilities.items():
            largest = max(largest, *(abs(of[value] - right.probabilities[name][value]) for value in of))
            if left.labels[name] != right.labels[name]:
                parted += abs(of[left.labels[name]] - of[right.labels[name]]) > TIE
                break
    return largest, parted


def check_valid(scheme, choices):
    for choice in choices:
        assert answers.parse(scheme, answers.canonical(scheme, choice.labels)) == choice.labels
        for field in scheme.fields:
            of = choice.probabilities[field.name]
            assert tuple(of) == field.values and math.isclose(sum(of.values()), 1.0, abs_tol=1e-9)
            assert choice.labels[field.name] == max(of, key=of.get)


@pytest.fixture(scope="module")
def hard():
    return Scheme.from_dict(HARD)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def small(request):
    """A small model of each architecture with random weights."""
    torch.manual_seed(1)
    return transformers.AutoModelForCausalLM.from_config(ARCHITECTURES[request.param]()).eval()


@pytest.mark.parametrize("of", ["default", "hard"])
def test_transformers_gives_what_plain_forwards_give(small, hard, scheme, of):
    of = {"default": scheme, "hard": hard}[of]
    made = trie.Trie.build(of, characters)
    prompts = made_prompts(5, seed=2)
    found = list(hf.TransformersEngine(small, made, batch_size=4).answer(prompts))
    check_valid(of, found)
    assert made.branches > 1
    for prompt, choice in zip(prompts, found, strict=True):
        labels, probabilities = brute_force(of, characters, plain(small), prompt)
        assert choice.labels == labels
        for name, values in probabilities.items():
            assert choice.probabilities[name] == pytest.approx(values, abs=1e-4)
    # The bound can be missed: another prompt, or a window not kept to, changes far more.
    assert differences(found[:-1], found[1:])[0] > 1e-2
    wide = hf.TransformersEngine(small, made)
    if wide.window is not None:
        wide.window = None
        assert differences(found, list(wide.answer(prompts)))[0] > 1e-2


def test_transformers_refuses_what_it_cannot_ask(hard):
    made = trie.Trie.build(hard, characters)
    model = transformers.AutoModelForCausalLM.from_config(ARCHITECTURES["llama"]())
    engine = hf.TransformersEngine(model, made)
    assert engine.longest == SHAPE["max_position_embeddings"] - made.room
    with pytest.raises(ValueError, match=f"prompt 1 has {engine.longest + 1} tokens; from 1 to {engine.longest}"):
        list(engine.answer([[3], [3] * (engine.longest + 1)]))
    with pytest.raises(UserError, match="token 500, the model only 300"):
        hf.TransformersEngine(model, trie.Trie.build(hard, lambda text: [*characters(text)[:-1], 500]))
    model.config.layer_types = ["chunked_attention"]
    with pytest.raises(UserError, match="chunked_attention"):
        hf.TransformersEngine(model, made)


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in FAMILIES]
)
def pair(request, tmp_path_factory, scheme):
    """The same weights for both backends, hardly trained, and prompts of the family's template."""
    name, root = request.param, tmp_path_factory.mktemp("pair")
    tiny_models.make(name, ROOT / "data/sample", answers.all_answers(scheme)[::37], root / "hf", steps=2)
    for part in ("gguf", "work"):
        (root / part).mkdir()
    converting.convert(root / "hf", root / "gguf", root / "work", name, "f32")
    template = (ROOT / f"config/templates/{FAMILIES[name]}.jinja").read_text()
    talk = chat.Chat.load(root / "hf", template, FAMILIES[name])
    texts = [
        "\n".join(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / "data/sample/CPsyCounE").rglob("*.json"))
    ]
    prompts = [
        talk.ids(talk.render("读学生的话，输出一行 JSON。", text[: 10 + 9 * n])) for n, text in enumerate(texts[:24])
    ]
    model = transformers.AutoModelForCausalLM.from_pretrained(str(root / "hf"), dtype=torch.float32).eval()
    return {"gguf": root / "gguf/model.gguf", "model": model, "talk": talk, "prompts": prompts}


def trie_of(pair, scheme):
    return trie.Trie.build(scheme, trie.following(pair["talk"].ids, pair["talk"].render("甲", "乙")))


def gguf_engine(pair, made, **options):
    return llama_cpp.LlamaCppEngine(pair["gguf"], made, threads=1, **options)


@pytest.fixture(scope="module")
def alone(pair, scheme):
    """Each record's choice without any company: an engine that has never seen another."""
    made, found = trie_of(pair, scheme), []
    for prompt in pair["prompts"][:6]:
        with gguf_engine(pair, made, context=1024, records=1) as engine:
            found += engine.answer([prompt])
    return found


def test_the_backends_agree_on_the_same_weights(pair, scheme, hard):
    for of in (scheme, hard):
        made = trie_of(pair, of)
        with gguf_engine(pair, made) as engine:
            gguf = list(engine.answer(pair["prompts"]))
        found = list(hf.TransformersEngine(pair["model"], made, batch_size=8).answer(pair["prompts"]))
        check_valid(of, gguf)
        largest, parted = differences(gguf, found)
        assert largest < 5e-3 and parted == 0  # llama.cpp keeps keys and values in 16 bits


def test_company_and_order_change_no_answer(pair, scheme):
    made, prompts = trie_of(pair, scheme), pair["prompts"]
    whole = {"batch": 512, "records": 16}
    found = {}
    for options in (whole, {"batch": 32, "records": 3}, {"batch": 64, "records": 1}, {"context": 600, "records": 16}):
        with gguf_engine(pair, made, **options) as engine:
            found[str(options)] = list(engine.answer(prompts))
            backwards = list(engine.answer(prompts[::-1]))[::-1]
        assert differences(found[str(options)], backwards)[1] == 0
    for size in (1, 5):
        found[str(size)] = list(hf.TransformersEngine(pair["model"], made, batch_size=size).answer(prompts))
    for of in found.values():
        largest, parted = differences(found[str(whole)], of)
        assert largest < 5e-3 and parted == 0


def test_a_record_alone_is_answered_as_in_a_crowd(pair, scheme, alone):
    with gguf_engine(pair, trie_of(pair, scheme)) as engine:
        for _ in range(2):  # and as after a crowd
            crowd = list(engine.answer(pair["prompts"]))
            largest, parted = differences(alone, crowd[: len(alone)])
            assert largest < 5e-3 and parted == 0
        engine.answer(iter(pair["prompts"]))
    # What is compared differs between records by far more than the bound.
    assert differences(crowd[:-1], crowd[1:])[0] > 0.02


@pytest.mark.parametrize("backend", ["llama.cpp", "transformers"])
def test_prompts_share_nothing_or_everything(pair, scheme, alone, backend):
    made, prompts = trie_of(pair, scheme), pair["prompts"]

    def check(engine):
        mixed = [prompts[0], prompts[1][1:], prompts[1], [prompts[0][-1]]]
        assert shared(mixed) == 0
        found = list(engine.answer(mixed))
        assert differences([alone[0], alone[1]], [found[0], found[2]])[0] < 5e-3
        same = list(engine.answer([prompts[2]] * 5))
        assert differences([alone[2]] * 5, same)[0] < 5e-3
        assert differences([alone[3]], list(engine.answer([prompts[3]])))[0] < 5e-3
        assert len(list(engine.answer([prompts[3][:1]]))) == 1 and list(engine.answer([])) == []
        with pytest.raises(ValueError, match="prompt 0 has 0 tokens"):
            list(engine.answer([[]]))

    if backend == "transformers":
        check(hf.TransformersEngine(pair["model"], made, batch_size=3))
    else:
        with gguf_engine(pair, made, context=1024) as engine:
            check(engine)


def test_answers_come_in_order_and_few_prompts_are_read_ahead(pair, scheme):
    made, taken = trie_of(pair, scheme), 0
    longest = max(map(len, pair["prompts"]))

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield pair["prompts"][taken % 5]

    with gguf_engine(pair, made, context=longest + made.room, records=2) as engine:
        stream = engine.answer(endless())
        found = [next(stream) for _ in range(10)]
        held = taken
        assert held <= 2 * llama_cpp.AHEAD and engine.records == 2
    assert differences(found[:5], found[5:])[1] == 0
    expected = list(hf.TransformersEngine(pair["model"], made).answer([pair["prompts"][n % 5] for n in range(1, 11)]))
    assert differences(found, expected)[1] == 0


def test_a_context_that_is_too_small_is_named(pair, scheme):
    made = trie_of(pair, scheme)
    with pytest.raises(UserError, match=f"a context of {made.room - 1} tokens is too small"):
        gguf_engine(pair, made, context=made.room - 1)
    with gguf_engine(pair, made, context=256) as engine:
        assert engine.longest == 256 - made.room
        with pytest.raises(ValueError, match=f"prompt 0 has 257 tokens; from 1 to {engine.longest}"):
            list(engine.answer([[5] * 257]))
        assert len(list(engine.answer([[5] * engine.longest] * 2))) == 2


def test_a_gguf_that_cannot_be_loaded_is_named(pair, scheme, tmp_path):
    made = trie_of(pair, scheme)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(pair["gguf"].read_bytes()[:4096])
    for path, what in (
        (broken, "cannot load"),
        (tmp_path / "none.gguf", "no such GGUF"),
        (Path(__file__), "cannot load"),
    ):
        with pytest.raises(UserError, match=what):
            llama_cpp.LlamaCppEngine(path, made)
    with pytest.raises(UserError, match="tokens"):
        gguf_engine(pair, trie.Trie.build(scheme, lambda text: [ord(of) + 100_000 for of in text]))


def test_a_closed_engine_can_be_closed_again_and_a_failed_batch_leaves_nothing(pair, scheme, alone):
    engine = gguf_engine(pair, trie_of(pair, scheme))
    decode, calls = engine._decode, iter(range(100))

    def failing(jobs):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return decode(jobs)

    engine._decode = failing
    with pytest.raises(KeyboardInterrupt):
        list(engine.answer(pair["prompts"]))
    engine._decode = decode
    assert differences(alone[:1], list(engine.answer(pair["prompts"][:1])))[0] < 5e-3
    stream = engine.answer(pair["prompts"] * 9)
    next(stream)
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        list(stream)
