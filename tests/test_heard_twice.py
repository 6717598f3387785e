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
