"""Pages show and play what they were given, load nothing, and can be used without a mouse."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from browser import Browser, chromium
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from instructme.pipelines.pages import PageClip, Row, comparison_page, pictures, sound, training_page
from instructme.pipelines.pages.views import change_view, row_view

RATE = 8000
HOSTILE = """</title></script><script>alert(1)</script><img src=x onerror=alert(1)>"' onclick="alert(1) {{ 7*7 }} &amp;"""


def tone(hz: float, seconds: float = 2.0, rate: int = RATE, level: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def note(hz: float, seconds: float = 2.0) -> np.ndarray:
    """Play a note with eight partials."""
    return sum(tone(hz * partial, seconds, level=0.1 / partial) for partial in range(1, 9) if hz * partial < RATE / 2)


def pixels(uri: str) -> np.ndarray:
    """Decode a picture to (rows, columns, RGBA), lowest row first."""
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))[::-1].astype(float)


def light(colours: np.ndarray) -> np.ndarray:
    return colours[..., :3] @ np.array([0.2126, 0.7152, 0.0722])


class Parsed(HTMLParser):
    """The tags and texts of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):  # noqa: D102
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):  # noqa: D102
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    clips = [PageClip(HOSTILE, tone(440, 0.5), RATE), PageClip(HOSTILE, np.zeros(0, np.float32), RATE)]
    curves = {HOSTILE: {HOSTILE: [(0.0, 1.0), (1.0, 0.5)]}}
    training_page(folder / "a.html", HOSTILE, [Row(HOSTILE, clips)], curves)
    a, b = tone(440, 0.5), tone(660, 0.5)
    comparison_page(folder / "b.html", HOSTILE, a, b, RATE, instruction=HOSTILE, rounds=[(HOSTILE, b)], variations=[a])
    return [folder / "a.html", folder / "b.html"]


def test_what_users_write_stays_text(hostile: list[Path]) -> None:
    for path in hostile:
        page = Parsed(path)
        assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}]
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
        assert all(attributes["src"].startswith("data:") for tag, attributes in page.tags if tag == "img")
        assert page.texts.count(HOSTILE) >= 3
        assert (HOSTILE, "49") not in zip(page.texts, page.texts[1:], strict=False)


def test_nothing_is_loaded_from_anywhere(hostile: list[Path]) -> None:
    for path in hostile:
        page = Parsed(path)
        links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
        assert links and all(link.startswith("data:") for link in links)
        outside = [text for text in page.texts if text != HOSTILE]
        assert not re.search(r"https?:|@import|url\(", " ".join(outside))
        policy = next(each["content"] for tag, each in page.tags if tag == "meta" and each.get("http-equiv"))
        assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).random((100, 90)).astype(np.float16)
    rows = [Row("add piano", [PageClip("Source", note(220), RATE, matrix), PageClip("Edit", note(330), RATE)])]
    for name in ("a", "b"):
        training_page(tmp_path / f"{name}.html", "Edits", rows, {})
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_page_of_thirty_clips_is_under_ten_megabytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(240_000).astype(np.float32) * 0.1
    view = row_view(Row("", [PageClip("", noise, 24000)]), *sound.budget([10.0] * 30))
    clip = view.clips[0]
    size = len(clip.uri) + sum(len(picture.uri) + len(picture.path) for picture in clip.pictures)
    training_page(tmp_path / "empty.html", "", [], {})
    assert 30 * size + (tmp_path / "empty.html").stat().st_size < 10e6


