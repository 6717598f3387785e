"""Measure `pair` on made-up tables the size of the paper's data: python tests/benchmarks/pair.py [TRACKS [CLIPS [TOTAL]]]."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def main(tracks: int = 1700, clips: int = 25, total: int = 2_000_000) -> None:
    """Write tables in this process, then time the command in another one and read its peak memory."""
    from synthetic import write_tables

    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), tracks, clips)
        begin = time.perf_counter()
        subprocess.run([Path(sys.executable).with_name("instructme"), "pair", folder, "--total", str(total)], check=True)
        seconds = time.perf_counter() - begin
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size_mb = (Path(folder) / "triplets.parquet").stat().st_size / 1e6
    spent = f"{seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of CPU, peak {used.ru_maxrss / 2**20:.2f} GiB"
    print(f"{tracks * clips} clips, {total} recipes: {spent}, table of {size_mb:.0f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
