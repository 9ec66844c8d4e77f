"""Makes students: any transformer, or one built from the teacher with a multilingual vocabulary.

A student's folder can be loaded in two ways. `MultiVectorEncoder` makes a late-interaction model
with its token vectors. `SentenceTransformer` makes a pooled model: its vector is the mean of the
token vectors before they get unit length. This works because sentence-transformers adds a mean
pooling to the transformer of a late-interaction folder. If a student is wider than its teacher, its
folder is that of a pooled model with a projection; for late interaction, sentence-transformers then
leaves out the pooling.

A student of 0 layers is a `BertModel` without layers: it looks up one vector per piece (part of a
word). Its position and type embeddings are zero. Its only special token, [CLS], has a fixed vector
of length 0.001. This token gives an empty text a vector, hardly changes a mean, and in MaxSim
matches every document equally. The LayerNorm has ε = 1, not 10⁻¹², so short vectors keep their
lengths and long ones are bounded. These lengths weight the pieces in the mean. Late interaction
uses them too: only a document's vectors get unit length, a query's keep their lengths, so that a
name counts more in MaxSim than an article.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from clir_bench.distill.model.teacher import Teacher
from clir_bench.distill.model.vocabulary import SPECIAL, WORD_START, train_tokenizer
from clir_bench.distill.recipe import StudentSettings
from clir_bench.encoders import catalog
from clir_bench.encoders.contents import read_json
from clir_bench.encoders.quiet import quiet
from clir_bench.errors import EncoderError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import MultiVectorEncoder

_LOGGER = logging.getLogger(__name__)


class Encoded(NamedTuple):
    """A batch of texts, encoded by a student or a teacher.

    Attributes:
        tokens: float `(batch, n, dim)`; a student's are unit length.
        mask: bool `(batch, n)`: tokens that count, without special tokens and padding.
        ids: int64 `(batch, n)`.
        sentences: float `(batch, dim)`, as long as the pooling makes them.
        weights: float `(batch, n)`: weight of each token in MaxSim when the text is a query, 0
            outside the mask. All equal, except for a student without layers, which uses the
            vectors' lengths.
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    ids: torch.Tensor
    sentences: torch.Tensor
    weights: torch.Tensor


def encode(model: MultiVectorEncoder, features: dict[str, torch.Tensor]) -> Encoded:
    """Encode tokenised texts with a student, with gradients.

    Args:
        model: As `pretrained` and `from_teacher` return it.
        features: "input_ids" and "attention_mask", `(batch, n)`.
    """
    import torch

    features = dict(features)
    ids, attention = features["input_ids"], features["attention_mask"]
    special = torch.tensor(model.tokenizer.all_special_ids, device=ids.device)
    mask = attention.bool() & ~torch.isin(ids, special)
    if is_static(model):
        return _encode_static(model, ids, attention, mask)
    modules = list(model)
    out = modules[0](features)
    if len(modules) > 3:  # transformer, projection, mask, unit length
        out = modules[1](out)
    raw = out["token_embeddings"].float()
    weights = attention.unsqueeze(-1).to(raw.dtype)
    sentences = (raw * weights).sum(1) / weights.sum(1).clamp(min=1)
    tokens = torch.nn.functional.normalize(raw, dim=-1)
    return Encoded(tokens, mask, ids, sentences, mask.float())


def _encode_static(
    model: MultiVectorEncoder, ids: torch.Tensor, attention: torch.Tensor, mask: torch.Tensor
) -> Encoded:
    """Do the same for a student without layers, computing every different piece once."""
    import torch
    from torch.nn import functional

    pieces, places = torch.unique(ids, return_inverse=True)
    column = pieces.unsqueeze(1)
    modules = list(model)
    out = modules[0]({"input_ids": column, "attention_mask": torch.ones_like(column)})
    if len(modules) > 3:
        out = modules[1](out)
    vectors = out["token_embeddings"].squeeze(1).float()
    counted = attention.to(vectors.dtype)
    sums = functional.embedding_bag(places, vectors, mode="sum", per_sample_weights=counted)
    tokens = functional.embedding(places, functional.normalize(vectors, dim=-1))
    weights = vectors.norm(dim=-1)[places] * mask
    return Encoded(tokens, mask, ids, sums / counted.sum(1, keepdim=True).clamp(min=1), weights)


