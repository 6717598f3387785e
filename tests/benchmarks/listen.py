"""Measure the listening test: 50 simulated raters at once; time of a click, and whether every click is there.

Usage: python tests/benchmarks/listen.py [RATERS]
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_study import made_study

from instructme.pipelines.listening.simulation import simulate

RATERS = int(sys.argv[1]) if len(sys.argv) > 1 else 50

with tempfile.TemporaryDirectory() as folder:
    study = made_study(Path(folder), items=3)
    for line in simulate(study, Path(folder) / "simulated", RATERS):
        print(line)