@given(st.lists(st.floats(0, 20_000), max_size=40))
def test_players_keep_to_the_budget(seconds: list[float]) -> None:
    kbps, longest_s = sound.budget(seconds)
    played = [min(each, longest_s) for each in seconds]
    size = sum(played) * kbps * 1000 / 8 * 4 / 3
    assert size <= sound.PAGE_BYTES * 1.001 or longest_s == 10.0
    assert played == seconds or kbps == 64


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 17001])
def test_a_player_plays_what_it_was_given(rate: int) -> None:
    given = tone(440, 1.0, rate)
    head, data = sound.data_uri(given, rate, 128).split(",")
    heard, played_hz = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    assert head == "data:audio/mpeg;base64"
    assert abs(len(heard) / played_hz - 1.0) < 1e-4
    inside = slice(played_hz // 10, -played_hz // 10)
    wanted, got = 0.95 * tone(440, 1.0, played_hz)[: len(heard)][inside], heard[inside]  # LAME turns all down by 0.95
    assert np.sqrt(np.mean((got - wanted) ** 2)) < 0.01 * np.sqrt(np.mean(wanted**2))


def test_oddities_are_noted_not_refused(tmp_path: Path) -> None:
    broken = tone(440)
    broken[10:13] = np.nan, np.inf, -np.inf
    given = [broken, tone(440) * 10, np.zeros(100, np.float32), np.zeros(0, np.float32), tone(440, 0.001), tone(440, 30.0)]
    view = row_view(Row("", [PageClip("x", samples, RATE) for samples in given]), 64, 20.0)
    assert [list(clip.notes) for clip in view.clips] == [
        ["3 samples aren't finite: played as silence"],
        ["peaks 9.5 dB above full scale: clipped here"],
        ["silent"],
        ["empty"],
        [],
        ["the first 0:20 of 0:30"],
    ]
    assert view.seconds == view.clips[-1].seconds == 20.0
    assert [bool(clip.uri) for clip in view.clips] == [True, True, True, False, True, True]
    training_page(tmp_path / "page.html", "Odd", [Row("none", []), Row("odd", [PageClip("x", each, RATE) for each in given])], {})


def test_a_spectrogram_shows_a_tone_at_its_frequency_while_it_sounds() -> None:
    loud = np.concatenate([tone(1000, 1.0), np.zeros(RATE, np.float32)])
    clips = row_view(
        Row("", [PageClip("", loud, RATE), PageClip("", loud / 100, RATE), PageClip("", loud[:RATE], RATE)]), 64, 9.0
    ).clips
    loud_picture, quiet_picture, short_picture = (pixels(clip.pictures[1].uri) for clip in clips)
    place = {label: at for at, label in clips[0].pictures[1].ticks}["1 kHz"]
    brightness = light(loud_picture)
    assert abs(brightness[:, 100].argmax() - place * len(brightness)) <= 2
    assert brightness[:, 400].max() < 15 < 220 < brightness[:, 100].max()
    assert light(quiet_picture).max() < 0.7 * brightness.max()
    assert (short_picture[:, :238, 3] == 255).all() and (short_picture[:, 242:, 3] == 0).all()


def test_clips_of_other_rates_share_the_axes() -> None:
    clips = [PageClip("", tone(1000, 1.0, rate), rate) for rate in (8000, 24000)]
    first, second = (light(pixels(clip.pictures[1].uri)) for clip in row_view(Row("", clips), 64, 9.0).clips)
    assert abs(int(first[:, 200].argmax()) - int(second[:, 200].argmax())) <= 1


def test_a_waveform_reaches_its_peaks() -> None:
    samples = np.zeros(4800, np.float32)
    samples[2400], samples[1200] = 0.5, -0.25
    numbers = re.findall(r"[a-zA-Z][-\d ]+", pictures.waveform(samples, 2400, 4.0, 0.5))
    assert len(numbers) == 480  # half of the columns, there and back
    down = np.cumsum([0] + [int(step.split()[1]) for step in numbers[1:240]]) + int(numbers[0].split()[1])
    assert (down.argmin(), down.min()) == (120, 2)
    assert pictures.waveform(samples[:0], 2400, 4.0, 0.5) == ""


def test_the_chords_that_sound_are_named_and_drawn() -> None:
    matrix = np.zeros((100, 86), np.float16)
    matrix[1 + 9 + 12, :43] = 1  # A minor
    matrix[1 + 0, 43:] = 0.5  # C major
    matrix[1 + 7, 50] = 0.05  # not audible
    clips = [PageClip("", tone(220), RATE, matrix), PageClip("", tone(220), RATE)]
    picture, missing = (clip.pictures[2] for clip in row_view(Row("", clips), 64, 9.0).clips)
    assert [label for _, label in picture.ticks] == ["Am", "C"] and picture.rows == 2
    alpha = pixels(picture.uri)[..., 3].reshape(2, -1, 480).mean(axis=1)
    np.testing.assert_allclose(alpha[:, [5, 232, 248, 475]] / 255, [[1, 1, 0, 0], [0, 0, 0.5, 0.5]], atol=0.02)
    assert not pixels(missing.uri)[..., 3].any()
    with pytest.raises(ValueError, match="100, frames"):
        row_view(Row("", [PageClip("", tone(220), RATE, matrix.T)]), 64, 9.0)


@pytest.mark.parametrize(("low", "high"), [("A2", "C4"), ("F2", "A3"), ("D3", "F#3")])
def test_the_strongest_pitches_are_those_that_sound(low: str, high: str) -> None:
    hz = librosa.note_to_hz([low, high])
    salience = pictures.pitch_salience(note(hz[0]) + note(hz[1]), RATE, 2.0)[:, 240]
    first = librosa.note_to_midi("C1")
    assert {librosa.midi_to_note(first + row, unicode=False) for row in salience.argsort()[-2:]} == {low, high}
    octaves = {round(at * 84 - 0.5): label for at, label in pictures.PITCH_TICKS}
    assert all(librosa.midi_to_note(first + row) == label for row, label in octaves.items())


def test_a_pure_tone_is_seen_among_notes() -> None:
    level = pictures.pitch_salience(note(220) + tone(880, level=0.1), RATE, 2.0)
    shade = pictures.pitch_shades(level, level.max())[:, 240]
    row = {name: int(librosa.note_to_midi(name) - librosa.note_to_midi("C1")) for name in ("A3", "A5", "A1")}
    assert shade[row["A3"]] > 0.99 and shade[row["A5"]] > 0.2 > shade[row["A1"]]
    assert np.median(shade) == 0


def test_the_difference_is_shown_and_heard() -> None:
    source, added = note(220), tone(2000)
    pair = PageClip("Source", source + tone(500), RATE), PageClip("Edit", source + added, RATE)
    clip = change_view("", *pair, 128, 9.0).clips[2]
    heard, _ = soundfile.read(io.BytesIO(base64.b64decode(clip.uri.split(",")[1])), dtype="float32")
    assert np.corrcoef(heard[: len(added)], added - tone(500))[0, 1] > 0.99
    picture = pixels(clip.pictures[1].uri)
    rows = {label: round(at * len(picture)) for at, label in clip.pictures[1].ticks}
    red, _, blue, alpha = picture[[rows["2 kHz"], rows["500 Hz"]], 240].T
    assert alpha.min() > 200 and red[0] > blue[0] and red[1] < blue[1]
    assert picture[rows["2 kHz"] + 10 :, 240, 3].max() < 40


def test_the_heat_map_gets_lighter_evenly() -> None:
    colours = pictures.palette("heat") / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lightness = np.cbrt(light(linear))
    steps = np.diff(lightness)
    assert steps.min() > 0 and steps.max() < 3 * np.median(steps)


def test_colours_have_contrast_in_light_and_dark() -> None:
    css = (Path(pictures.__file__).parent / "templates" / "style.css").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): #(\w{6})", part)) for part in css.split("@media (prefers-color-scheme: dark)")[:2]]

    def luminance(colour: str) -> float:
        rgb = np.array([int(colour[at : at + 2], 16) for at in (0, 2, 4)]) / 255
        return float(light(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)))

    def contrast(one: str, other: str) -> float:
        dark, bright = sorted((luminance(one), luminance(other)))
        return (bright + 0.05) / (dark + 0.05)

    for scheme in schemes:
        text = [name for name in scheme if name in ("ink", "muted", "warn", "accent") or name.startswith("series")]
        assert len(text) == 10
        for name in text:
            assert min(contrast(scheme[name], scheme[ground]) for ground in ("panel", "ground")) >= 4.5, name
        assert contrast(scheme["on-accent"], scheme["accent"]) >= 4.5


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    clips = [PageClip(name, tone(440, 8.0), RATE) for name in ("Source", "Edit", "Target")]
    rows = [Row("add piano", clips), Row("a" * 300, [PageClip("b" * 300, tone(440, 1.0), RATE)])]
    curves = {"Loss": {"train": [(0.0, 1.0), (1.0, 0.5)]}}
    training_page(folder / "page.html", "Edits", rows, curves)
    with chromium(folder / "profile") as browser:
        browser.open(folder / "page.html")
        browser.js(
            """window.clips = [...document.querySelectorAll('.clip')];
            window.audio = clips.map((clip) => clip.querySelector('audio'));
            window.playing = () => audio.map((each) => !each.paused).indexOf(true);
            window.until = async (test) => { while (!test()) await new Promise((done) => setTimeout(done, 20)); return true; };
            0"""
        )
        yield browser


