"""Every file of dataset_tools/tasks keeps the contract, and its law finds what it says it finds."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import RATE_HZ, write_tables

from instructme.dataset_tools.pairing import pool as pools
from instructme.dataset_tools.pairing.edits import PairOptions
from instructme.dataset_tools.pairing.instructions import fields
from instructme.dataset_tools.sharding.laws import ROUNDING, off_the_beat
from instructme.dataset_tools.sharding.render import render
from instructme.dataset_tools.tasks import task_module, task_modules, task_names
from instructme.dataset_tools.triplets import Order, default_templates, draw
from instructme.manifests.rows import Triplet
from instructme.pipelines.editing.changes import from_changes

LENGTH = 10 * RATE_HZ
FIELDS = {"instrument", "instrument_a", "instrument_b", "instruments", "genre", "gain"}


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    write_tables(folder, 100, 3)
    order = Order("train", dict.fromkeys(task_names(), 30))
    table, _ = draw(pools.load(folder), [order], options=PairOptions(), templates=default_templates(), seed=0)
    return [Triplet(**row) for row in table.to_pylist()]


def read_part(track_id, instrument, start, length):
    """Make up part audio in 16 bit, loud enough that a mix needs a gain below 1."""
    rng = np.random.default_rng([len(track_id), *instrument.encode(), start])
    return rng.integers(-32000, 32000, length).astype(np.int16)


def clicks(beats, length=LENGTH, seed=0):
    """Make decaying bursts of noise at the beats, over a quiet pad: what drums and a synth would do."""
    rng = np.random.default_rng(seed)
    sound = 0.02 * np.sin(np.arange(length) * 2 * np.pi * 220 / RATE_HZ)
    burst = rng.normal(0, 0.3, 2000) * np.exp(-np.arange(2000) / 400)
    for beat in beats:
        stop = min(beat + 2000, length)
        sound[beat:stop] += burst[: stop - beat]
    return sound.astype(np.float32)


def test_tasks_are_shown_in_the_order_that_their_files_say():
    assert task_names() == ("add", "remove", "extract", "replace", "remix", "rebalance")


EXCEPTIONS = ("presets.py", "paper_tables.py", "rater_page.py", "protocols.py", "separator.py", "card.py")
"""A preset's list of tasks; what papers define for certain tasks: tables, protocols, and the questions of raters; the part and
the rest of a separator; and words of the format Croissant."""


def test_nothing_else_asks_for_a_task_by_its_name():
    root = Path(__file__).parent.parent
    names = "|".join(task_names())
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for room in ("manifests", "dataset_tools", "pipelines", "model")
        for path in (root / room).rglob("*.py")
        if path.parent.name != "tasks" and path.name not in EXCEPTIONS
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(rf"""["']({names})["']""", line) and "errors=" not in line and "help=" not in line
    ]
    assert not [line for line in found if not re.search(r'(en|de)code\("(utf-8|ascii)", "replace"\)', line)]


@pytest.mark.parametrize("task", task_modules())
def test_contract(task, recipes):
    module = task_modules()[task]
    assert module.__doc__
    assert module.SHARE >= 0
    assert module.KEEPS in ("all", "rest", "named", "none")
    assert set(module.FIELDS.values()) <= {"named", "added", "genre", "gain_db"}
    assert all(set(fields(text)) <= set(module.FIELDS) for text in (*module.TEMPLATES, *module.PHRASES))
    assert all(set(fields(template)) <= FIELDS for template in module.TEMPLATES)
    assert len([recipe for recipe in recipes if recipe.task == task]) == 30


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(task_names()), st.integers(0, 2**32 - 1))
def test_an_edit_put_together_from_its_changes_is_the_target(task, seed):
    bed, gone, new = np.random.default_rng(seed).integers(-8000, 8000, (3, 50)).astype(np.float32) / 32768
    module, silence = task_modules()[task], np.zeros(50, np.float32)
    source, target = {
        "all": (bed, bed + new),
        "rest": (bed + gone, bed + new * module.BRINGS),
        "named": (bed + gone, bed),
        "none": (bed, new),
    }[module.KEEPS]
    recipe = SimpleNamespace(gain_db=1)
    removed, added = module.split(
        source, target, exchanged=lambda: (gone, new if module.BRINGS else silence), recipe=lambda: recipe
    )
    np.testing.assert_allclose(module.compose(source, removed, added), target, atol=1e-6)
    latents = torch.from_numpy(np.stack([removed, added]))[None]
    edited = from_changes(task, torch.from_numpy(source)[None], latents, lambda latent: latent[:, 0])
    np.testing.assert_allclose(edited.sound[0], target, atol=1e-6)


