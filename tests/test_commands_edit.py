"""The verb `edit`: rounds, variations, lead and report; memory; one line for bad input."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from editing_stand_in import RATE, music, stand_in, tone

from instructme.model.checkpoint import save_weights, write_config
from instructme.model.config import override
from instructme.model.presets import TINY
from instructme.model.unet import Unet
from instructme.model.vae import Vae
from instructme.pipelines.cli import main
from instructme.pipelines.editing.editor import Editor

PRESET = override(
    TINY,
    [
        *("vae.strides=[1]", "vae.encoder_channels=[8]", "vae.decoder_channels=[8]", "vae.latent_channels=4", "clip_seconds=2.0"),
        *(
            "unet.channels=[8,8]",
            "unet.head_channels=8",
            "unet.chunk_frames=16",
            "diffusion.sampling_steps=2",
            "unet.chords=false",
        ),
    ],
)


def write_run(folder, preset):
    """Make a run folder of random weights."""
    write_config(folder, "editor", preset, {"data": {"instruments": ["bass", "drums"]}})
    save_weights(folder, "vae", Vae(preset.vae).state_dict())
    save_weights(folder, "weights", Unet(preset).state_dict())
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", PRESET)


@pytest.fixture
def half(monkeypatch):
    """Let every run halve what it shall remove, and add noise by seed where it shall add."""
    editor = stand_in(removed=0.5, added=lambda chunk: 0.1 * chunk.noise[:, :80])
    monkeypatch.setattr(Editor, "load", lambda *_, **__: editor)
    return editor


@pytest.fixture
def song(tmp_path):
    soundfile.write(tmp_path / "song.wav", music(3.3, 2, 44100), 44100, subtype="PCM_24")
    return tmp_path / "song.wav"


def invoke(run, *arguments):
    return CliRunner().invoke(main, ["edit", "--run", *map(str, (run, *arguments))])


def one_line(result, exit_code=1):
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    return (
        result.exit_code == exit_code and len(lines) == 1 and lines[0].startswith("Error: ") and "Traceback" not in result.output
    )


def test_a_run_folder_edits_a_file(run, song, tmp_path):
    out = tmp_path / "new" / "out.flac"
    result = invoke(run, song, "remove drums", "Please insert a viola", "-o", out, "--seed", 5)
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(out)]
    assert "not trained on viola" in result.stderr
    before, after = soundfile.info(song), soundfile.info(out)
    assert (after.frames, after.samplerate, after.channels, after.subtype) == (before.frames, 44100, 2, "PCM_24")
    first = soundfile.read(out)[0]
    assert np.isfinite(first).all() and np.abs(first).max() <= 1 and np.abs(first - soundfile.read(song)[0]).max() > 1e-3
    for seed in (5, 6):
        assert invoke(run, song, "remove drums", "add viola", "-o", out, "--seed", seed).exit_code == 0
        assert np.array_equal(first, soundfile.read(out)[0]) == (seed == 5)


def test_python_and_command_agree(run, song, tmp_path):
    assert invoke(run, song, "remove drums", "-o", tmp_path / "out.wav", "--device", "cpu").exit_code == 0
    audio, rate = soundfile.read(song, dtype="float32")
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "out.wav")[0], Editor.load(run).edit(audio, rate, "remove drums"), atol=1e-6
    )


@pytest.mark.usefixtures("half")
def test_rounds_follow_each_other_and_are_kept_if_asked_for(song, tmp_path):
    result = invoke("run", song, *["remove bass"] * 3, "-o", tmp_path / "out.wav", "--keep-rounds", "--no-preserve")
    names = ["out.round1.wav", "out.round2.wav", "out.wav"]
    assert result.stdout.split() == [str(tmp_path / name) for name in names]
    before = soundfile.read(song)[0].mean(axis=1)
    for name in names:
        after = soundfile.read(tmp_path / name)[0].mean(axis=1)
        assert np.linalg.norm(after) == pytest.approx(0.5 * np.linalg.norm(before), rel=0.02)
        before = after
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "song.wav"]


@pytest.mark.usefixtures("half")
def test_variations_take_the_next_seeds(song, tmp_path):
    assert invoke("run", song, "add bass", "-o", tmp_path / "a.wav", "--variations", 2, "--seed", 7).exit_code == 0
    assert not (tmp_path / "a.wav").exists()
    assert invoke("run", song, "add bass", "-o", tmp_path / "b.wav", "--seed", 8).exit_code == 0
    first, second, eighth = (soundfile.read(tmp_path / name)[0] for name in ("a.variation1.wav", "a.variation2.wav", "b.wav"))
    assert np.array_equal(second, eighth) and not np.array_equal(first, second)


@pytest.mark.usefixtures("half")
def test_a_warning_is_printed_once_for_all_variations(song, tmp_path):
    for _ in range(2):
        result = invoke("run", song, "remvoe drums", "remvoe bass", "-o", tmp_path / "a.wav", "--variations", 2)
        assert result.stderr.count('"remvoe" is read as "remove"') == 1, result.stderr


@pytest.mark.usefixtures("half")
def test_a_lead_lies_over_the_last_round_only(song, tmp_path):
    for name in ("plain.wav", "led.wav"):
        lead = ["--lead", tmp_path / "lead.flac"] if name == "led.wav" else []
        soundfile.write(tmp_path / "lead.flac", tone(500, 2.0, 16000), 16000)
        assert invoke("run", song, "remove bass", "remove drums", "-o", tmp_path / name, "--keep-rounds", *lead).exit_code == 0
    plain, led = (soundfile.read(tmp_path / name)[0] for name in ("plain.wav", "led.wav"))
    over = tone(500, 2.0, 44100)
    np.testing.assert_allclose((led - plain)[1000:-60000, 0], over[1000 : len(led) - 60000], atol=1e-3)
    np.testing.assert_allclose(led[:, 0] - plain[:, 0], led[:, 1] - plain[:, 1], atol=1e-6)
    assert np.array_equal(plain[2 * 44100 + 100 :], led[2 * 44100 + 100 :])
    rounds = (soundfile.read(tmp_path / name)[0] for name in ("plain.round1.wav", "led.round1.wav"))
    assert np.array_equal(*rounds)


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize(("right", "told"), [(-1.0, 1), (-0.9, 1), (-0.5, 0), (0.0, 0)])
def test_channels_that_cancel_are_told(song, tmp_path, right, told):
    wave = tone(200, 1.0, 16000)
    soundfile.write(tmp_path / "wide.wav", np.stack([wave, right * wave], axis=1), 16000)
    result = invoke("run", tmp_path / "wide.wav", "remove bass", "-o", tmp_path / "o.wav")
    assert len([line for line in result.stderr.splitlines() if "cancel, and their mean is edited" in line]) == told


@pytest.mark.usefixtures("half")
def test_a_lead_that_is_longer_than_the_song_is_told(song, tmp_path):
    seconds = soundfile.info(song).duration
    for longer_s, told in ((1.0, ["warning: lead.flac is 1.0 s longer than song.wav: its end is left out"]), (0.05, [])):
        soundfile.write(tmp_path / "lead.flac", tone(500, seconds + longer_s, 16000), 16000)
        result = invoke("run", song, "remove bass", "-o", tmp_path / "o.wav", "--lead", tmp_path / "lead.flac")
        lines = [line.replace(f"{tmp_path}/", "").replace(song.name, "song.wav") for line in result.stderr.splitlines()]
        assert [line for line in lines if "longer" in line] == told


@pytest.mark.usefixtures("half")
def test_music_of_another_length_than_its_header_states_is_edited_to_its_end_and_told(song, tmp_path):
    whole, frames = song.read_bytes(), soundfile.info(song).frames
    at = whole.index(b"data") + 4
    heads = {"less": (struct.pack("<I", 600), 1.0), "half": (whole[at : at + 4], 0.5), "right": (whole[at : at + 4], 1.0)}
    for name, (size, share) in heads.items():
        (tmp_path / f"{name}.wav").write_bytes((whole[:at] + size + whole[at + 4 :])[: int(len(whole) * share)])
        result = invoke("run", tmp_path / f"{name}.wav", "remove bass", "-o", tmp_path / "o.wav")
        told = [line for line in result.stderr.splitlines() if "its header states" in line]
        assert (result.exit_code, len(told)) == (0, name != "right"), result.output
        assert abs(soundfile.info(tmp_path / "o.wav").frames - share * frames) < 20


@pytest.mark.usefixtures("half")
def test_a_second_recording_in_one_file_is_told(song, tmp_path):
    soundfile.write(tmp_path / "a.flac", music(0.5, 2, RATE), RATE)
    for times, told in ((1, 0), (2, 1)):
        (tmp_path / "b.flac").write_bytes(times * (tmp_path / "a.flac").read_bytes())
        for inputs in ((tmp_path / "b.flac", "remove bass"), (song, "remove bass", "--lead", tmp_path / "b.flac")):
            result = invoke("run", *inputs, "-o", tmp_path / "o.wav")
            assert result.exit_code == 0 and result.stderr.count("only the first is read") == told, result.output


@pytest.mark.usefixtures("half")
def test_a_report_shows_source_rounds_and_variations(song, tmp_path):
    page = tmp_path / "page.html"
    result = invoke("run", song, "remove bass", "add piano", "-o", tmp_path / "o.wav", "--variations", 2, "--report", page)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert result.stdout.split()[-1] == str(page)
    assert "remove bass" in text and "add piano" in text and "song.wav" in text and "<audio" in text


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize("seconds", [0.01, 0.0001])
def test_10_ms_are_edited(tmp_path, seconds):
    soundfile.write(tmp_path / "a.wav", music(seconds, 1, 44100), 44100)
    assert invoke("run", tmp_path / "a.wav", "remove bass", "-o", tmp_path / "b.ogg").exit_code == 0
    assert soundfile.info(tmp_path / "b.ogg").frames == soundfile.info(tmp_path / "a.wav").frames


def test_10_ms_are_edited_by_a_run_that_hears_chords(tmp_path):
    run = write_run(tmp_path / "run", override(PRESET, ["unet.chords=true"]))
    soundfile.write(tmp_path / "a.wav", music(0.01, 1, 44100, level=0.2), 44100)
    result = invoke(run, tmp_path / "a.wav", "remove bass", "-o", tmp_path / "b.wav")
    assert result.exit_code == 0, result.output
    assert soundfile.info(tmp_path / "b.wav").frames == 441


@pytest.mark.usefixtures("half")
def test_silence_is_told_and_stays(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((RATE, 2)), RATE)
    result = invoke("run", tmp_path / "a.wav", "add bass", "-o", tmp_path / "b.wav")
    assert result.exit_code == 0 and "silent" in result.stderr
    assert not soundfile.read(tmp_path / "b.wav")[0].any()


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "sentence is empty"), ("  ", "sentence is empty"), ("x" * 10000, "10,000 characters"), ("add reverb", "reverb")],
)
def test_sentences_that_can_not_be_used_are_one_line(song, tmp_path, text, complaint):
    result = invoke("run", song, "remove bass", text, "-o", tmp_path / "out.wav")
    assert one_line(result, 2) and complaint in result.stderr and len(result.stderr) < 300
    assert not (tmp_path / "out.wav").exists()


def test_a_plan_is_printed_and_nothing_is_edited(tmp_path):
    def printed(*arguments):
        return CliRunner().invoke(main, ["edit", *map(str, arguments), "--plan"])

    result = printed("none.wav", "drums 6 dB louder", "remvoe the bass after 0:10")
    assert json.loads(result.stdout) == [
        {"task": "rebalance", "instruments": ["drums"], "gain_db": 6},
        {"task": "remove", "instruments": ["bass"], "start_s": 10},
    ]
    assert result.exit_code == 0 and 'warning: "remvoe" is read as "remove"' in result.stderr
    assert one_line(printed("none.wav", "remove drums", "make it faster"), 2)
    write_config(tmp_path, "editor", PRESET, {"data": {"templates": {"add": ["give {instrument}"]}}})
    assert json.loads(printed("none.wav", "give viola", "--run", tmp_path).stdout)[0]["task"] == "add"


def test_a_plan_loads_no_torch():
    code = (
        "import sys; from instructme.pipelines.sentences.sentence_reader import read; read('remove drums'); "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


@pytest.mark.usefixtures("half")
def test_the_order_of_the_first_version_still_works(song, tmp_path):
    result = CliRunner().invoke(main, ["edit", "run", str(song), "remove bass", "-o", str(tmp_path / "a.wav")])
    assert result.exit_code == 0 and (tmp_path / "a.wav").exists()
    assert CliRunner().invoke(main, ["edit", str(song), "remove bass", "--run", "run"]).exit_code == 2


@pytest.mark.usefixtures("half")
def test_steps_are_rounds_and_a_span_after_the_end_is_one_line(song, tmp_path):
    sentence = "remove the bass and drums, then add a piano after 0:01"
    result = invoke("run", song, sentence, "-o", tmp_path / "a.wav", "--keep-rounds")
    assert result.stdout.split() == [str(tmp_path / name) for name in ("a.round1.wav", "a.round2.wav", "a.wav")]
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("a.round2.wav", "a.wav"))
    assert np.array_equal(before[:44100], after[:44100]) and not np.allclose(before[45000:], after[45000:], atol=1e-4)
    result = invoke("run", song, "remove bass after 0:10", "-o", tmp_path / "b.wav")
    assert one_line(result) and "is 3.3 s long" in result.stderr and not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize("data", ["rock", {"instruments": 3}, {"templates": ["add"]}])
def test_a_run_that_is_damaged_where_it_describes_its_data_is_told(song, tmp_path, data):
    write_config(tmp_path / "run", "editor", PRESET, {"data": data})
    result = invoke(tmp_path / "run", song, "remove bass", "-o", tmp_path / "o.wav")
    assert one_line(result) and "damaged where it describes the data" in result.stderr and not (tmp_path / "o.wav").exists()


@pytest.mark.usefixtures("half")
def test_a_report_never_takes_the_place_of_the_music(song, tmp_path):
    result = invoke("run", song, "remove bass", "-o", tmp_path / "o.wav", "--report", tmp_path / "o.wav")
    assert one_line(result) and "would overwrite the edited music" in result.stderr and not (tmp_path / "o.wav").exists()


@pytest.mark.usefixtures("half")
def test_inputs_are_never_overwritten(song, tmp_path):
    (tmp_path / "link.wav").symlink_to(song)
    before = song.read_bytes()
    for output in (["-o", song], ["-o", tmp_path / "link.wav"], ["-o", tmp_path / "o.wav", "--report", song]):
        result = invoke("run", song, "remove bass", *output)
        assert one_line(result) and "would overwrite" in result.stderr
    kept = tmp_path / "o.round1.wav"
    song.rename(kept)
    assert one_line(invoke("run", kept, "remove bass", "remove drums", "--keep-rounds", "-o", tmp_path / "o.wav"))
    assert kept.read_bytes() == before


@pytest.mark.usefixtures("half")
def test_audio_that_can_not_be_used_is_one_line(song, tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("words")
    for name in ("nan.wav", "text.wav", "none.wav", "."):
        assert one_line(invoke("run", tmp_path / name, "remove bass", "-o", tmp_path / "out.wav")), name
        assert one_line(invoke("run", song, "remove bass", "-o", tmp_path / "out.wav", "--lead", tmp_path / name)), name
    assert one_line(invoke("run", song, "remove bass", "-o", tmp_path / "out.txt"))
    assert not list(tmp_path.glob("out*"))


def test_runs_that_can_not_be_used_are_one_line(run, song, tmp_path):
    def edit(folder, *more):
        return invoke(folder, song, "remove bass", "-o", tmp_path / "out.wav", *more)

    assert one_line(edit(tmp_path / "none")) and one_line(edit(song))
    broken = tmp_path / "broken"
    for damage in ("config.json", "vae.safetensors", "weights.safetensors"):
        broken.mkdir(exist_ok=True)
        for file in run.iterdir():
            (broken / file.name).write_bytes(file.read_bytes())
        (broken / damage).write_bytes((run / damage).read_bytes()[:50])
        assert one_line(edit(broken)), damage
        (broken / damage).unlink()
        assert one_line(edit(broken)), damage
    write_config(broken, "editor", override(PRESET, ["unet.channels=[16,16]"]))
    save_weights(broken, "weights", Unet(PRESET).state_dict())
    assert one_line(edit(broken))
    write_config(broken, "vae", PRESET)
    assert one_line(edit(broken))
    assert one_line(edit(run, "--device", "nonsense"))
    assert edit(run, "--prompt", "a happy music").exit_code == 2
    assert one_line(edit(run, "--prompt", "a happy music", "--embedding", tmp_path / "none"))
    assert one_line(edit(run, "--steps", 2000))
    assert not (tmp_path / "out.wav").exists()


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np, soundfile
sys.path.insert(0, {tests!r})
from click.testing import CliRunner
from editing_stand_in import stand_in
from instructme.pipelines.cli import main
from instructme.pipelines.editing.editor import Editor
editor = stand_in(removed=0.5)
Editor.load = lambda *_, **__: editor
CliRunner().invoke(main, ["edit", "--run", "run", {warm!r}, "remove bass", "-o", {out!r}])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = CliRunner().invoke(main, ["edit", "--run", "run", {song!r}, "remove bass", "add piano", "-o", {out!r}])
assert result.exit_code == 0, result.output
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_ten_minutes_need_no_more_memory_than_one(tmp_path):
    from pathlib import Path

    paths = {"tests": str(Path(__file__).parent), "out": str(tmp_path / "out.wav")}
    for name, seconds in (("minute", 60), ("ten", 600)):
        with soundfile.SoundFile(tmp_path / f"{name}.wav", "w", 44100, 2) as file:
            for second in range(seconds):
                file.write(music(1.0, 2, 44100, seed=second))
    minute, ten = str(tmp_path / "minute.wav"), str(tmp_path / "ten.wav")
    code = MEASURE.format(**paths, warm=minute, song=ten)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 30_000  # kB; ten minutes are 211 MB
