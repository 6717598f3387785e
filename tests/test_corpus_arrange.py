"""Arrangements of the corpus: what MMA is asked, and the melody and levels that are added to its accompaniment."""

from pathlib import Path

import mido
import numpy as np
import pytest

from instructme.dataset_tools.corpus import arrange, charts, lead, midi_score
from instructme.dataset_tools.corpus.grooves import Groove
from instructme.dataset_tools.corpus.songs import Song
from instructme.manifests.rows import DataError

TICKS = 192
CHART = charts.parse("some", "key: D:min\nmeter: 3/4\ntempo: 100\nstyle: pop\n\n| Dm7 | G / Am7 | Bbmaj7 |")


def song(leads: tuple[int, ...] = (0, 66), swings: bool = False) -> Song:
    return Song("Track00001", "train", CHART, 1, Groove("some/groove:Groove", "Pop", "3/4", swings, 60, 200, leads), 5, (7, 3))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a program stand in for MMA: piano on channel 0, bass on channel 1, drums; give the lines that it is asked."""
    lines: list[str] = []

    def run(command: list[str], **options: object) -> object:
        lines.extend(Path(command[-1]).read_text().splitlines())
        track = mido.MidiTrack()
        for channel, program in ((0, 0), (1, 33)):
            track.append(mido.Message("program_change", channel=channel, program=program))
        for channel in (0, 1, midi_score.DRUM_CHANNEL):
            track.append(mido.Message("note_on", channel=channel, note=50, velocity=80))
            track.append(mido.Message("note_off", channel=channel, note=50, time=TICKS))
        mido.MidiFile(ticks_per_beat=TICKS, tracks=[track]).save(command[command.index("-f") + 1])
        return type("Done", (), {"returncode": 0, "stdout": ""})

    monkeypatch.setattr(arrange.subprocess, "run", run)
    return lines


def test_mma_is_asked_for_the_chart(asked: list[str]):
    arrange.score(song())
    assert asked[0].startswith("RndSeed ") and asked[1:4] == ["Time 3", "Tempo 100", "Groove some/groove:Groove"]
    assert asked[4:] == ["1 Dm7 / /", "2 G / Am7", "3 BbM7 / /", "4 Dm7 / /", "5 G / Am7"]


def test_the_first_lead_that_mma_does_not_play_has_the_melody_and_the_lead_s_level(asked: list[str]):
    score, levels_lufs = arrange.score(song(leads=(0, 66)))
    assert score.lead_program == 66 and list(score.stems) == [0, 33, 66, midi_score.DRUMS]
    drawn = [arrange.score(Song(**{**vars(song()), "seed": (7, seed)}))[1] for seed in range(40)]
    means = {program: np.mean([levels[program] for levels in drawn]) for program in levels_lufs}
    spread = np.std([levels[33] for levels in drawn])
    assert means == pytest.approx({0: -25, 33: -22, 66: -20, midi_score.DRUMS: -20}, abs=0.8) and 1 < spread < 2
    assert arrange.score(song(leads=(33, 0)))[0].lead_program == 33, "the first where all are played"
    assert arrange.levels([0, 1, 33, midi_score.DRUMS]) == {0: -25, 1: -25, 33: -22, midi_score.DRUMS: -20}


@pytest.mark.parametrize(("program", "octave"), [*((low, -12) for low in (26, 27, 28, 57, 66)), (25, 0), (73, 0)])
@pytest.mark.parametrize("swings", [False, True])
def test_the_melody_is_played_on_a_channel_of_its_own(program: int, octave: int, swings: bool, asked: list[str]):
    score, _ = arrange.score(song(leads=(program,), swings=swings))
    change, *events = score.stems[program]
    assert (change[0], change[1].type, change[1].program, change[1].channel) == (0, "program_change", program, 2)
    assert {message.channel for _, message in events} == {2}
    rng = np.random.default_rng([arrange.zlib.crc32(b"some"), 1, 7])
    notes = lead.melody(CHART, 5, rng)
    notes = lead.swung(notes) if swings else notes
    on = [(tick, message.note, message.velocity) for tick, message in events if message.type == "note_on"]
    assert on == [(round(note.onset * TICKS), note.pitch + octave, note.velocity) for note in notes]
    off = [(tick, message.note) for tick, message in events if message.type == "note_off"]
    assert off == [(round((note.onset + 0.94 * note.duration) * TICKS), note.pitch + octave) for note in notes]
    assert [tick for tick, _ in events] == sorted(tick for tick, _ in events)


def test_tempo_and_meter_are_those_of_the_chart(asked: list[str]):
    (_, meter), (_, tempo) = arrange.score(song())[0].conductor
    assert (meter.numerator, meter.denominator, tempo.tempo) == (3, 4, 600_000)


def test_what_mma_says_is_told(monkeypatch: pytest.MonkeyPatch):
    done = type("Done", (), {"returncode": 1, "stdout": "noise Error: no such\n  groove"})
    monkeypatch.setattr(arrange.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(DataError, match="MMA can't play groove some/groove:Groove for some: no such groove: check"):
        arrange.score(song())
