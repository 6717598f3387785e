"""What a stem's name says decides how much of another stem it may hold without a word."""

from pathlib import Path

import pytest
from test_parts import make, make_stem, noise, reasons


@pytest.mark.parametrize(
    ("name", "rule", "told"), [("Drums", "name", True), ("Snare Bottom", "name", False), ("Blorp", "unmatched", False)]
)
def test_half_of_another_stem_is_told_of_a_group_alone(name: str, rule: str, told: bool, tmp_path: Path) -> None:
    one, other = noise(2, 0.4), noise(2, 0.4, seed=1)
    stems = [make_stem(tmp_path, "Kick", "drums", one), make_stem(tmp_path, name, "drums", one + other, rule=rule)]
    assert reasons(make(tmp_path, stems)[3]) == [(name, "overlap")] * told


@pytest.mark.parametrize(("rule", "reason"), [("name", "overlap"), ("unmatched", "mixture")])
def test_a_sum_with_some_sound_of_its_own_is_left_out_where_no_instrument_names_it(
    rule: str, reason: str, tmp_path: Path
) -> None:
    waves = {"bass": noise(2, 0.5), "piano": noise(2, 0.4, seed=1)}
    stems = [make_stem(tmp_path, name, name, wave) for name, wave in waves.items()]
    own = 0.5 * sum(waves.values()) + noise(2, 0.12, seed=2)
    rows, _, _, rejects = make(tmp_path, [*stems, make_stem(tmp_path, "Highway", "other", own, rule=rule)])
    assert ("Highway", reason) in reasons(rejects) and ("other" in rows) == (reason == "overlap")
