"""Make small pieces of music for the tests of the metrics."""

import functools
import tempfile
from pathlib import Path

import numpy as np
from made_networks import save_clap, save_panns

from instructme.model.tagger import TagHead
from instructme.pipelines.evaluation import cells
from instructme.pipelines.evaluation.embeddings import Networks, clap_of_text
from instructme.pipelines.evaluation.features import Features, Sound
from instructme.pipelines.evaluation.spectra import RATE_HZ

_WEIGHTS = np.random.default_rng(0).standard_normal((6, 200))
HEAD = TagHead(("bass", "drums", "guitar", "piano", "strings", "voice"), _WEIGHTS, np.zeros(6), np.ones(6))
"""A tagger that knows nothing: good enough for what holds of any tagger."""
CHORDS = ((48, 52, 55), (45, 48, 52), (41, 45, 48), (43, 47, 50))
"""C, Am, F, G."""


def tones(pitches, seconds, rate_hz=RATE_HZ):
    """Play a chord of decaying harmonic tones."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    hz = 440 * 2 ** ((np.asarray(pitches) - 69) / 12)
    waves = [np.sin(2 * np.pi * f * n * time_s) / n**1.5 for f in hz for n in range(1, 7)]
    return (0.05 * np.sum(waves, axis=0) * np.exp(-1.5 * time_s)).astype(np.float32)


def chords(transpose=0, seconds=8.0, octave=12):
    """Play four chords, each twice a second long."""
    bar = seconds / 4
    return np.concatenate([np.tile(tones(np.array(each) + transpose + octave, bar / 2), 2) for each in CHORDS])


def drums(seconds=8.0, every_s=0.5, first_s=0.0, seed=0):
    """Hit a noise drum at a steady beat."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    hit = np.random.default_rng(seed).standard_normal(2400).astype(np.float32) * np.exp(-np.arange(2400) / 400)
    for start in np.arange(first_s, seconds - 0.11, every_s):
        at = round(start * RATE_HZ)
        out[at : at + 2400] += 0.15 * hit
    return out.astype(np.float32)


def noise(level_db, like, seed=1):
    """Make white noise at a level relative to a signal."""
    made = np.random.default_rng(seed).standard_normal(len(like)).astype(np.float32)
    return made * np.float32(np.sqrt(np.mean(like**2) / np.mean(made**2)) * 10 ** (level_db / 20))


@functools.cache
def networks():
    """Save networks that know nothing, once."""
    folder = Path(tempfile.mkdtemp())
    save_clap(folder, "rand_trunc")
    save_panns(folder / "panns.pth")
    return Networks(clap=folder, panns=folder / "panns.pth")


def features(edit, target, source, **facts):
    """Prepare the values that metrics take."""
    given = networks()
    described = clap_of_text("drums piano music", given.clap)
    found = {"cells": cells.find(target, source), "absent": True, "tagger": HEAD, "commanded": ("drums",), "described": described}
    sounds = {name: Sound(each, networks=given) for name, each in (("edit", edit), ("target", target), ("source", source))}
    return Features(sounds, {**found, **facts})
