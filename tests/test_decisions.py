"""Pages "How it decides" and "When things go wrong" agree with the code: examples of names, constants, messages."""

import re
from pathlib import Path

import pytest

from instructme.dataset_tools import activity, clips, fingerprint, shared_files, shared_parts, song_files
from instructme.dataset_tools.beats import bar_witness, pulse_check, rhythm
from instructme.dataset_tools.midi import bar_check, grid_check, offset_check
from instructme.dataset_tools.pairing import combinations, matching
from instructme.dataset_tools.stems import (
    copies,
    headers,
    late_sums,
    mix_check,
    mixtures,
    name_check,
    parts,
    song_spectra,
    versions,
)
from instructme.manifests import instruments, splits
from instructme.pipelines.stages import verify

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/decisions.md").read_text()
MESSAGES = (ROOT / "docs/problems.md").read_text().partition("## Messages")[2].partition("\n## ")[0]
CONSTANTS = {
    "Stems may differ in length": f"{parts.LENGTH_TOLERANCE_S:g} s",
    "Longest file": f"{headers._LONGEST_S / 3600:g} h",
    "Long recordings": f"{rhythm.LONGEST_S // 60} min",
    "A bus or mixture is left out": f"{100 * mixtures.SUM:.0f} %",
    "A mixture whose name is no instrument's": f"{100 * mixtures.UNNAMED_SUM:.0f} %",
    "Stems that overlap are reported": f"{100 * mixtures.OVERLAP:.0f} % for several stems, {100 * mixtures.ALIKE:.0f} %",
    "A group beside one of its stems is reported": f"{100 * mixtures.GROUP_OVERLAP:.0f} %",
    "A copy of a stem at another time is reported": f"up to {copies._ECHO_S:g} s, and "
    f"by at most {100 * copies._ECHO_SHARE:.0f} %",
    "Sums of stems at another time are found, too": f"up to {song_spectra.FARTHEST_S:g} s",
    "A stem of equal length is not in the mix as it is": f"under {mix_check.HEARD:g} standard deviations at its own "
    f"time, and over {mix_check.CLEAR:g} at another one; or {mix_check.EXPECTED:g} is expected",
    "Stems are not all of the mix": f"less than {1 - mix_check.LACKING:.0%} of it; or less than "
    f"{1 - mix_check.LACKING_ALIKE:.1%}, and".replace("%", " %"),
    "Levels differ from the mix": f"by {mix_check.BALANCE_DB:g} dB",
    "Their lag is certain": f"{late_sums.HEIGHT:g} times",
    "`prepare`: the same sound in two parts": f"correlation {shared_parts.SAME:g}, over up to {shared_parts.HEARD_S} s",
    "Shortest stem that is compared": f"{shared_files.SHORTEST_S} s",
    "Takes are alternatives": f"{100 * versions.TOGETHER:.0f} %",
    "Dry and wet are one performance": f"coherence {versions.COHERENCE:g}, or common motion of levels {versions.COMMON_MOTION:g}",
    "The later of the two is used": f"coherence {versions.SURE_COHERENCE:g}, or common motion {versions.SURE_COMMON_MOTION:g}",
    "Bass without low notes": f"less than {name_check.LEAST_BASS:g} ",
    "Voices and high instruments": f"more than {name_check.MOST_LOW:g} ",
    "Notes that are noise": f"above {name_check.MOST_FLAT:g}",
    "Voices and guitars that are noise": f"above {name_check.MOST_FLAT_BREATH:g}",
    "Drums that play a melody": f"more than {name_check.MOST_MELODY:g} ",
    "A part starts": f"{activity.ONSET_UNDER_DB:g} dB",
    "A part ends": f"{activity.RELEASE_UNDER_DB:g} dB",
    "Quietest active frame": f"{activity.QUIETEST_DB:g} dBFS",
    "Gaps that are filled": f"{activity.LONGEST_GAP_FRAMES} frames",
    "A clip is dropped": f"less than {clips.MIN_SOUNDING:g} ",
    "Notes that must confirm a MIDI grid": f"{rhythm.LEAST_SHARE:g}",
    "Fewest notes of a grid check": f"{grid_check.FEWEST_NOTES}",
    "Weight of notes on beats, in MIDI": f"{rhythm.LEAST_BEAT_WEIGHT:g}",
    "Lead of the first beat, in MIDI": f"{rhythm.LEAST_BAR_LEAD:g}",
    "Reach of a lag that pitches tell": f"{offset_check.NEAR_S:g} s",
    "Next best lag of pitches, of the best": f"{offset_check.LARGEST_SECOND:g}",
    "Next best lag of onsets in this reach, of the best": f"{offset_check.LARGEST_SECOND_ONSET:g}",
    "Height of onsets at that lag, of the highest at any": f"{offset_check.LEAST_ONSETS:g}",
    "Concentration of note onsets": f"{grid_check.LEAST_CONCENTRATION:g}",
    "Largest lag of audio and MIDI": f"{1000 * grid_check.LARGEST_LAG_S:g} ms",
    "Largest drift of audio and MIDI": f"{1000 * grid_check.LARGEST_DRIFT_S:g} ms",
    "Correlation at that lag, of the highest": f"{grid_check.LEAST_PEAK:g}",
    "Agreement of beats and onsets in audio": f"{rhythm.LEAST_AGREEMENT:g}",
    "Lead of the downbeat in audio": f"{rhythm.LEAST_LEAD:g}",
    "Lead of another beat over the first beat of own bars": f"{bar_witness.LEAST_ALONE:g} standard errors",
    "Fewest sides of a dataset": f"{verify.FEWEST_SIDES}",
    "Fault: share of sides whose chords change most on one other beat, at least": f"{verify.LEAST_SHARE:g}",
    "and share of sides whose chords change most on the first beat, at most": f"{verify.LARGEST_FIRST:g}",
    "The same, where BeatNet hears its downbeats there too": f"{bar_witness.LEAST_BOTH:g} standard errors",
    "Lead of bars of another length": f"{bar_witness.LEAST_OTHER_BAR:g} standard errors",
    "The same, where BeatNet agrees": f"{bar_witness.LEAST_BOTH:g} standard errors",
    "Changes of chords on half-beats, against those on beats": f"{bar_witness.HALF_RATIO:g}",
    "Changes of chords on half-beats, in MIDI": f"{bar_check.LEAST_HALF_ALONE:g}, or {bar_check.LEAST_HALF:g} if",
    "Pulse of own beats": f"{pulse_check.LEAST_PULSE:g}",
    "Steadiness of the phase of own beats": f"{pulse_check.STEADY:g}",
    "Agreement of the audio's beats that may contradict own beats": f"{rhythm.LEAST_WITNESS:g}",
    "Farthest shift of own beats that is found": f"{pulse_check.FARTHEST_S:g} s",
    "Fewest beats": f"{rhythm.FEWEST_BEATS}",
    "Tempi": f"{rhythm.TEMPI_BPM[0]:g} to {rhythm.TEMPI_BPM[1]:g} bpm",
    "Largest beat error": f"{matching.MOST_ERROR_MS:g} ms",
    "Median beat error": f"{matching.MOST_MEDIAN_ERROR_MS:g} ms",
    "Tempo drift without stretching": f"{matching.MOST_DRIFT_MS:g} ms",
    "Fewest beats in a window": f"{matching.FEWEST_BEATS}",
    "Distance that is a fault": f"{1000 * pulse_check.LARGEST_LAG_S:g} ms",
    "Height of the activation there": f"{pulse_check.LEAST_ACTIVATION:g}",
    "Height there, against that within 20 ms of the beats": f"{pulse_check.LEAST_RATIO:g}",
    "Largest distance without drums": f"{pulse_check.WIDEST:g} of a beat",
}


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("rule", "value"), CONSTANTS.items())
def test_constants_are_those_of_the_code(rule: str, value: str) -> None:
    (cell,) = re.findall(rf"^\| {re.escape(rule)} \| ([^|]*) \|", PAGE, re.MULTILINE)
    assert re.search(rf"(?<![\w.-]){re.escape(value.strip())}(?![\w.])", cell), (cell, value)


