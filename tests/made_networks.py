"""Save tiny networks with random weights, as the published ones are saved."""

import librosa
import torch

from instructme.model.panns import Cnn14

WIDTHS = (2, 2, 3, 3, 4, 4)


def save_clap(folder, truncation):
    """Save a tiny random CLAP as transformers does: 1 s at 16 kHz, words as tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1, "piano": 2, "drums": 3}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=64
    ).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = {"vocab_size": 8, "max_position_embeddings": 66, "pad_token_id": 0, **sizes}
    audio = {"spec_size": 64, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4], "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16, "hidden_size": 32, "window_size": 4}
    audio |= {"enable_fusion": truncation == "fusion", "fusion_type": "aff_2d"}
    torch.manual_seed(0)
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).eval()
    model.save_pretrained(folder)
    options = {"feature_size": 16, "sampling_rate": 16000, "hop_length": 160, "max_length_s": 1, "fft_window_size": 400}
    extractor = ClapFeatureExtractor(frequency_max=7000, truncation=truncation, **options)
    extractor.save_pretrained(folder)
    return model, extractor


def save_panns(path, classes=5):
    """Save a tiny random CNN14 with the names of the published file."""
    torch.manual_seed(0)
    network = Cnn14(WIDTHS, 64, classes)
    filters = torch.from_numpy(librosa.filters.mel(sr=16000, n_fft=512, n_mels=64, fmin=50, fmax=8000).T.copy())
    others = {"spectrogram_extractor.stft.conv_real.weight": torch.zeros(257, 1, 512), "logmel_extractor.melW": filters}
    torch.save({"iteration": 1, "model": {**network.state_dict(), **others}}, path)
    network.filters.copy_(filters)
    return network