@pytest.mark.parametrize("gain_db", [-9, -3, 3, 12])
def test_a_part_that_is_turned_is_taken_away_or_brought(gain_db):
    rebalance = task_modules()["rebalance"]
    mix, part = np.random.default_rng(0).normal(0, 0.1, (2, 50)).astype(np.float32)
    target = mix + np.float32(10 ** (gain_db / 20) - 1) * part
    np.testing.assert_allclose(rebalance.from_part(mix, part, gain_db), target, rtol=1e-6)
    removed, added = rebalance.split(mix, target, recipe=lambda: SimpleNamespace(gain_db=gain_db))
    assert not (removed if gain_db > 0 else added).any()
    np.testing.assert_allclose(rebalance.compose(mix, removed, added), target, atol=1e-6)


def test_words_say_the_gain_of_a_part():
    rebalance = task_modules()["rebalance"]
    said = (("drums louder", None), ("drums quieter", None), ("turn drums down", 4), ("turn drums up", 4))
    assert [rebalance.meant(*each) for each in said] == [6, -6, -4, 4]
    np.testing.assert_allclose(rebalance.from_part(np.ones(1), np.ones(1), None), 10 ** (6 / 20), rtol=1e-6)


def test_the_usual_mix_of_tasks_is_that_of_the_docs():
    shares = {name: task.SHARE for name, task in task_modules().items()}
    assert shares == {"add": 3, "remove": 2, "extract": 2, "replace": 3, "remix": 10, "rebalance": 0}


def test_only_tasks_whose_changes_differ_in_sound_need_the_parts():
    """Splitting a `replace` from its sides alone is not possible; reading parts for all tasks would take long."""
    assert [name for name, task in task_modules().items() if task.SPLIT_NEEDS_PARTS] == ["replace"]


@pytest.mark.parametrize("task", task_modules())
def test_counts_of_parts_are_those_of_the_paper(task, recipes):
    for recipe in (recipe for recipe in recipes if recipe.task == task):
        source, target = set(recipe.source_instruments), set(recipe.target_instruments)
        named, added = set(recipe.named), set(recipe.added)
        if task == "add":
            assert 1 <= len(source) <= 4
            assert target - source == added
            assert (len(added), named) == (1, set())
        elif task == "remove":
            assert 1 <= len(target) <= 4
            assert source - target == named
            assert (len(named), added) == (1, set())
        elif task == "extract":
            assert 2 <= len(source) <= 5
            assert target == named < source
        elif task == "replace":
            assert (source - target, target - source) == (named, added)
            assert 1 <= len(source & target) <= 4
        elif task == "rebalance":
            assert source == target and len(named) == 1 and named < source
            assert 3 <= abs(recipe.gain_db) <= 12 and str(abs(recipe.gain_db)) in recipe.instruction.replace("er", "er 6")
            assert (recipe.gain_db < 0) == ("down" in recipe.instruction or "quieter" in recipe.instruction)
        else:
            assert recipe.target_track != recipe.source_track


@pytest.mark.parametrize("task", [task for task in task_modules() if task != "remix"])
def test_law_holds_for_what_render_writes_and_breaks_with_it(task, recipes):
    law = task_modules()[task].law
    for recipe in [recipe for recipe in recipes if recipe.task == task][:5]:
        sides = render(recipe, read_part)

        def part(instrument, recipe=recipe):
            return read_part(recipe.source_track, instrument, recipe.source_start_samples, recipe.length_samples)

        beats = {"source_beats_samples": np.arange(10), "rate_hz": RATE_HZ}
        assert sides.gain < 1
        assert law(recipe, sides.source, sides.target, sides.gain, part, **beats) is None
        step = np.float32(1.2 / 32768)
        assert law(recipe, sides.source, sides.target + step, sides.gain, part, **beats)
        assert law(recipe, sides.source + step, sides.target + step, sides.gain, part, **beats)
        assert law(recipe, sides.source, np.roll(sides.target, 1), sides.gain, part, **beats)
        assert law(recipe, sides.source, sides.target, sides.gain * 0.999, part, **beats)


