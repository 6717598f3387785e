"""Make tests/musicnn_golden.json: what TensorFlow hears with MusiCNN's own graph and weights in a synthetic signal.

instructme models fetch musicnn
pip install tensorflow-cpu librosa        (in an environment of its own)
python tests/musicnn_golden.py ~/.cache/instructme/weights/musicnn-0.1.0.whl
"""

import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_suffix(".json")
RATE_HZ, FRAMES = 16000, 187
OUTPUTS = {"tags": "model/Sigmoid:0", "embedding": "model/batch_normalization_10/batchnorm/add_1:0"}


def signal() -> np.ndarray:
    """Make a chord with a pulse on every half second, and noise: two patches long."""
    time = np.arange((2 * FRAMES - 1) * 256) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (110.0, 220.0, 277.18, 329.63, 1760.0))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.1 * chord * np.exp(-4 * (time % 0.5)) + 0.02 * noise).astype(np.float32)


def frames() -> np.ndarray:
    """Analyse the signal as the package does, but for float16, in which loud music overflows: (2, 187, 96)."""
    import librosa

    mel = librosa.feature.melspectrogram(y=signal(), sr=RATE_HZ, hop_length=256, n_fft=512, n_mels=96).T
    return np.log10(10000 * mel + 1).astype(np.float32).reshape(2, FRAMES, 96)


def run(folder: str) -> dict[str, np.ndarray]:
    """Run the inference part of the published graph; today's TensorFlow refuses the training part."""
    import tensorflow

    v1 = tensorflow.compat.v1
    v1.disable_eager_execution()
    meta = v1.MetaGraphDef.FromString(Path(f"{folder}/.meta").read_bytes())
    wanted = [name.removesuffix(":0") for name in OUTPUTS.values()]
    v1.import_graph_def(v1.graph_util.extract_sub_graph(meta.graph_def, wanted), name="")
    graph, checkpoint = v1.get_default_graph(), v1.train.NewCheckpointReader(f"{folder}/")
    values = {}
    for operation in graph.get_operations():
        if operation.type in ("VariableV2", "Variable"):
            values[f"{operation.name}/read:0"] = checkpoint.get_tensor(operation.name)
    holders = [operation.outputs[0] for operation in graph.get_operations() if operation.type == "Placeholder"]
    inputs = {holder: False if holder.dtype == tensorflow.bool else frames() for holder in holders}
    with v1.Session() as session:
        return session.run(OUTPUTS, {**values, **inputs})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(sys.argv[1]) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if "MTT_musicnn" in name])
        heard = run(f"{folder}/musicnn/MTT_musicnn")
    rounded = {name: np.round(values.mean(axis=0).astype(float), 6).tolist() for name, values in heard.items()}
    GOLDEN.write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
