"""The presets `tiny`, `small`, `large` and `paper`.

`paper` is Tables 7 to 9 as printed. `small` is for real use on one GPU of 24 GB: 500 frames for 10 s make its 255 M
parameters cheap to train, and 4,800 numbers a second keep over 13 dB of unseen songs, where the paper's 1,000 can't. `large` is
`small` with a separator for a GPU, which `paper` has, too. `tiny` has the same parts in a size that two CPU cores train in
minutes; its first level is no narrower than a latent.
"""

import dataclasses

from instructme.model.config import (
    DiffusionConfig,
    EmbeddingConfig,
    Preset,
    SeparatorConfig,
    TextConfig,
    TrainingConfig,
    UnetConfig,
    VaeConfig,
)

# 96 channels at 50 Hz are 4,800 values/s. The linear path alone, a low pass at 2.4 kHz, keeps 13 dB SI-SDR of unseen songs
# before any training (64 channels: 10 dB). 1,200 steps of small, 8 x 1 s each, on one core: 13.6 dB, and the spectrum above
# 2.4 kHz is 8.9 dB off where a low pass is 25.6 dB off (tests/benchmarks/vae.py). Frames of 20 ms keep 10 s at 500 of them. The
# latent is nearly linear in the audio: that of source - removed is the difference of theirs, and silence is 0.
_SPECTRAL_VAE = VaeConfig(
    strides=(1,),
    encoder_channels=(256,),
    decoder_channels=(256,),
    kernels=(3,),
    dilations=(1, 3),
    latent_channels=96,
    transform="stft",
    fft_samples=960,
    hop_samples=480,
    linear_path=True,
    bias=False,
    log_variance=-9.0,
    discriminators=("period", "band"),
    reconstruction="spectral",
    reconstruction_weight=0.3,
    distortion_weight=1.0,
    adversarial="hinge",
    adversarial_weight=0.05,
    feature_weight=0.1,
)
_GATED = UnetConfig(gates=True, chords_on_way_up=True, text_in_steps=True)
_POSTERIOR_MEAN = DiffusionConfig(
    prediction="v",
    learned_variance=False,
    zero_terminal_snr=True,
    scale_input=True,
    terminal_share=0.3,
    predict="named",
    loss="log",
    joint_dropout=True,
    sampler="dpm++",
    sampling_steps=25,
    single_step_tasks=("remove", "extract"),
    text_guidance=2.0,
)
# About 10 M parameters: attention along time and across bands. Its layers cost 20 times the square of the width each.
_BAND_SPLIT = SeparatorConfig(network="bands", width=192, encoder_layers=3, decoder_layers=5)
_BAND_SPLIT_TRAINING = TrainingConfig(
    steps=100_000,
    batch_size=64,
    learning_rate=6e-4,
    betas=(0.9, 0.98),
    weight_decay=0.01,
    warmup_steps=500,
    decay="cosine",
    precision="bf16",
    segment_seconds=6.144,
)
_EMBEDDING_TRAINING = TrainingConfig(steps=2000, batch_size=64, learning_rate=1e-3)

PAPER = Preset(
    name="paper",
    sample_rate_hz=24000,
    clip_seconds=10.0,
    vae=VaeConfig(reconstruction_weight=1000.0),
    text=TextConfig(encoder="google-t5/t5-large", width=1024),
    unet=UnetConfig(activation_checkpointing=True),
    diffusion=DiffusionConfig(),
    embedding=EmbeddingConfig(),
    vae_training=TrainingConfig(
        steps=2_000_000,
        batch_size=16,
        learning_rate=2e-4,
        optimizer="adam",
        clip_norm=0.0,
        segment_seconds=1.0,
        discriminator_start_step=50_000,
    ),
    # An edit takes 200 steps of the sampler.
    editor_training=TrainingConfig(steps=200_000, batch_size=16, learning_rate=1e-4, precision="bf16", validation_edits=1),
    embedding_training=_EMBEDDING_TRAINING,
    separator=_BAND_SPLIT,
    separator_training=_BAND_SPLIT_TRAINING,
)

SMALL = Preset(
    name="small",
    sample_rate_hz=24000,
    clip_seconds=10.0,
    vae=_SPECTRAL_VAE,
    text=TextConfig(),
    unet=dataclasses.replace(_GATED, channels=(384, 576, 768), blocks=2, chunk_frames=128, source_blocks=2),
    diffusion=_POSTERIOR_MEAN,
    embedding=EmbeddingConfig(),
    vae_training=TrainingConfig(
        steps=30_000,
        batch_size=32,
        learning_rate=3e-4,
        betas=(0.8, 0.99),
        warmup_steps=1000,
        decay="cosine",
        segment_seconds=2.0,
        discriminator_start_step=7_500,
    ),
    editor_training=TrainingConfig(
        steps=200_000, batch_size=32, accumulation=2, learning_rate=2e-4, warmup_steps=1000, decay="cosine", precision="bf16"
    ),
    embedding_training=_EMBEDDING_TRAINING,
)

LARGE = dataclasses.replace(SMALL, name="large", separator=_BAND_SPLIT, separator_training=_BAND_SPLIT_TRAINING)

TINY = dataclasses.replace(
    SMALL,
    name="tiny",
    vae=dataclasses.replace(_SPECTRAL_VAE, dilations=(1,), discriminators=(), reconstruction_weight=0.1),
    unet=dataclasses.replace(_GATED, channels=(128, 128, 192), blocks=1, chunk_frames=64, source_blocks=1),
    embedding=EmbeddingConfig(width=64, hidden=128),
    vae_training=TrainingConfig(
        steps=60,
        batch_size=8,
        learning_rate=1e-3,
        betas=(0.8, 0.99),
        warmup_steps=20,
        decay="cosine",
        ema_decay=0.98,
        segment_seconds=1.0,
        validate_every=60,
        validation_triplets=32,
    ),
    editor_training=TrainingConfig(
        steps=60,
        batch_size=16,
        learning_rate=7e-4,
        warmup_steps=20,
        decay="cosine",
        ema_decay=0.99,
        segment_seconds=4.0,
        validate_every=60,
        validation_triplets=32,
        validation_edits=1,
    ),
    embedding_training=TrainingConfig(steps=100, batch_size=32, learning_rate=1e-3),
    separator=SeparatorConfig(width=96, encoder_layers=2, decoder_layers=3, condition_width=48),
    separator_training=TrainingConfig(
        steps=100,
        batch_size=8,
        learning_rate=2e-3,
        warmup_steps=20,
        decay="cosine",
        ema_decay=0.98,
        segment_seconds=2.56,
        validate_every=100,
        validation_triplets=16,
    ),
)

PRESETS = {preset.name: preset for preset in (TINY, SMALL, LARGE, PAPER)}