def pretrained(name: str, dim: int, settings: StudentSettings, seed: int) -> MultiVectorEncoder:
    """Return a student made of a transformer with a pretrained vocabulary and body.

    If its vectors have another dimension than the teacher's, a linear projection to `dim` follows
    it and is learned with it.

    Args:
        name: A short name of `clir-bench encoders`, a Hub id, or a folder.
        dim: Length of the teacher's vectors.
        settings: Its limit of tokens.
        seed: Of the projection.

    Raises:
        UsageError: The model does not exist.
        EncoderError: The model is no transformer with safetensors weights and a tokenizer.
    """
    import torch

    found = catalog.find(name)
    config = read_json(found.folder, "config.json")
    if not config.get("model_type"):
        raise EncoderError(
            f"student {name!r}: expected a transformer, found {found.folder} without a config.json "
            "that names its model_type; static vectors are built with layers = 0 instead"
        )
    with quiet():
        student = _assemble(str(found.folder), settings.max_tokens, dim=dim, seed=seed)
    if not torch.is_tensor(next(student.parameters(), None)):
        raise EncoderError(f"student {name!r} has no weights")
    return student


def from_teacher(
    teacher: Teacher, texts: Iterable[str], settings: StudentSettings, seed: int
) -> MultiVectorEncoder:
    """Return a student with the teacher's architecture and a vocabulary learned from `texts`.

    Args:
        teacher: A BERT-class model; its layers are copied, evenly chosen.
        texts: Texts for learning the vocabulary, already balanced over languages.
        settings: Size of the vocabulary and number of layers.
        seed: Of the pieces that no English piece is a start for.

    Raises:
        EncoderError: The teacher is no BERT-class model, or has fewer layers than asked for.
    """
    import torch
    from transformers import BertConfig, BertModel

    config = teacher.transformer.config
    if config.model_type != "bert" or config.num_hidden_layers < settings.layers:
        raise EncoderError(
            f"a student of {settings.layers} layers cannot be built from {teacher.weights.name}: "
            f"expected a BERT with at least as many layers, found {config.model_type} with "
            f"{config.num_hidden_layers}; name a student model instead"
        )
    tokenizer = train_tokenizer(texts, settings)
    static = settings.layers == 0
    own = BertConfig(**{**config.to_dict(), **_config(settings, len(tokenizer), static)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = BertModel(own)
        _copy_layers(body, teacher.transformer, settings.layers)
        _start_pieces(body, tokenizer, teacher, static)
    with TemporaryDirectory() as folder, quiet():
        body.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return _assemble(folder, settings.max_tokens, dim=teacher.dim, seed=seed)


def is_static(model: MultiVectorEncoder) -> bool:
    """Return whether a student has no layers."""
    config = getattr(model.transformers_model, "config", None)
    return getattr(config, "num_hidden_layers", 1) == 0


def vocabulary_of(model: MultiVectorEncoder) -> torch.nn.Embedding:
    """Return the embedding table of a student's pieces."""
    body: Any = model.transformers_model
    table: torch.nn.Embedding = body.get_input_embeddings()
    return table


def projection_of(model: MultiVectorEncoder) -> Any | None:
    """Return a student's projection to the teacher's dim, None without one."""
    modules = list(model)
    return modules[1] if len(modules) > 3 else None


def _config(settings: StudentSettings, n_pieces: int, static: bool) -> dict[str, Any]:
    own: dict[str, Any] = {
        "vocab_size": n_pieces,
        "num_hidden_layers": settings.layers,
        "max_position_embeddings": settings.max_tokens,
        "hidden_dropout_prob": settings.dropout,
        "attention_probs_dropout_prob": settings.dropout,
        "output_hidden_states": False,
        "pad_token_id": 0,
        "architectures": ["BertModel"],
        "_name_or_path": "",
    }
    return own | {"layer_norm_eps": 1.0} if static else own


def _copy_layers(body: Any, teacher: Any, layers: int) -> None:
    import torch

    depth = teacher.config.num_hidden_layers
    for place in range(layers):
        source = teacher.encoder.layer[round((place + 1) * depth / layers) - 1]
        body.encoder.layer[place].load_state_dict(source.state_dict())
    with torch.no_grad():
        for weight in body.pooler.parameters():
            weight.zero_()  # never used; zeros keep the file's bytes the same
        if layers == 0:
            body.embeddings.position_embeddings.weight.zero_()
            body.embeddings.token_type_embeddings.weight.zero_()
            return
        for name in ("position_embeddings", "token_type_embeddings"):
            own, given = getattr(body.embeddings, name), getattr(teacher.embeddings, name)
            own.weight.copy_(given.weight[: len(own.weight)])
        body.embeddings.LayerNorm.load_state_dict(teacher.embeddings.LayerNorm.state_dict())


def _start_pieces(body: Any, tokenizer: Any, teacher: Teacher, static: bool) -> None:
    """Give every piece the teacher's vector of the same string, or a small random vector."""
    import torch

    table = body.embeddings.word_embeddings.weight
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    plain = ["" if piece in SPECIAL.values() else piece.strip(WORD_START) for piece in pieces]
    vectors = teacher.piece_vectors(plain, contextual=static)
    if static:
        vectors = vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6) * _START_LENGTH
    known = vectors.norm(dim=-1) > 0
    _LOGGER.info("%d of %d pieces start from the teacher's", int(known.sum()), len(pieces))
    with torch.no_grad():
        spread = float(vectors[known].std()) if known.any() else 0.02
        centre = torch.zeros(vectors.shape[1]) if static else vectors[known].mean(0)
        table.copy_(torch.randn_like(table) * spread * (0.1 if static else 0.5) + centre)
        table[known] = vectors[known]
        table[0] = 0
        if static:
            table[tokenizer.cls_token_id] = 0
            table[tokenizer.cls_token_id, 0] = _CLS_LENGTH


_CLS_LENGTH = 0.001
_START_LENGTH = 2.0  # of a static vector: a component of 0.1 is well below the LayerNorm's ε of 1


def _assemble(folder: str, max_tokens: int, *, dim: int, seed: int) -> MultiVectorEncoder:
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    try:
        body = Transformer(folder, model_kwargs={"use_safetensors": True, "dtype": torch.float32})
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"student {folder}: no transformer can be loaded: {error}") from error
    tokenizer = body.tokenizer
    tokenizer.model_max_length = min(tokenizer.model_max_length, max_tokens)
    modules: list[Any] = [body]
    width = body.get_embedding_dimension()
    if width != dim:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            modules.append(
                Dense(
                    width,
                    dim,
                    bias=False,
                    activation_function=torch.nn.Identity(),
                    module_input_name="token_embeddings",
                )
            )
    unit: Any = Normalize(module_input_name="token_embeddings")
    if getattr(body.auto_model.config, "num_hidden_layers", 1) == 0:
        unit = _unit_documents(unit)
    return MultiVectorEncoder(modules=[*modules, MultiVectorMask(), unit], device="cpu")