def middle(browser: Browser, selector: str) -> tuple[float, float]:
    left, top, width, height = browser.js(
        f"(() => {{ {selector}.scrollIntoView({{block: 'center'}}); const box = {selector}.getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    return left + width / 2, top + height / 2


def test_a_page_loads_quietly(browser: Browser) -> None:
    assert not [event for event in browser.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
    sent = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    assert sent and all(url.startswith(("data:", "file:")) for url in sent)
    assert browser.js("document.querySelectorAll('button[aria-label], [role=slider][aria-label]').length") == 8
    assert browser.js("[...document.images].every((image) => image.naturalWidth > 0 && image.alt)")


def test_a_click_seeks_and_one_clip_plays_at_a_time(browser: Browser) -> None:
    browser.click(*middle(browser, "clips[0].querySelector('.seek')"))
    assert browser.js("audio[0].currentTime") == pytest.approx(4.0, abs=0.05)
    assert browser.js("document.activeElement === clips[0].querySelector('.seek')")
    browser.press(" ")
    assert browser.js("until(() => playing() === 0 && audio[0].currentTime > 4.1)")
    assert browser.js("clips[0].querySelector('button').getAttribute('aria-label')") == "Pause Source"
    assert browser.js("audio[0].duration") == pytest.approx(8.0, abs=0.001)
    browser.press("2")
    assert browser.js("until(() => playing() === 1 && audio[1].currentTime > 4.15)") and browser.js("audio[0].paused")
    assert browser.js("until(() => parseFloat(clips[1].querySelector('.playhead').style.left) > 51)")
    browser.click(*middle(browser, "clips[1].querySelector('button')"))
    assert browser.js("until(() => playing() === -1)")


def test_arrow_keys_move(browser: Browser) -> None:
    browser.js("clips[2].querySelector('.seek').focus()")
    for key, at in (("ArrowRight", 1), ("PageUp", 6), ("PageUp", 8), ("ArrowLeft", 7), ("Home", 0)):
        browser.press(key)
        assert browser.js("audio[2].currentTime") == at
        assert browser.js("clips[2].querySelector('.seek').getAttribute('aria-valuenow')") == f"{at:.1f}"


def test_a_clip_that_ends_returns_to_its_start(browser: Browser) -> None:
    browser.js("clips[3].querySelector('button').click()")
    assert browser.js("until(() => playing() === 3)") and browser.js(
        "until(() => playing() === -1 && audio[3].currentTime === 0)"
    )


@pytest.mark.parametrize("width", [320, 700, 1600])
def test_a_page_fits_any_screen(browser: Browser, width: int) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    assert browser.js("document.documentElement.scrollWidth") <= width


def test_a_page_turns_dark(browser: Browser) -> None:
    shades = []
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colour = browser.js("getComputedStyle(document.body).backgroundColor")
        shades.append(sum(map(int, re.findall(r"\d+", colour))))
    assert shades[0] > 600 > 150 > shades[1]
