"""Every file of pipelines/evaluation/metrics keeps the contract of that folder."""

import math

import numpy as np
import pytest
from evaluation_music import chords, drums, features, networks, noise

from instructme.pipelines.evaluation import scoring
from instructme.pipelines.evaluation.metrics import inputs, metric_modules

NAMES = sorted(metric_modules())
USABLE, LACKING = scoring.usable(networks())
TARGET, SOURCE = chords(), chords() + drums()


def scored(name, edit, target=TARGET, source=SOURCE, **facts):
    if name in LACKING:
        pytest.skip(LACKING[name])
    return scoring.score_edit(features(edit, target, source, **facts), [name])[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_states_what_it_is(name):
    module = metric_modules()[name]
    assert module.GROUP in ("signal", "music", "instruction") and module.BETTER in ("up", "down")
    assert module.UNIT in ("", "dB") and name.endswith("_db") == (module.UNIT == "dB")
    assert len(module.RANGE) == 2 and isinstance(module.GAIN_FREE, bool) and isinstance(module.ABOVE_SOURCE, bool)
    assert "Undefined:" in module.__doc__ and module.score.__doc__
    assert inputs(name)


@pytest.mark.parametrize("name", [name for name in NAMES if metric_modules()[name].PERFECT is not None])
def test_the_target_itself_is_perfect(name):
    source = TARGET if name == "absent_db" else SOURCE
    assert scored(name, TARGET, source=source) == pytest.approx(metric_modules()[name].PERFECT, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_noise_makes_no_score_better_and_values_keep_to_their_range(name):
    module = metric_modules()[name]
    values = [scored(name, TARGET + noise(level_db, TARGET)) for level_db in (-60, -15, 10)]
    low, high = (limit if limit is not None else sign * math.inf for limit, sign in zip(module.RANGE, (-1, 1), strict=True))
    assert all(low <= value <= high for value in values)
    worse = [value if module.BETTER == "down" else -value for value in values]
    assert worse[0] <= worse[2] + 1e-9
    if module.PERFECT is not None and "tagger" not in inputs(name):  # the tagger here knows nothing, not even noise
        assert worse[0] < worse[2]


@pytest.mark.parametrize("name", [name for name in NAMES if metric_modules()[name].GAIN_FREE])
def test_the_gain_of_the_edit_makes_no_difference(name):
    edit = (TARGET + noise(-20, TARGET)).astype(np.float32)
    assert scored(name, edit * np.float32(0.25)) == pytest.approx(scored(name, edit), rel=0.02, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", ["edit", "target", "source"])
def test_silence_gives_a_number_or_a_reason(name, side):
    sides = {"edit": TARGET + noise(-20, TARGET), "target": TARGET, "source": SOURCE}
    sides[side] = np.zeros_like(TARGET)
    value = scored(name, **sides)
    assert value if isinstance(value, str) else math.isfinite(value)


def test_a_metric_that_lacks_weights_is_left_out(monkeypatch):
    monkeypatch.setitem(scoring.features.RECOGNISERS, "notes", (lambda: False, "fetch them"))
    names, lacking = scoring.usable()
    assert "note_f" not in names and lacking["note_f"] == "fetch them" and "si_sdr_db" in names


def test_metrics_of_networks_that_are_not_given_are_left_out():
    names, lacking = scoring.usable()
    assert "kl_panns" not in (*names, *lacking) and "clap_score" not in (*names, *lacking) and "ssim" in names
    assert {"kl_panns", "clap_score"} <= set(USABLE)


def test_options_reach_the_metric_that_they_belong_to():
    values = features(TARGET + 0.3 * (SOURCE - TARGET), TARGET, SOURCE)
    assert scoring.score_edit(values, ["joint"], {"joint": {"least_done": 0.0}})["joint"] == 1
    values = features(TARGET + 0.3 * (SOURCE - TARGET), TARGET, SOURCE)
    assert scoring.score_edit(values, ["joint"], {"joint": {"least_done": 0.999}})["joint"] == 0