def _unit_documents(unit: Any) -> Any:
    """Return a module that scales documents' vectors to unit length, and leaves queries' as is."""
    from sentence_transformers.base.modules import Normalize, Router

    # A route must have a module: this one acts on pooled vectors, and there are none.
    alone = Normalize(module_input_name="sentence_embedding")
    return Router({"query": [alone], "document": [unit]}, default_route="document")


def save(model: MultiVectorEncoder, folder: Path, *, half: bool) -> None:
    """Write a student as a folder that both classes of sentence-transformers load.

    Args:
        model: The student; left as it is.
        folder: Must not be there yet.
        half: Whether weights are stored in float16 rather than float32.
    """
    import copy

    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    model = copy.deepcopy(model).cpu()
    if half:
        model = model.half()
    projection = projection_of(model)
    stored: Any = model
    with quiet():
        if projection is not None:
            pooling = Pooling(projection.out_features, "mean")
            stored = SentenceTransformer(modules=[model[0], projection, pooling], device="cpu")
        stored.save_pretrained(str(folder), create_model_card=False)


def load(folder: Path) -> MultiVectorEncoder:
    """Return a student that `save` wrote, in float32, ready to be trained.

    Raises:
        EncoderError: It cannot be loaded.
    """
    import torch

    from clir_bench.encoders import weights
    from clir_bench.encoders.st import loading

    model: MultiVectorEncoder = loading.read(
        weights.from_folder(folder), "tokens", "cpu", torch.float32, trust=False
    )
    return model
