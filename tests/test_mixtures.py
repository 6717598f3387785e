"""Stems that are heard twice: buses and mixtures of real and made stems, and what is none."""

from pathlib import Path

import numpy as np
import pytest

from instructme.dataset_tools import audio
from instructme.dataset_tools.audio import Samples
from instructme.dataset_tools.stems.mixtures import Overlap, overlaps, sketch
from instructme.dataset_tools.stored import Stored

RATE_HZ = 24000


def noise(seed: int, peak: float = 0.3, seconds: float = 4.0) -> Samples:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)) * peak / 4).astype(np.float32)


def seen(folder: Path, **waves: Samples) -> list[tuple[str, tuple[str, ...], bool]]:
    """Compare waves; give what overlaps: name, what it holds, and whether it is its sum."""
    sketches = {name: sketch(Stored(folder).extend([wave]), RATE_HZ) for name, wave in waves.items()}
    return [(each.name, each.holds, each.is_sum) for each in overlaps(sketches)]


@pytest.fixture
def song(data: Path) -> dict[str, Samples]:
    """Read five real stems of one song."""
    return {path.stem: audio.read(path, RATE_HZ) for path in sorted((data / "real_stems" / "mdn_multitrack").glob("*.*"))}


def test_real_stems_hold_nothing_of_each_other(song: dict[str, Samples], tmp_path: Path) -> None:
    assert len(song) == 5 and not seen(tmp_path, **song)


@pytest.mark.parametrize("levels", [(1.0, 1.0), (0.3, 0.9)])
def test_a_bus_of_two_real_stems_is_a_sum_also_behind_a_limiter(
    levels: tuple[float, float], song: dict[str, Samples], tmp_path: Path
) -> None:
    both = levels[0] * song["clav"] + levels[1] * song["horns"]
    assert seen(tmp_path, bus=np.tanh(2 * both / np.abs(both).max()), **song) == [("bus", ("clav", "horns"), True)]


def test_buses_of_buses_are_sums_and_nothing_else_is(tmp_path: Path) -> None:
    kick, snare, bass = noise(0), noise(1, 0.1), noise(2, 0.5)
    stems = {"kick": kick, "snare": snare, "bass": bass, "drums": kick + snare, "mix": 0.5 * (kick + snare + bass)}
    found = seen(tmp_path, **stems)
    assert {name for name, _, _ in found} == {"drums", "mix"} and all(is_sum for _, _, is_sum in found)


def test_what_holds_more_than_others_explain_is_no_sum(tmp_path: Path) -> None:
    kick, snare = noise(0), noise(1)
    assert seen(tmp_path, kick=kick, snare=snare, drums=kick + snare + noise(2, 0.13)) == [("drums", ("kick", "snare"), False)]
    assert not seen(tmp_path, kick=kick, snare=snare, overheads=np.roll(kick, 50) + np.roll(snare, 40) + 0.5 * (kick + snare))


def test_a_master_that_no_instrument_names_is_a_sum(song: dict[str, Samples], tmp_path: Path) -> None:
    mix = np.stack([*song.values()]).sum(axis=0)
    sketches = {name: sketch(Stored(tmp_path).extend([wave]), RATE_HZ) for name, wave in song.items()}
    sketches["Highway"] = sketch(Stored(tmp_path).extend([np.tanh(6 * mix / np.abs(mix).max())]), RATE_HZ)
    (named,), (unnamed,) = overlaps(sketches), overlaps(sketches, {"Highway"})
    assert named.name == unnamed.name == "Highway" and 0.8 < named.share < 0.97
    assert unnamed.is_sum and not named.is_sum and "is left out" in unnamed.detail


def test_a_group_that_holds_one_of_its_stems_is_told(tmp_path: Path) -> None:
    kick, snare = noise(0), noise(1)
    sketches = {
        name: sketch(Stored(tmp_path).extend([wave]), RATE_HZ) for name, wave in (("kick", kick), ("drums", kick + snare))
    }
    assert not overlaps(sketches)
    assert [(each.name, each.holds, each.is_sum) for each in overlaps(sketches, groups={"drums"})] == [
        ("drums", ("kick",), False)
    ]


def test_two_stems_of_one_sound_are_told_once_and_no_sum(tmp_path: Path) -> None:
    voice = noise(0)
    assert seen(tmp_path, voice=voice, tuned=voice + noise(1, 0.05), bass=noise(2)) == [("tuned", ("voice",), False)]
    assert not seen(tmp_path, voice=voice, double=voice + noise(1, 0.3), bass=noise(2))


def test_a_loud_voice_and_its_choir_are_no_sum_but_their_bus_is(tmp_path: Path) -> None:
    voice, choir = noise(0), noise(1, 0.03)
    assert not seen(tmp_path, voice=voice, choir=choir)
    assert seen(tmp_path, voice=voice, choir=choir, vox=0.7 * (voice + choir)) == [("vox", ("choir", "voice"), True)]


@pytest.mark.parametrize("level", [0.5, -0.5, -1.0])
def test_a_bus_may_be_inverted(level: float, tmp_path: Path) -> None:
    assert seen(tmp_path, a=noise(0), b=noise(1), c=noise(2), bus=level * (noise(0) + noise(1)), d=noise(3)) == [
        ("bus", ("a", "b"), True)
    ]


def test_stems_of_any_length_and_silent_ones_are_compared(tmp_path: Path) -> None:
    long, short = noise(0), noise(1, seconds=2.3)
    bus = long.copy()
    bus[: len(short)] += short
    assert seen(tmp_path, bus=bus, long=long, short=short, none=np.zeros(999, np.float32)) == [("bus", ("long", "short"), True)]
    assert not seen(tmp_path, none=np.zeros(999, np.float32)) and not seen(tmp_path)


def test_what_a_bus_holds_of_its_own_is_told_as_it_is_left_out(tmp_path: Path) -> None:
    kick, snare, toms = noise(0), noise(1), noise(2, 0.05)
    stems = {"kick": kick, "snare": snare, "drums": kick + snare + toms}
    sketches = {name: sketch(Stored(tmp_path).extend([wave]), RATE_HZ) for name, wave in stems.items()}
    (bus,) = overlaps(sketches)
    assert bus.detail == "it is the sum of kick, snare: it is left out, with 1.4% of its power that they don't explain"
    sketches["drums"] = sketch(Stored(tmp_path).extend([kick + snare]), RATE_HZ)
    assert [each.detail for each in overlaps(sketches)] == ["it is the sum of kick, snare: it is left out"]


@pytest.mark.parametrize(("count", "held"), [(1, "a"), (3, "a, b, c"), (4, "a, b, c and 1 more"), (5, "a, b, c and 2 more")])
def test_a_few_of_many_stems_are_named_and_the_others_counted(count: int, held: str) -> None:
    assert Overlap("bus", tuple("abcde"[:count]), 1.0, True).detail == f"it is the sum of {held}: it is left out"


def test_the_sketch_of_a_channel_is_that_of_its_sound_alone(tmp_path: Path) -> None:
    """Longer than a block, and no whole number of pieces."""
    left, right = noise(0, seconds=45.01), noise(1, seconds=45.01)
    both = Stored(tmp_path, 2).extend([np.stack([left, right], axis=1)])
    for weights, wave in (((1.0, 0.0), left), ((0.5, -0.5), (left - right) / 2), ((), (left + right) / 2)):
        expected = sketch(Stored(tmp_path).extend([wave]), RATE_HZ)
        assert np.allclose(sketch(both, RATE_HZ, weights), expected, atol=1e-5)
