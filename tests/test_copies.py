"""Copies of stems, and their opposites, are told and used once; microphones and one sample at two places are no copies."""

from pathlib import Path

import numpy as np
import pytest
from test_parts import RATE_HZ, make, make_stem, noise, reasons


def test_a_copy_of_a_stem_is_told_and_used_once(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, name, "bass", noise(1)) for name in ("bass", "bass (1)")]
    _, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("bass (1)", "twice")]
    assert np.abs(files["bass"] / 32768 - noise(1)).max() < 1e-4


def test_a_copy_under_the_name_of_another_instrument_is_told_and_used_once(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, name, instrument, noise(1)) for name, instrument in (("a", "guitar"), ("b", "piano"))]
    _, _, files, rejects = make(tmp_path, stems)
    (row,) = rejects
    assert reasons(rejects) == [("b", "twice")] and "a.wav, which is named guitar" in row.detail
    assert list(files) == ["guitar"]


COPIES = {
    "another level": lambda wave: 0.5 * wave,
    "another bit depth": lambda wave: np.rint(wave * 32767) / 32768,
    "noise of a dither": lambda wave: wave + np.random.default_rng(9).uniform(-1, 1, len(wave)) / 32768,
    "a silence before it": lambda wave: np.concatenate([np.zeros(500), wave]),
    "a silence behind it": lambda wave: np.concatenate([wave, np.zeros(9000)]),
    "two channels": lambda wave: np.stack([wave, wave], axis=1),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_that_is_not_equal_to_the_bit_is_told_too(kind: str, tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "bass", "bass", noise(2)), make_stem(tmp_path, "bass (1)", "bass", COPIES[kind](noise(2)))]
    _, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("bass (1)", "twice")] and np.abs(files["bass"][:48000] / 32768 - noise(2)).max() < 1e-4


@pytest.mark.parametrize(("later", "copies"), [(9600, 0), (400, 1)])
def test_one_sample_at_two_places_of_a_song_is_no_copy(later: int, copies: int, tmp_path: Path) -> None:
    """Two crashes of one sample, in files of one length; a latency is less."""
    waves = [np.zeros(48000, np.float32), np.zeros(48000, np.float32)]
    for wave, start in zip(waves, (2400, 2400 + later), strict=True):
        wave[start : start + 20000] = noise(2)[:20000]
    stems = [make_stem(tmp_path, f"crash {n}", "cymbals", wave, family="drums") for n, wave in enumerate(waves, 1)]
    rows, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("crash 2", "twice")] * copies and len(rows["cymbals"].stems) == 2 - copies
    assert copies or np.abs(files["cymbals"][:48000] / 32768 - waves[0] - waves[1]).max() < 1e-4


@pytest.mark.parametrize(("ends_earlier", "copies"), [(0, 0), (10_000, 0), (16_000, 1), (24_000, 1)])
def test_lengths_tell_a_copy_without_silence_from_a_sample_at_two_places(ends_earlier: int, copies: int, tmp_path: Path) -> None:
    """The first sound is a second earlier in one file; where that file lost its silence, it ends about a second earlier, too."""
    late, early = np.zeros(72_000, np.float32), np.zeros(72_000 - ends_earlier, np.float32)
    late[26_400:46_400] = early[2400:22_400] = noise(2)[:20_000]
    stems = [make_stem(tmp_path, name, "drums", wave) for name, wave in (("crash 1", late), ("crash 2", early))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("crash 2", "twice")] * copies and len(rows["drums"].stems) == 2 - copies


@pytest.mark.parametrize(("later", "told"), [(9600, True), (-9600, True), (30_000, False), (60_000, False)])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_copy_that_is_late_while_it_still_sounds_is_told_and_used(
    later: int, told: bool, channels: int, tmp_path: Path
) -> None:
    """An echo, or a file that was exported from another place: both are summed, and a table says so."""
    waves = [np.zeros(192_000, np.float32), np.zeros(192_000, np.float32)]
    for wave, start in zip(waves, (40_000, 40_000 + later), strict=True):
        wave[start : start + 64_000] = noise(4)[:64_000]
    stems = [make_stem(tmp_path, f"lead {n}", "guitar", wave) for n, wave in enumerate(waves, 1)]
    rows, _, _, rejects = make(tmp_path, stems, channels=channels)
    assert reasons(rejects) == [("lead 2", "overlap")] * told and rows["guitar"].stems == ["lead 1", "lead 2"]
    assert not told or f"{abs(later) / RATE_HZ:.3g} s {'later' if later > 0 else 'earlier'}" in rejects[0].detail


@pytest.mark.parametrize("later", [8, 60, 331])
def test_a_copy_that_is_late_by_part_of_a_sample_is_told(later: int, tmp_path: Path) -> None:
    """A plug-in's latency at 44.1 kHz is no whole number of samples at 24 kHz."""
    wave = 0.3 * np.random.default_rng(0).standard_normal(4 * 44_100).astype(np.float32)
    late = np.concatenate([np.zeros(later, np.float32), wave])[: len(wave)]
    stems = [make_stem(tmp_path, name, "vocals", each, 44_100) for name, each in (("vocals", wave), ("vocals 2", late))]
    *_, rejects = make(tmp_path, stems)
    assert [name for name, reason in reasons(rejects) if reason in ("overlap", "twice")] == ["vocals 2"]


def test_microphones_of_one_player_are_no_copies(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "guitar", noise(2)), make_stem(tmp_path, "b", "guitar", noise(2) + 0.05 * noise(2, seed=1))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("a", "overlap")] and rows["guitar"].stems == ["a", "b"]


def test_an_inverted_copy_does_not_silence_its_part(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "bass", noise(1)), make_stem(tmp_path, "b", "bass", -noise(1))]
    rows, _, _, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("b", "cancels")] and rows["bass"].rms_db > -40


def test_an_inverted_copy_under_another_name_does_not_silence_the_mix(tmp_path: Path) -> None:
    stems = [make_stem(tmp_path, "a", "piano", noise(1)), make_stem(tmp_path, "b", "synth pad", -0.5 * noise(1))]
    _, _, files, rejects = make(tmp_path, stems)
    assert reasons(rejects) == [("b", "cancels")] and list(files) == ["piano"]
