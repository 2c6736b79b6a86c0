import math

import numpy as np
import pytest
from conftest import template

from mindgauge import converting, fidelity, gguf_header
from mindgauge.chat import Chat
from mindgauge.errors import UserError
from mindgauge.gguf_header import read_header


def test_the_divergence_is_that_of_the_formula():
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    # Logits are log-probabilities up to a constant.
    reference, other = (np.log(of)[None].astype(np.float32) + shift for of, shift in ((p, 3.0), (q, -50.0)))
    assert fidelity.divergence(reference, other) == pytest.approx([0.25 * math.log(2)], abs=1e-6)
    assert fidelity.divergence(reference, reference).tolist() == [0.0]
    many = np.random.default_rng(1).normal(size=(3 * fidelity.CHUNK + 1, 7)).astype(np.float32)
    assert len(fidelity.divergence(many, many[:, ::-1])) == len(many)
    assert fidelity.divergence(many, many[:, ::-1]).min() >= 0


def test_what_is_counted_of_a_row():
    reference = np.zeros((4, 3), dtype=np.float32)
    reference[:, 0] = 1.0
    other = reference.copy()
    other[3] = [0.0, 2.0, 0.0]
    gap = fidelity.Gap()
    gap.add(reference, other, answer=2)
    found = gap.figures()
    assert (found["positions"], found["same_top"], found["max_abs_logit"]) == (4, 3, 2.0)
    assert found["kld"]["mean"] == pytest.approx(found["kld_answer"]["mean"] / 2, abs=1e-6)


def measured(made, rows, gguf):
    options = {"family": made["family"], "template": template(made["family"]), "context": 512, "rows": 3}
    return fidelity.compared(made["merge"], {"f16": gguf}, rows / "test.jsonl", **options)["variants"]["f16"]


def test_damage_shows(made, rows, tmp_path):
    """One tensor's bytes overwritten, another end token, another template: each is seen, and an undamaged file shows none."""
    whole = measured(made, rows, made["convert"] / "model.gguf")
    # Logits reach 15 here, and keys, values and activations are rounded to f16, by up to 1/2048 of each.
    assert whole["kld"]["max"] < 1e-4 and whole["max_abs_logit"] < 2e-2 and whole["same_top"] >= whole["positions"] - 1
    assert whole["template"] and whole["end_token"]
    path = tmp_path / "model.gguf"
    held = bytearray((made["convert"] / "model.gguf").read_bytes())
    tensor = next(
        of for of in read_header(made["convert"] / "model.gguf").tensors if of.name == "blk.1.ffn_down.weight"
    )
    place = slice(tensor.offset, tensor.offset + 2 * tensor.elements)  # f16
    # Pairs of weights change places.
    held[place] = np.frombuffer(held[place], dtype=np.uint16).reshape(-1, 2)[:, ::-1].tobytes()
    path.write_bytes(held)
    hashes = [gguf_header.tensor_hashes(of) for of in (made["convert"] / "model.gguf", path)]
    assert [name for name in hashes[0] if hashes[0][name] != hashes[1][name]] == ["blk.1.ffn_down.weight"]
    flipped = measured(made, rows, path)
    assert flipped["kld"]["mean"] > 100 * whole["kld"]["mean"] and flipped["max_abs_logit"] > 0.1
    chat = Chat.load(made["merge"], template(made["family"]), made["family"])
    other = Chat(chat.tokenizer, chat.template.replace("content", "contents"), made["family"])
    assert fidelity.header(made["convert"] / "model.gguf", other) == {"template": False, "end_token": True}
    other = Chat(chat.tokenizer, chat.template, made["family"])
    other.end_id = chat.end_id - 1
    assert fidelity.header(made["convert"] / "model.gguf", other) == {"template": True, "end_token": False}


def test_bf16_holds_the_weights_exactly_and_stays_within_its_bound(made, rows, tmp_path):
    import torch
    from safetensors.torch import load_file

    converting.convert(made["merge"], tmp_path, tmp_path, made["name"], "bf16")
    gguf = tmp_path / "model.gguf"
    held = {tensor.name: tensor for tensor in read_header(gguf).tensors}["blk.1.ffn_down.weight"]
    data = gguf.read_bytes()[held.offset : held.offset + 2 * held.elements]
    trained = load_file(made["merge"] / "model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    assert trained.dtype == torch.bfloat16 and trained.view(torch.int16).numpy().tobytes() == data
    assert measured(made, rows, gguf)["max_abs_logit"] < 8 * 0.05


def test_a_file_that_is_cut_off_is_refused(made, tmp_path):
    whole = (made["convert"] / "model.gguf").read_bytes()
    header_bytes = len(whole) - read_header(made["convert"] / "model.gguf").data_bytes
    for length, words in ((3, "not a GGUF"), (100, "ends in its header"), (header_bytes + 10, "cut off")):
        (tmp_path / "model.gguf").write_bytes(whole[:length])
        with pytest.raises(UserError, match=words):
            read_header(tmp_path / "model.gguf")
