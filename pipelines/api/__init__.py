"""Make <instruction, source, target> triplets from multitrack music, and train an editor of music on them.

Everything public is a name of this package; each loads what it needs when it is used first.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from instructme.manifests import extras

if TYPE_CHECKING:
    from instructme.dataset_tools.audit import audit
    from instructme.manifests.rows import DataError
    from instructme.pipelines.data.dataset import TripletDataset
    from instructme.pipelines.data.tar_stream import open_shards
    from instructme.pipelines.editing.denoiser import SamplingSettings
    from instructme.pipelines.editing.editor import Editor, EditWarning
    from instructme.pipelines.stages.pair import pair
    from instructme.pipelines.stages.prepare import prepare
    from instructme.pipelines.stages.scan import scan
    from instructme.pipelines.stages.shard import shard
    from instructme.pipelines.stages.verify import verify

    __version__: str

__all__ = [
    "DataError",
    "EditWarning",
    "Editor",
    "SamplingSettings",
    "TripletDataset",
    "__version__",
    "audit",
    "open_shards",
    "pair",
    "prepare",
    "scan",
    "shard",
    "verify",
]
_MODULES = {
    "DataError": "manifests.rows",
    "EditWarning": "pipelines.editing.editor",
    "Editor": "pipelines.editing.editor",
    "SamplingSettings": "pipelines.editing.denoiser",
    "TripletDataset": "pipelines.data.dataset",
    "audit": "dataset_tools.audit",
    "open_shards": "pipelines.data.tar_stream",
    "pair": "pipelines.stages.pair",
    "prepare": "pipelines.stages.prepare",
    "scan": "pipelines.stages.scan",
    "shard": "pipelines.stages.shard",
    "verify": "pipelines.stages.verify",
}


def __getattr__(name: str) -> Any:
    """Load a public name at its first use.

    Raises:
        AttributeError: there is no such name.
        ModuleNotFoundError: it needs a package of an extra; the message names the extra.
    """
    if name == "__version__":
        value: Any = import_module("instructme.manifests.tables").tool_version()
    elif name in _MODULES:
        with extras.named():
            value = getattr(import_module(f"instructme.{_MODULES[name]}"), name)
    else:
        raise AttributeError(f"module 'instructme' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