@pytest.mark.parametrize(("task", "moved"), [("add", 1), ("remove", 0), ("extract", 0), ("replace", 1), ("rebalance", 1)])
def test_two_sides_may_differ_by_the_rounding_of_both_and_no_more(task, moved):
    """All parts are silent, and one side is moved away from silence."""
    names = dict.fromkeys(("source_instruments", "target_instruments", "named", "added"), ("bass",))
    for roundings, fits in ((1.9, True), (2.5, False)):
        sides = np.zeros((2, 9), np.float32)
        sides[moved] = roundings * ROUNDING
        broken = task_module(task).law(SimpleNamespace(**names, gain_db=6), *sides, 1.0, lambda name: np.zeros(9, np.float32))
        assert (broken is None) == fits, broken


@pytest.mark.parametrize("bpm", [72, 112, 160])
def test_remix_law_hears_a_shift_of_60_ms(bpm, recipes):
    recipe = next(recipe for recipe in recipes if recipe.task == "remix")
    beats = np.rint(np.arange(0.3, 10, 60 / bpm) * RATE_HZ).astype(np.int64)

    def part(instrument):
        return read_part(recipe.source_track, instrument, recipe.source_start_samples, LENGTH)

    source = np.sum([part(name) for name in recipe.source_instruments], axis=0, dtype=np.float32) * np.float32(0.1 / 32768)
    source = np.rint(source * 32768).astype(np.float32) / 32768

    one = replace(recipe, target_instruments=["clicks"], target_stretch=1.0)

    def broken(target, parts=None):
        law, told = task_modules()["remix"].law, {"source_beats_samples": beats, "rate_hz": RATE_HZ}
        whole = (target if parts is None else parts) * np.float32(32768 / 0.1)
        return law(one, source, target, 0.1, part, target_part=lambda _: whole, **told)

    target = clicks(beats)
    assert broken(target) is None
    assert "target" in broken(target, target + np.float32(1.2 / 32768)), "without stretching, every sample counts"
    assert broken(np.roll(target, RATE_HZ // 100)) is None
    for shift_ms in (-80, -60, 60, 80):
        if abs(shift_ms) < 15000 / bpm - 15:
            assert "off the source's beats" in broken(np.roll(target, shift_ms * RATE_HZ // 1000))


def test_real_music_lies_on_its_beats_and_mostly_not_60_ms_beside(shared_data):
    import soundfile

    heard = []
    for number in (1, 2, 3):
        folder = shared_data / "rendered_examples" / f"Track9000{number}"
        samples, rate_hz = soundfile.read(folder / "mix.flac", dtype="float32")
        beats = np.loadtxt(folder / "beats.txt")[:, 0]
        beats = np.rint(beats[beats < 10] * rate_hz).astype(np.int64)
        excerpt = samples[: 10 * rate_hz]
        assert off_the_beat(excerpt, beats, rate_hz) is None
        heard.append(off_the_beat(np.roll(excerpt, 60 * rate_hz // 1000), beats, rate_hz) is not None)
    assert sum(heard) >= 2, "swing hides the shift in one of them"


def test_music_without_onsets_breaks_no_law():
    pad = (0.1 * np.sin(np.arange(LENGTH) * 2 * np.pi * 220 / RATE_HZ)).astype(np.float32)
    beats = np.arange(1000, LENGTH, RATE_HZ // 2)
    assert off_the_beat(pad, beats, RATE_HZ) is None
    assert off_the_beat(np.zeros(LENGTH, np.float32), beats, RATE_HZ) is None
    assert off_the_beat(pad, beats[:2], RATE_HZ) is None