def test_constants_of_sentences_are_those_of_the_code() -> None:
    assert f"At most {combinations.LARGEST} instruments" in PAGE and f"at most {combinations.MOST_PARTS} parts" in PAGE
    assert f"less than {fingerprint.SAME:g} of the bits" in PAGE and f"more than {splits.MOST_SHARING:g} of all tracks" in PAGE


def test_names_of_instruments_are_read_as_the_page_shows() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (yes|no) \|", section("Names of instruments"), re.MULTILINE)
    assert len(rows) >= 7
    for label, instrument, certain in rows:
        match = instruments.normalise(label)
        assert (match.instrument, match.certain) == (instrument, certain == "yes"), label


def test_folders_are_read_as_the_page_shows() -> None:
    rows = re.findall(r"^\| (`.*`) \| ([^|]+) \|$", section("Songs in one folder"), re.MULTILINE)
    assert len(rows) >= 4
    for files, songs in rows:
        names = [song.name for song in song_files.group(re.findall(r"`([^`]+)`", files)).songs]
        assert ", ".join(sorted(names)) == ("" if songs == "one song" else songs), files


def test_messages_of_the_page_are_in_the_code() -> None:
    code = "\n".join(
        path.read_text() for room in ("dataset_tools", "manifests", "model", "pipelines") for path in ROOT.glob(f"{room}/**/*.py")
    )
    begins = re.findall(r"`([^`]+)`", "".join(line.split("|")[1] for line in MESSAGES.splitlines() if line.startswith("| `")))
    assert len(begins) > 10
    assert all(f'"{begin}' in code for begin in begins), [begin for begin in begins if f'"{begin}' not in code]
