"""The built-in corpus: charts and grooves are sound, and the truth beside the audio is what is heard."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import librosa
import mir_eval
import numpy as np
import pretty_midi
import pytest
import soundfile
import yaml
from click.testing import CliRunner
from hostile import HERE, invoke

from instructme.dataset_tools.corpus import arrange, charts, grooves, midi_score, songs
from instructme.manifests import genres, tables
from instructme.manifests.rows import DataError, Reject, Track
from instructme.pipelines import cli
from instructme.pipelines.stages import corpus as pipeline

CHARTS = {chart.name: chart for chart in charts.load()}
GROOVES = grooves.load()
needs_mma = pytest.mark.skipif(shutil.which("mma") is None, reason="mma isn't installed")
needs_programs = pytest.mark.skipif(
    not (shutil.which("mma") and shutil.which("fluidsynth") and pipeline.FLUIDR3.exists()),
    reason="mma, fluidsynth or FluidR3 isn't installed",
)
SECONDS = 8.0


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Render one chart in 3/4 in two genres, and one in 4/4: three short songs."""
    root = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pipeline.TIERS, "mini", (("quick_change", "north_wind"), SECONDS))
        pipeline.corpus(root, hours=4 * SECONDS / 3600, workers=2)
    return root


def tracks(root: Path) -> list[Path]:
    return sorted(root.glob("*/Track*"))


def metadata(track: Path) -> dict:
    return yaml.safe_load((track / "metadata.yaml").read_text())


def onsets_s(path: Path) -> np.ndarray:
    notes = [note.start for part in pretty_midi.PrettyMIDI(str(path)).instruments for note in part.notes]
    return np.unique(np.round(notes, 3))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@needs_mma
@pytest.mark.parametrize("groove", GROOVES, ids=lambda groove: groove.name)
def test_every_groove_plays_in_time(groove: grooves.Groove):
    assert groove.genre in genres.GENRES and groove.slowest_bpm < groove.fastest_bpm
    chart = next(chart for chart in CHARTS.values() if chart.meter == groove.meter)
    song = songs.Song("Track00001", "train", chart, 0, groove, 8, (0, 1))
    score, levels = arrange.score(song)
    assert set(levels) == set(score.stems) and len(score.stems) >= 3
    bar = score.ticks_per_beat * chart.beats_per_bar
    downbeats = np.arange(8) * bar
    programs = set(score.stems)
    fresh = [program for program in groove.leads if program in programs]
    assert fresh, "no lead was added"
    # A groove of another meter, or with a count-in, would put its bass and drums off the first beats of the bars.
    low = [midi_score.DRUMS, *midi_score.BASSES, 58, 26, 24]
    onsets = np.array([tick for p in low for tick, m in score.stems.get(p, []) if m.type == "note_on" and m.velocity])
    near = np.abs(downbeats[:, None] - onsets).min(axis=1) <= 0.08 * score.ticks_per_beat
    assert near.mean() >= 0.75
    everything = [tick for events in score.stems.values() for tick, m in events if m.type == "note_on" and m.velocity]
    assert 7 * bar <= max(everything) < 8 * bar + bar / 8


