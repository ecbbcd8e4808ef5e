"""HuBERT and wav2vec 2.0: real loading code, on tiny models of random numbers that are saved to disk first."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from aednerf.core.errors import InputError, MachineError
from aednerf.core.units import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, frames_for_samples
from aednerf.speech import hub
from aednerf.speech.encoder import SpeechEncoder, encode, find_encoder

transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra `hub`)")

NAMES = ("hubert", "wav2vec2")
SIZES = {
    "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": (8, 8, 8, 8, 8, 8, 8), "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def save_tiny(folder: Path, name: str, **changes) -> Path:
    import torch

    torch.manual_seed(0)
    kind = {"hubert": "Hubert", "wav2vec2": "Wav2Vec2"}[name]
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, **changes})
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def assets_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    for name in NAMES:
        save_tiny(folder, name)
    return folder


@pytest.fixture(params=NAMES)
def encoder(request, assets_folder, monkeypatch) -> SpeechEncoder:
    monkeypatch.setenv("AEDNERF_ASSETS", str(assets_folder))
    return find_encoder(request.param)


@pytest.fixture(autouse=True)
def forget_models():
    yield
    hub._load.cache_clear()


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def test_it_says_what_it_is(encoder):
    assert encoder.name in NAMES and encoder.dim == SIZES["hidden_size"]
    assert encoder.lookahead_s == 0.08 and encoder.silence.shape == (encoder.dim,)
    assert np.isfinite(encoder.silence).all()
    assert find_encoder(encoder.name) is encoder, "a model is loaded once"


@pytest.mark.parametrize("n", [0, 1, 319, 640, 5000, 12_345])
def test_any_cutting_gives_the_same_bits(encoder, n):
    samples = noise(n)
    whole = encode(encoder, samples)
    assert whole.shape == (frames_for_samples(n), encoder.dim) and whole.dtype == np.float32
    rng = np.random.default_rng(n)
    bounds = [0, *sorted(rng.integers(0, n + 1, 6)), n]
    stream = encoder.stream()
    pieces = [stream.push(samples[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)]
    np.testing.assert_array_equal(np.concatenate([*pieces, stream.flush()]), whole)
    np.testing.assert_array_equal(encoder.recording(samples), whole)


def test_a_row_needs_no_more_than_the_stated_look_ahead(encoder):
    """The first frame of a block needs all of it: a sample less, and the row does not come."""
    needed = 10 * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME + round(encoder.lookahead_s * SAMPLE_RATE_HZ)
    samples = noise(20 * SAMPLES_PER_FRAME)
    assert len(encoder.stream().push(samples[: needed - 1])) == 10
    rows = encoder.stream().push(samples[:needed])
    assert len(rows) == 12
    changed = samples.copy()
    changed[needed:] = 0.5
    np.testing.assert_array_equal(encode(encoder, changed)[:12], rows)
    changed[needed - 200 : needed] = -0.5
    assert np.abs(encode(encoder, changed)[10] - rows[10]).max() > 1e-4


def test_a_row_lies_at_its_time(encoder):
    """A burst changes its own frame's row more than any other."""
    samples = noise(30 * SAMPLES_PER_FRAME) * 0.01
    burst = samples.copy()
    burst[20 * SAMPLES_PER_FRAME : 21 * SAMPLES_PER_FRAME] += noise(SAMPLES_PER_FRAME, 1) * 0.02
    change = np.linalg.norm(encode(encoder, burst) - encode(encoder, samples), axis=1)
    assert change.argmax() == 20


def test_only_the_layers_that_are_read_are_kept(encoder):
    depth = {"hubert": 3, "wav2vec2": 3}[encoder.name]
    assert len(encoder._model.encoder.layers) == depth


def test_the_preprocessor_says_whether_loudness_matters(tmp_path, monkeypatch):
    (save_tiny(tmp_path, "hubert") / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))
    quiet = encode(find_encoder("hubert"), noise(9600) * 0.1)
    loud = encode(find_encoder("hubert"), noise(9600))
    assert np.abs(quiet - loud).max() > 1e-4


@pytest.mark.parametrize("bad", [np.zeros((10, 2), np.float32), np.array([0.0, np.nan], np.float32)])
def test_what_is_no_mono_sound_is_refused(encoder, bad):
    with pytest.raises(InputError, match="mono"):
        encoder.stream().push(bad)


def test_another_model_is_refused(tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    folder = save_tiny(tmp_path, "hubert")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("encoder.layers.2.final_layer_norm.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))
    with pytest.raises(InputError, match="another model than hubert.*lacks"):
        find_encoder("hubert")


def test_a_model_of_another_rate_is_refused(tmp_path, monkeypatch):
    save_tiny(tmp_path, "wav2vec2", conv_stride=(5, 2, 2, 2, 2, 2, 1))
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))
    with pytest.raises(InputError, match="320 samples"):
        find_encoder("wav2vec2")


def test_a_broken_folder_is_one_clear_line(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path, "hubert")
    (folder / "model.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))
    with pytest.raises(InputError, match="holds no model") as caught:
        find_encoder("hubert")
    assert "\n" not in str(caught.value)


def test_without_network_and_folder_the_text_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("AEDNERF_ASSETS", str(tmp_path))

    def refuse(*_, **__):
        raise OSError("We couldn't connect to\nthe hub")

    monkeypatch.setattr(transformers.HubertModel, "from_pretrained", refuse)
    with pytest.raises(MachineError, match="AEDNERF_ASSETS") as caught:
        find_encoder("hubert")
    assert "\n" not in str(caught.value)


def test_without_transformers_the_text_says_what_to_install(monkeypatch, assets_folder):
    monkeypatch.setenv("AEDNERF_ASSETS", str(assets_folder))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"aednerf\[hub\]"):
        find_encoder("hubert")
