"""Tag music with one linear layer on MusiCNN's embedding: logistic regression, calibrated, in numpy.

A head is a CSV file: a row for each tag with its AUC on other songs, its bias and its weights.
"""

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from instructme.model.config import ModelError

Doubles = npt.NDArray[np.float64]
RELIABLE_AUC = 0.75
"""Tags with a lower AUC on other songs are not used."""
PENALTIES = (0.3, 0.1, 0.03, 0.01)
"""Mixes of one song are alike, so few songs need much: 0.1 for 19 songs, 0.03 for 650."""
_ROUNDS = 30


@dataclass(frozen=True)
class TagHead:
    """Weights (tags, D) and biases (tags,) on embeddings (patches, D); `auc` of each tag on songs that were not trained on."""

    names: tuple[str, ...]
    weights: Doubles
    bias: Doubles
    auc: Doubles

    @classmethod
    def read(cls, path: Path) -> "TagHead":
        """Read a head.

        Raises:
            ModelError: missing or damaged.
        """
        try:
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
            numbers = np.array([row[1:] for row in rows], dtype=np.float64)
            return cls(tuple(row[0] for row in rows), numbers[:, 2:], numbers[:, 1], numbers[:, 0])
        except (OSError, ValueError, IndexError) as error:
            raise ModelError(f"can't read the tagger {path}: {error}: run 'instructme train tagger'") from None

    def write(self, path: Path) -> None:
        """Write the head with five digits."""
        with path.open("w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["tag", "auc", "bias", *(f"w{place}" for place in range(self.weights.shape[1]))])
            for name, auc, bias, weights in zip(self.names, self.auc, self.bias, self.weights, strict=True):
                out.writerow([name, f"{auc:.4f}", *(f"{value:.5g}" for value in (bias, *weights))])

    def digest(self) -> str:
        """Hash the names and numbers."""
        numbers = np.column_stack([self.auc, self.bias, self.weights]).astype(np.float32)
        return hashlib.sha256(repr(self.names).encode() + numbers.tobytes()).hexdigest()[:12]

    def reliable(self) -> "TagHead":
        """Keep the tags that work on other songs."""
        return self._kept(self.auc >= RELIABLE_AUC)

    def keeping(self, wanted: Callable[[str], bool]) -> "TagHead":
        """Keep the tags with these names."""
        return self._kept(np.array([wanted(name) for name in self.names], dtype=bool))

    def _kept(self, kept: npt.NDArray[np.bool_]) -> "TagHead":
        names = tuple(name for name, keep in zip(self.names, kept, strict=True) if keep)
        return TagHead(names, self.weights[kept], self.bias[kept], self.auc[kept])

    def beside(self, other: "TagHead") -> "TagHead":
        """Put the tags of another head after these."""
        joined = (
            np.concatenate(pair) for pair in ((self.weights, other.weights), (self.bias, other.bias), (self.auc, other.auc))
        )
        return TagHead(self.names + other.names, *joined)

    def logits(self, embedding: npt.NDArray[np.floating]) -> dict[str, float]:
        """Compute the logit of each tag for the mean of (patches, D)."""
        values = self.weights @ embedding.mean(axis=0, dtype=np.float64) + self.bias
        return dict(zip(self.names, values.tolist(), strict=True))


def fit(embeddings: Doubles, labels: npt.NDArray[np.bool_], penalty: float) -> tuple[Doubles, float]:
    """Fit logistic regression to (n, D) and (n,) by Newton's method: weights (D,) and bias.

    Features are scaled to unit deviation; `penalty` times n / 2 weighs the square of the weights then, not the bias.
    """
    mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-9
    rows = np.column_stack([(embeddings - mean) / deviation, np.ones(len(embeddings))])
    ridge = np.diag([penalty * len(rows)] * embeddings.shape[1] + [1e-6])
    solution = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(rows @ solution, -30, 30)))
        gradient = rows.T @ (likely - labels) + ridge @ solution
        curvature = (rows * (likely * (1 - likely))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, gradient)
        solution -= step
        if np.abs(step).max() < 1e-8:
            break
    weights = solution[:-1] / deviation
    return weights, float(solution[-1] - weights @ mean)


def calibrate(logits: Doubles, labels: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Find scale and shift of logits (n,) so that they give the probabilities of labels (n,) (Platt 1999).

    The labels are softened as Platt does, so that classes that are told apart perfectly keep finite logits.
    """
    positive, negative = int(labels.sum()), int((~labels).sum())
    soft = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    weights, bias = fit(logits[:, None], soft, penalty=1e-4)
    return (float(weights[0]), bias) if weights[0] > 0 else (1.0, 0.0)


def auc(logits: Doubles, labels: npt.NDArray[np.bool_]) -> float:
    """Compute the area under the ROC curve: the chance that a positive has the larger logit; NaN without both classes."""
    one, other = logits[labels], logits[~labels]
    if not len(one) or not len(other):
        return float("nan")
    return float(((one[:, None] > other).mean() + (one[:, None] >= other).mean()) / 2)


def f1(logits: Doubles, labels: npt.NDArray[np.bool_]) -> float:
    """Compute the F1 of logits above 0; NaN where there are no positives and none is found."""
    found = logits > 0
    total = int(found.sum() + labels.sum())
    return 2 * int((found & labels).sum()) / total if total else float("nan")


def train_heads(
    embeddings: Doubles, labels: Sequence[frozenset[str]], penalty: float, fewest: int = 8
) -> tuple[tuple[str, ...], Doubles, Doubles]:
    """Fit a head to (n, D) for each tag that at least `fewest` examples have, and `fewest` have not: names, weights, biases."""
    names, heads = [], []
    for name in sorted(set().union(*labels)):
        has = np.array([name in each for each in labels])
        if fewest <= has.sum() <= len(has) - fewest:
            names.append(name)
            heads.append(fit(embeddings, has, penalty))
    weights = np.array([weights for weights, _ in heads]).reshape(-1, embeddings.shape[1])
    return tuple(names), weights, np.array([bias for _, bias in heads])