@needs_programs
def test_scan_and_prepare_have_nothing_to_tell_of_it(small: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert invoke("scan", small, "-o", work).exit_code == 0
    assert invoke("prepare", work, "--rhythm", "none", "--chords", "none", *HERE).exit_code == 0
    assert {row.mix_path for row in tables.read_rows(work / "tracks.parquet", Track)} == {
        f"{track.relative_to(small)}/mix.flac" for track in tracks(small)
    }
    assert tables.read_rows(work / "rejects.parquet", Reject) == []


@needs_programs
def test_mix_is_the_sum_of_the_stems(small: Path):
    assert len(tracks(small)) == 4
    for track in tracks(small):
        mix, rate_hz = soundfile.read(track / "mix.flac", dtype="int16")
        stems = [soundfile.read(path, dtype="int16")[0] for path in sorted((track / "stems").iterdir())]
        assert rate_hz == 44100 and soundfile.info(track / "mix.flac").channels == 1
        assert {len(stem) for stem in stems} == {len(mix)}
        np.testing.assert_array_equal(np.sum(stems, axis=0, dtype=np.int64), mix)
        assert max(np.abs(stem.astype(int)).max() for stem in [*stems, mix]) == pytest.approx(32768 * 10 ** (-1 / 20), abs=8)


@needs_programs
def test_metadata_is_that_of_slakh(small: Path, data: Path):
    genuine = yaml.safe_load((data / "slakh" / "Track00002" / "metadata.yaml").read_text())
    for track in tracks(small):
        ours = metadata(track)
        assert set(genuine) <= set(ours)
        assert {"genre", "chart", "licence", "tempo_bpm", "key"} <= set(ours)
        for stem in ours["stems"].values():
            assert set(stem) - {"lead"} == set(genuine["stems"]["S00"])
        assert [stem["lead"] for stem in ours["stems"].values() if "lead" in stem] == [True]
        classes = {s["program_num"]: s["inst_class"] for s in genuine["stems"].values()}
        assert all(s["inst_class"] == classes.get(s["program_num"], s["inst_class"]) for s in ours["stems"].values())


@needs_programs
def test_labels_are_the_programs_that_sound_and_levels_are_balanced(small: Path):
    for track in tracks(small):
        about = metadata(track)
        lufs = [stem["integrated_loudness"] for stem in about["stems"].values()]
        assert max(lufs) - min(lufs) < 12
        for name, stem in about["stems"].items():
            (heard,) = {
                128 if part.is_drum else part.program
                for part in pretty_midi.PrettyMIDI(str(track / "MIDI" / f"{name}.mid")).instruments
                if part.notes
            }
            assert heard == stem["program_num"] and stem["is_drum"] == (heard == 128)


@needs_programs
def test_notes_are_heard_where_the_midi_has_them(small: Path):
    errors: list[float] = []
    for track in tracks(small):
        for name in metadata(track)["stems"]:
            samples, rate_hz = librosa.load(track / "stems" / f"{name}.flac", sr=None)
            heard = librosa.onset.onset_detect(y=samples, sr=rate_hz, hop_length=256, units="time", backtrack=True)
            written = onsets_s(track / "MIDI" / f"{name}.mid")
            alone = written[np.diff(written, prepend=-1.0) > 0.12]
            distances = np.abs(alone[:, None] - heard).min(axis=1)
            errors += list(distances)
            assert np.median(distances) < 0.03, (track, name)
    assert np.median(errors) < 0.015


@needs_programs
def test_beats_and_chords_are_the_chart(small: Path):
    for track in tracks(small):
        about = metadata(track)
        chart = replace(CHARTS[about["chart"]], tempo_bpm=about["tempo_bpm"])
        beats = np.loadtxt(track / "beats.txt")
        bars = len(beats) // chart.beats_per_bar
        # Within a microsecond a beat: MIDI holds no finer tempo.
        np.testing.assert_allclose(beats[:, 0], np.arange(len(beats)) * 60 / chart.tempo_bpm, atol=1e-6 * len(beats))
        assert list(beats[:, 1]) == [*range(1, chart.beats_per_bar + 1)] * bars
        written = pretty_midi.PrettyMIDI(str(track / "all_src.mid"))
        np.testing.assert_allclose(written.get_beats()[: len(beats)], beats[:, 0][: len(written.get_beats())], atol=2e-6)
        assert f"{written.time_signature_changes[0].numerator}/4" == chart.meter
        intervals, labels = mir_eval.io.load_labeled_intervals(str(track / "chords.lab"))
        assert intervals[-1, 1] == pytest.approx(soundfile.info(track / "mix.flac").duration, abs=1e-3)
        seconds_per_beat = 60 / chart.tempo_bpm
        expected = [(a * seconds_per_beat, b * seconds_per_beat, label) for a, b, label in chart.segments(bars)]
        assert labels == [label for *_, label in expected] + ["N"]
        np.testing.assert_allclose(intervals[:-1, 0], [start for start, *_ in expected], atol=1e-4)


@needs_programs
def test_what_is_played_belongs_to_the_chords(small: Path):
    for track in tracks(small):
        about = metadata(track)
        intervals, labels = mir_eval.io.load_labeled_intervals(str(track / "chords.lab"))
        inside = total = 0.0
        for name, stem in about["stems"].items():
            if stem["is_drum"]:
                continue
            for part in pretty_midi.PrettyMIDI(str(track / "MIDI" / f"{name}.mid")).instruments:
                for note in part.notes:
                    index = int(np.searchsorted(intervals[:, 0], note.start + 0.03, side="right")) - 1
                    root, bitmap, _ = mir_eval.chord.encode(labels[index])
                    total += note.end - note.start
                    inside += (note.end - note.start) * (labels[index] != "N" and bitmap[(note.pitch - root) % 12])
        assert inside / total > 0.75, track


@needs_programs
def test_genres_of_a_chart_share_grid_and_melody(small: Path):
    pair = [track for track in tracks(small) if metadata(track)["chart"] == "north_wind"]
    assert len(pair) >= 2 and len({metadata(track)["genre"] for track in pair}) == len(pair)
    assert len({(track / "beats.txt").read_bytes() for track in pair}) == 1
    assert len({(track / "chords.lab").read_bytes() for track in pair}) == 1
    assert len({soundfile.info(track / "mix.flac").frames for track in pair}) == 1


@needs_programs
def test_same_bytes_for_any_workers_and_after_a_kill(small: Path, tmp_path: Path):
    once = contents(small)
    script = (
        "import sys; from pathlib import Path; from instructme.pipelines.stages import corpus as c\n"
        f"c.TIERS['mini'] = (('quick_change', 'north_wind'), {SECONDS})\n"
        f"if __name__ == '__main__': c.corpus(Path(sys.argv[1]), hours={4 * SECONDS / 3600}, workers=1)\n"
    )
    (tmp_path / "run.py").write_text(script)
    root = tmp_path / "again"
    command = [sys.executable, str(tmp_path / "run.py"), str(root)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not tracks(root) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < len(tracks(root)) < len(tracks(small))
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert contents(root) == once


@needs_programs
def test_finished_songs_are_kept_and_other_corpora_refused(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "copy"
    shutil.copytree(small, root)
    monkeypatch.setitem(pipeline.TIERS, "mini", (("quick_change", "north_wind"), SECONDS))
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*.flac")}
    summary = pipeline.corpus(root, hours=4 * SECONDS / 3600)
    assert (summary.tracks, summary.kept) == (4, 4)
    assert times == {path: path.stat().st_mtime_ns for path in root.rglob("*.flac")}
    first, second, *_ = tracks(root)
    old = {name: value for name, value in json.loads((first / "recipe.json").read_text()).items() if name != "bytes"}
    (first / "recipe.json").write_text(json.dumps(old))  # as version 0.1.0 wrote it
    (second / "mix.flac").write_bytes(b"cut")
    assert pipeline.corpus(root, hours=4 * SECONDS / 3600, workers=0).kept == 3
    assert (second / "mix.flac").read_bytes() == (small / second.relative_to(root) / "mix.flac").read_bytes()
    with pytest.raises(DataError, match="other tracks"):
        pipeline.corpus(root, hours=SECONDS / 3600)


@needs_programs
def test_a_dataset_that_is_not_ours_is_never_written_over(tmp_path: Path):
    theirs = tmp_path / "train" / "Track00001" / "metadata.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("stems: {}\n")
    with pytest.raises(DataError, match="Track00001"):
        pipeline.corpus(tmp_path)
    assert theirs.read_text() == "stems: {}\n"


def test_missing_programs_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(cli.main, ["corpus", str(tmp_path / "music")])
    assert result.exit_code == 1 and "apt-get install mma fluidsynth" in result.output
    assert len(result.output.strip().splitlines()) == 1


@needs_programs
def test_what_is_no_soundfont_is_refused(tmp_path: Path):
    (tmp_path / "x.sf2").write_text("hello")
    for path in (tmp_path / "x.sf2", tmp_path / "none.sf2"):
        with pytest.raises(DataError, match="soundfont"):
            pipeline.corpus(tmp_path / "music", soundfonts=[path])
