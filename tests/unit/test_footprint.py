"""The memory estimate against what torch allocates on the CPU, and against what others measured on a GPU."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from safetensors.torch import save_model

from mindgauge import architecture, batches, footprint
from mindgauge.architecture import Architecture
from mindgauge.config import Settings, Train, overlaid
from mindgauge.errors import UserError
from mindgauge.files import write_json
from mindgauge.footprint import Rows
from mindgauge.plan import Plan

# Sides that differ, so that none stands for another.
SHAPE = {
    "vocab_size": 1000,
    "hidden_size": 192,
    "intermediate_size": 640,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
KINDS = {
    "Qwen2": {},
    "Qwen3": {},
    "Llama": {},
    "Gemma3": {"query_pre_attn_scalar": 32, "sliding_window": 64},
    "Mistral": {"sliding_window": None, "tie_word_embeddings": False},
}
ROWS, LENGTH = 4, 120


def numbers(**change):
    return {**Train().model_dump(), "batch_size": ROWS, "precision": "bf16", "batching": "padded", **change}


def built(kind, numbers):
    """A model of random weights with an adapter, and its architecture."""
    import torch
    import transformers
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}{'Text' if kind == 'Gemma3' else ''}Config")(**SHAPE, **KINDS[kind])
    dtype = torch.float32 if numbers["precision"] == "fp32" else torch.bfloat16
    config._attn_implementation = numbers["attention"].replace("auto", "sdpa")
    model = getattr(transformers, f"{kind}ForCausalLM")(config).to(dtype)
    model.config.use_cache = False
    count = sum(weights.numel() for weights in model.parameters())
    lora = LoraConfig(
        r=numbers["lora_r"],
        lora_dropout=numbers["lora_dropout"],
        use_dora=numbers["use_dora"],
        target_modules=numbers["target_modules"],
        task_type="CAUSAL_LM",
    )
    of = Architecture.read(model.config.to_dict(), count)
    return get_peft_model(model, lora).train(), of


def batch(numbers):
    import torch

    if numbers["batching"] == "packed":
        rows = [
            {"input_ids": [*range(20), *range(n, n + 100)], "labels": [-100] * 119 + [1], "weight": 1.0}
            for n in range(4)
        ]
        config = SimpleNamespace(_attn_implementation=numbers["attention"].replace("auto", "sdpa"))
        made = batches.packer(config)(rows)
        return {name: made[name] for name in ("input_ids", "position_ids", "attention_mask")} | {"use_cache": False}
    ids = torch.randint(0, SHAPE["vocab_size"], (ROWS, LENGTH))
    mask = torch.ones_like(ids)
    mask[0, -1] = 0  # a padded row, without which key and value are not repeated
    return {"input_ids": ids, "attention_mask": mask, "use_cache": False}


def forward(model, numbers):
    import torch

    with torch.autocast("cpu", torch.bfloat16, enabled=numbers["precision"] == "bf16"):
        return model.get_base_model().model(**batch(numbers)).last_hidden_state


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", [{}, {"target_modules": ["q_proj", "v_proj", "down_proj"], "use_dora": True}])
def test_weights_and_adapter_are_counted_as_torch_counts_them(kind, change, tmp_path):
    import torch

    asked = numbers(**change)
    model, of = built(kind, asked)
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    assert footprint.adapter_parameters(of, asked) == sum(weights.numel() for weights in trained)
    frozen = sum(w.numel() * w.element_size() for w in model.parameters() if not w.requires_grad)
    assert footprint.weights(of, asked) == frozen
    sum(weights.sum() for weights in trained).backward()
    optimiser = torch.optim.AdamW(trained)
    optimiser.step()
    states = [value for state in optimiser.state.values() for value in state.values() if value.numel() > 1]
    held = sum(value.numel() * value.element_size() for value in [*trained, *(w.grad for w in trained), *states])
    assert footprint.adapter(of, asked) == held
    plain = model.unload()
    save_model(plain, str(tmp_path / "model.safetensors"))
    write_json(tmp_path / "config.json", plain.config.to_dict())
    assert Architecture(**architecture.facts(tmp_path)["architecture"]) == of


def kept(model, numbers):
    """Bytes that autograd keeps of a forward pass, weights left out."""
    import torch

    own = {weights.untyped_storage().data_ptr() for weights in [*model.parameters(), *model.buffers()]}
    found = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        hidden = forward(model, numbers)
    assert hidden.requires_grad
    return sum(storage.nbytes() for storage in found.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_what_autograd_keeps_of_a_layer(kind, precision, dropout):
    asked = numbers(precision=precision, lora_dropout=dropout)
    model, of = built(kind, asked)
    told = of.layers * footprint.saved(of, asked, Rows(LENGTH), mask=4)
    assert told == pytest.approx(kept(model, asked), rel=0.08)


@pytest.mark.parametrize(
    "change", [{"batching": "packed"}, {"batching": "packed", "attention": "eager"}, {"use_dora": True}]
)
def test_what_autograd_keeps_of_a_layer_with_other_options(change):
    asked = numbers(**change)
    model, of = built("Qwen2", asked)
    told = of.layers * footprint.saved(of, asked, Rows(LENGTH, 20), mask=4)
    assert told == pytest.approx(kept(model, asked), rel=0.08)


@pytest.mark.parametrize("kind", ["Qwen2", "Gemma3"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_peak_of_a_step(kind, precision, checkpointing):
    from torch.profiler import ProfilerActivity, profile

    asked = numbers(precision=precision, lora_dropout=0.0)
    model, of = built(kind, asked)
    if checkpointing:
        model.enable_input_require_grads()
        model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})

    def step():
        forward(model, asked).float().pow(2).mean().backward()

    step()  # the gradients are there from now on
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step()
    now = peak = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    told = footprint.activations(of, asked, Rows(LENGTH), checkpointing=checkpointing)
    assert told == pytest.approx(peak, rel=0.12)


def test_four_bits_are_as_large_as_bitsandbytes_makes_them(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model, of = built("Mistral", numbers())
    model.unload().save_pretrained(str(tmp_path))
    options = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    loaded = AutoModelForCausalLM.from_pretrained(str(tmp_path), dtype=torch.bfloat16, quantization_config=options)
    held = 0
    for weights in loaded.parameters():
        held += weights.numel() * weights.element_size()
        if state := getattr(weights, "quant_state", None):
            held += state.absmax.nbytes + state.state2.absmax.nbytes
    assert footprint.weights(of, numbers(load_in_4bit=True)) == pytest.approx(held, rel=0.01)


# QwenLM/Qwen, README, "Profiling of Memory and Speed": LoRA of rank 64, one row, A100, GB by length.
PUBLISHED = {
    (32, 4096, 11008, 32, 151936, 7.72e9): {256: 20.1, 512: 20.4, 1024: 21.5, 2048: 23.8, 4096: 29.7, 8192: 36.6},
    (40, 5120, 13696, 40, 152064, 14.17e9): {256: 34.6, 512: 35.1, 1024: 35.3, 2048: 37.4, 4096: 42.5, 8192: 55.2},
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_figures(model):
    layers, hidden, intermediate, heads, vocabulary, count = model
    of = Architecture(layers, hidden, intermediate, heads, heads, 128, vocabulary, 2, False, int(count))
    asked = numbers(lora_r=64, batch_size=1)
    for length, measured in PUBLISHED[model].items():
        found = footprint.estimate(of, asked, Rows(length), checkpointing=True)
        # Their loss held the logits whole: in bf16, in fp32, and their gradient.
        whole = length * vocabulary * (2 + 4 + 4)
        assert (found.total - found.loss + whole) / 1e9 == pytest.approx(measured, rel=0.06), length


# Qwen2's 1.5B, of which DeepSeek-R1-Distill-Qwen-1.5B is one.
LARGE = Architecture(28, 1536, 8960, 12, 2, 128, 151936, 2, False, 1_777_088_000)


def test_a_gpu_that_is_too_small_is_told_with_what_would_fit():
    asked = numbers(batch_size=8)
    assert footprint.check("m", LARGE, asked, Rows(2048), 24) == ("", "")
    said, instead = footprint.check("m", LARGE, asked, Rows(4096), 14)
    assert "training m on rows of up to 4096 tokens takes about" in said and "GiB (weights 3.3" in said
    assert instead == "train: {batch_size: 4, gradient_accumulation: 8}"
    with pytest.raises(UserError, match="load_in_4bit: true"):
        footprint.check("m", LARGE, asked, Rows(2048), 5.5)
    with pytest.raises(UserError, match="activation_checkpointing: on"):
        footprint.check("m", LARGE, {**asked, "activation_checkpointing": "off"}, Rows(2048), 7)
    with pytest.raises(UserError, match="a smaller context, a smaller model"):
        footprint.check("m", LARGE, asked, Rows(4096), 2)
    of_all = footprint.least(LARGE, asked, Rows(2048))
    dealt = footprint.least(LARGE, {**asked, "parallel": "fsdp", "gpus": 2}, Rows(2048))
    assert dealt.weights == of_all.weights / 2 and dealt.activations == of_all.activations


def test_options_that_spare_memory_do():
    plain, packed = numbers(), numbers(batching="packed")
    rows = Rows(1200, 300)
    assert rows.tokens(packed) == 300 + 4 * 900 and rows.tokens(plain) == 4 * 1200
    assert footprint.adapter(LARGE, numbers(optimiser="adamw_8bit")) < 0.7 * footprint.adapter(LARGE, plain)
    assert footprint.adapter(LARGE, numbers(optimiser="adafactor")) < 0.6 * footprint.adapter(LARGE, plain)
    four, upcast = numbers(load_in_4bit=True), numbers(load_in_4bit=True, upcast=["norms", "lm_head"])
    assert footprint.weights(LARGE, four) < footprint.weights(LARGE, {**four, "double_quant": False})
    assert footprint.weights(LARGE, upcast) > footprint.weights(LARGE, four) + 2 * 151936 * 1536


def test_of_what_is_no_plain_decoder_nothing_is_said():
    assert Architecture.read({"vocab_size": 10}, 5) is None
    experts = {name: 8 for name in architecture.NEEDED} | {"num_experts": 4}
    assert Architecture.read(experts, 5) is None
    assert Architecture.read({"text_config": {name: 8 for name in architecture.NEEDED}}, 5).layers == 8


def test_the_main_process_tells_before_a_job_is_queued(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINDGAUGE_STORE", raising=False)
    for name in ("config", "data"):
        (tmp_path / name).symlink_to(ROOT / name)
    facts = {"architecture": asdict(LARGE), "tokens_a_character": 0.7, "longest_row": 2400}
    files = {name: {"sha256": "0", "size": 1} for name in ("train.jsonl", "val.jsonl")}
    asked = set()

    def gate(name, fact):
        asked.add((name, fact))
        return {"where": name, "files": files, "facts": facts}

    def plan(gib):
        config = overlaid([tmp_path / "config/demo.yaml"], tmp_path / "config/config.yaml")
        return Plan(Settings({**config, "site": {"gpu_memory_gib": gib}}), gate)

    with pytest.raises(UserError, match="training tiny-llama on rows of up to 2048 tokens"):
        plan(4).entry("train", "tiny-llama")
    assert {("base/tiny-llama", "architecture"), ("sft", "longest_row")} <= asked
    assert plan(80).entry("train", "tiny-llama") and plan(None).entry("train", "tiny-llama")
    assert not capsys.readouterr().err
    small = plan(10)
    assert small.entry("train", "tiny-llama") == small.entry("train", "tiny-llama")
    assert capsys.readouterr().err.count("to spare the tries: train: {batch_size: ") == 1
    # Activations are kept where the estimate says that they fit; that is a matter of pace, not of the key.
    paces = {gib: plan(gib).recipe("train", "tiny-llama") for gib in (10, 80, None)}
    assert [of.pace["activation_checkpointing"] for of in paces.values()] == ["on", "auto", "auto"]
    assert len({of.key for of in paces.values()}) == 1
    # What the store has is shown, whatever GPU this site has.
    recipe = plan(None).recipe("train", "tiny-llama")
    write_json(Path(f"results/.store/{recipe.where}/manifest.json"), {})
    assert plan(4).entry("train", "tiny-llama").endswith(recipe.key)
    # A model of which nothing is known is not refused.
    facts["architecture"] = None
    assert plan(4).entry("train", "tiny-qwen2")


def test_rows_are_as_long_as_their_characters_make_them_and_never_longer_than_the_context():
    assert Rows.of(1000, 400, 0.7, 4096) == Rows(872, 280) and Rows.of(1000, 400, 0.7, 512) == Rows(512, 280)
