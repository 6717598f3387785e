"""A bus with effects is the sum of its members; one with sounds of its own is not."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal
from test_parts import RATE_HZ, make, make_stem, reasons
from test_versions import hits

from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems import bus_effects
from instructme.dataset_tools.stored import Stored


def room(wave: Samples, seed: int, level: float) -> Samples:
    """Make the reverberation of a wave alone, at a level under it."""
    decay = np.arange(RATE_HZ // 2)
    tail = signal.fftconvolve(wave, np.random.default_rng(seed).standard_normal(len(decay)) * np.exp(-14 * decay / RATE_HZ))
    tail = tail[: len(wave)]
    return (level * tail * np.linalg.norm(wave) / np.linalg.norm(tail)).astype(np.float32)


KICK, SNARE, TOM = hits(0.5), hits(1.0, 0.6, seed=1), hits(1.5, 0.35, seed=2)
DRY = KICK + SNARE


def share(folder: Path, bus: Samples, level: float = 1.0) -> float:
    sounds = [Stored(folder).extend([(level * each).astype(np.float32)]) for each in (bus, KICK, SNARE)]
    return bus_effects.explained(sounds[0], sounds[1:], RATE_HZ)


@pytest.mark.parametrize(
    "bus", [DRY, 0.5 * KICK + SNARE, DRY + room(DRY, 5, 0.5), np.roll(DRY, 30), signal.lfilter([0.7, 0.2], [1, -0.1], DRY)]
)
def test_effects_are_explained(bus: Samples, tmp_path: Path) -> None:
    assert 0.97 < share(tmp_path, bus.astype(np.float32)) < 1.001


@pytest.mark.parametrize("bus", [DRY + 0.6 * TOM, TOM, np.random.default_rng(0).standard_normal(len(DRY))])
def test_sounds_of_its_own_are_not(bus: Samples, tmp_path: Path) -> None:
    assert share(tmp_path, bus.astype(np.float32)) < 0.95


@pytest.mark.parametrize("level", [1e-4, 100.0])
def test_the_level_changes_no_share(level: float, tmp_path: Path) -> None:
    for bus in (DRY + room(DRY, 5, 0.5), DRY + 0.6 * TOM):
        assert share(tmp_path, bus, level) == pytest.approx(share(tmp_path, bus), abs=1e-3)


def test_too_few_windows_explain_nothing(tmp_path: Path) -> None:
    assert bus_effects.explained(Stored(tmp_path).extend([DRY[:RATE_HZ]]), [Stored(tmp_path).extend([KICK])] * 2, RATE_HZ) == 0


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (room(DRY, 5, 0.5), -room(DRY, 5, 0.5), "mixture"),
        (room(DRY, 5, 0.5), room(DRY, 6, 0.5), "mixture"),
        (0.6 * TOM, 0.6 * TOM, "overlap"),
    ],
)
def test_a_stereo_bus_of_drums_is_not_summed_with_them(
    left: Samples, right: Samples, reason: str, channels: int, tmp_path: Path
) -> None:
    bus = 0.8 * np.stack([DRY + left, DRY + right], axis=1)
    stems = [make_stem(tmp_path, name, "drums", wave, family="drums") for name, wave in (("kick", KICK), ("snare", SNARE))]
    stems.append(make_stem(tmp_path, "drums", "drums", bus.astype(np.float32), family="drums"))
    rows, _, _, rejects = make(tmp_path, stems, channels=channels)
    assert reasons(rejects) == [("drums", reason)]
    assert rows["drums"].stems == (["kick", "snare"] if reason == "mixture" else ["drums", "kick", "snare"])


@pytest.mark.parametrize(("channels", "own"), [(1, ""), (2, ", with 20.0% of its power that they don't explain")])
def test_what_a_bus_that_is_left_out_has_on_its_sides_is_told(channels: int, own: str, tmp_path: Path) -> None:
    """A wide reverberation of a quarter of the drums' power: mono has nothing of it, stereo loses it."""
    wide = room(DRY, 5, 0.5)
    bus = np.stack([DRY + wide, DRY - wide], axis=1)
    stems = [make_stem(tmp_path, name, "drums", wave, family="drums") for name, wave in (("kick", KICK), ("snare", SNARE))]
    stems.append(make_stem(tmp_path, "drums", "drums", bus.astype(np.float32), family="drums"))
    *_, rejects = make(tmp_path, stems, channels=channels)
    assert [Path(row.item).stem for row in rejects] == ["drums"]
    assert rejects[0].detail.replace(f"{tmp_path}/", "").endswith(f": it is left out{own}"), rejects[0].detail
