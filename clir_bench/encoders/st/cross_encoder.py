"""Loads sentence-transformers' CrossEncoders, which read query and document together.

They score pairs of texts (Nogueira and Cho 2019, arXiv 1901.04085), so they cannot search a corpus;
they rank the first documents of another system again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clir_bench.core.guards import guarded
from clir_bench.encoders import weights
from clir_bench.encoders.quiet import quiet
from clir_bench.encoders.st import loading, precision
from clir_bench.encoders.st.batching import TextBatches, keep_freed_memory
from clir_bench.encoders.weights import Weights
from clir_bench.errors import EncoderError
from clir_bench.types import EncoderInfo, EncoderRequest, Vectors

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_PAIRS_PER_BATCH = {"cuda": 128}
_CPU_PAIRS_PER_BATCH = 32


class PairScorer:
    """A CrossEncoder on a device.

    Attributes:
        info: Its description.
    """

    def __init__(self, model: CrossEncoder, info: EncoderInfo, batches: TextBatches) -> None:
        import torch

        self._model, self.info, self._batches = model, info, batches
        # A sigmoid keeps the order, but rounds the best scores to ties.
        own = model.activation_fn
        self._activation = torch.nn.Identity() if isinstance(own, torch.nn.Sigmoid) else own

    def score(self, pairs: Sequence[tuple[str, str]]) -> Vectors:
        """Return the scores of pairs of query and document, float32 `(n_pairs,)`.

        Pairs of similar length are padded together, so the last bits of a score can depend on the
        other pairs.

        Raises:
            EncoderError: The model fails, or a score is not finite.
        """
        import numpy as np

        model: Any = self._model
        with guarded(lambda: f"model {self.info.name!r} failed", EncoderError):
            scores = self._batches.run(
                lambda size: model.predict(
                    list(pairs),
                    batch_size=size,
                    activation_fn=self._activation,
                    show_progress_bar=False,
                )
            )
        scores = np.asarray(scores, dtype=np.float32)
        if scores.shape != (len(pairs),):
            raise EncoderError(
                f"model {self.info.name!r}: expected one score for each of {len(pairs)} pairs, "
                f"found an array of shape {scores.shape}"
            )
        if not np.isfinite(scores).all():
            n_wrong = np.count_nonzero(~np.isfinite(scores))
            raise EncoderError(
                f"model {self.info.name!r}: {n_wrong:,} of {len(pairs):,} scores are not finite; "
                f"run it with --dtype float32, or it is broken"
            )
        return scores


def load(request: EncoderRequest, found: Weights) -> PairScorer:
    """Load the CrossEncoder in `found.folder`.

    Raises:
        UsageError: There is no such kind of device.
        EncoderError: It cannot be loaded, or gives a pair several scores.
    """
    device = loading.resolve_device(request.device)
    dtype: precision.Dtype = "float32" if request.dtype == "auto" else request.dtype
    reason = "other arithmetic has not been measured for pairs" if request.dtype == "auto" else ""
    with quiet():
        from sentence_transformers import CrossEncoder

        try:
            model: Any = CrossEncoder(
                str(found.folder),
                device=device,
                trust_remote_code=request.trust_remote_code,
                local_files_only=not request.trust_remote_code,
                model_kwargs={"dtype": precision.stored_as(dtype), "use_safetensors": True},
            )
        except (MemoryError, EncoderError):
            raise
        except Exception as error:  # a model's own code may raise anything
            raise EncoderError(loading.why(found, error)) from error
    model = model.to(precision.stored_as(dtype)).eval()
    if model.num_labels != 1:
        raise EncoderError(
            f"model {found.name!r} gives every pair {model.num_labels} scores, one per label; "
            "expected a reranker, which gives one: how relevant the document is"
        )
    if dtype == precision.MIXED and not precision.mix(model):
        raise EncoderError(
            f"model {found.name!r} has no feed-forward layers that clir-bench knows, so there is "
            f"nothing to run in {precision.MIXED}; use --dtype float32"
        )
    if device == "cpu":
        keep_freed_memory()
    weights.require_unchanged(found)
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    info = EncoderInfo(
        name=found.name,
        revision=found.revision,
        weights_sha256=found.sha256,
        query_prompt=prompt or "",
        max_tokens=loading.limit_tokens(model, None, found.name),
        dtype=dtype,
        dtype_reason=reason,
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        similarity="pairs",
        description="reads query and document together, sentence-transformers",
    )
    kind = device.partition(":")[0]
    size = request.batch_size or _PAIRS_PER_BATCH.get(kind, _CPU_PAIRS_PER_BATCH)
    return PairScorer(model, info, TextBatches(size))
