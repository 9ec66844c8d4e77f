"""Computes the losses of a student; they have the interface of sentence-transformers' losses.

A loss is called as `loss(sentence_features, labels)`. The first column of `sentence_features` holds
the student's tokenised texts; the second holds the teacher's output for their English translations:
"token_embeddings" `(batch, m, dim)`, "attention_mask" `(batch, m)`, "input_ids" `(batch, m)` and
"sentence_embedding" `(batch, dim)`. Labels `(batch,)` number the English sentences, so that equal
ones do not count as wrong answers; they may be None. A loss returns a dictionary of its weighted
parts, as the trainers of sentence-transformers expect.

Differs from the paper (Huang, Yu and Allan 2023, arXiv 2301.12566): only its abstract was
available, so cost, masses, ε, iterations and the combination with other parts are our choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from clir_bench.distill.model.students import Encoded, encode
from clir_bench.distill.transport import plans

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

    from clir_bench.distill.recipe import LossSettings


class Part(Protocol):
    """One term of a loss."""

    def __call__(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return a scalar."""
        ...


class TransportLoss(nn.Module):
    """Cost of moving the student's tokens onto the teacher's by the best soft alignment.

    Σ_ij P_ij C_ij with C the cosine distance and P the entropic plan between the tokens' masses
    (Cuturi 2013, arXiv 1306.0895). P is held constant: by the envelope theorem that is the
    gradient of the regularised cost.

    Args:
        settings: ε, iterations and kind of masses.
        student_mass: Mass of each piece of the student's vocabulary, `(n_pieces,)`; 1 each when
            None.
        teacher_mass: Likewise of the teacher's vocabulary.
    """

    def __init__(
        self,
        settings: LossSettings,
        student_mass: Tensor | None = None,
        teacher_mass: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.student_mass: Tensor | None
        self.teacher_mass: Tensor | None
        self.register_buffer("student_mass", student_mass, persistent=False)
        self.register_buffer("teacher_mass", teacher_mass, persistent=False)

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean cost over the batch's pairs, 0 to 2; empty texts cost nothing."""
        return _moved(student, teacher, self._plan)

    def _plan(self, cost: Tensor, student: Encoded, teacher: Encoded) -> Tensor:
        return plans.sinkhorn(
            cost,
            masses(student, self.student_mass),
            masses(teacher, self.teacher_mass),
            epsilon=self.settings.epsilon,
            max_iterations=self.settings.iterations,
            tolerance=self.settings.tolerance,
        ).plan


class GreedyLoss(nn.Module):
    """Cost of moving every student token onto the nearest teacher token, independently of others.

    The control without transport, as tokens are aligned in DR.DECR (Li et al. 2021,
    arXiv 2112.08185).
    """

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean cost over the batch's pairs, 0 to 2."""
        return _moved(student, teacher, self._plan)

    @staticmethod
    def _plan(cost: Tensor, student: Encoded, teacher: Encoded) -> Tensor:
        return plans.greedy_alignment(
            cost,
            plans.uniform_marginals(student.mask),
            plans.uniform_marginals(teacher.mask),
        ).plan


class SentenceLoss(nn.Module):
    """Distance of sentence vectors (Reimers and Gurevych 2020, arXiv 2004.09813).

    Args:
        kind: "mse", as they do, or "cosine" for one minus the cosine.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean over the batch; mse is summed over the vectors' numbers."""
        if self.kind == "mse":
            return (student.sentences - teacher.sentences).square().sum(-1).mean()
        return 1 - functional.cosine_similarity(student.sentences, teacher.sentences).mean()


class ContrastiveLoss(nn.Module):
    """Cross-entropy of finding a text's translation among the batch's English sentences.

    Args:
        temperature: Cosines are divided by it.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean over the batch, in nats."""
        left = functional.normalize(student.sentences, dim=-1)
        right = functional.normalize(teacher.sentences, dim=-1)
        return find_translation(left @ right.T / self.temperature, labels)


class LateLoss(nn.Module):
    """Cross-entropy of finding a text's translation by MaxSim, in groups of English sentences.

    Args:
        temperature: Mean similarities of a query's tokens are divided by it.
        group: Number of sentences to search; a whole batch would cost its square.
        own: Whether the student (which then encodes both sides) rather than the teacher encodes the
            English sentences. They are then the batch's last rows, one row each.
        static: Whether the student looks up its tokens by their ids. Similarities of its own
            sentences are then computed once per two different pieces.
    """

    def __init__(
        self, temperature: float, group: int, *, own: bool = False, static: bool = False
    ) -> None:
        super().__init__()
        self.temperature, self.group, self.own, self.static = temperature, group, own, static

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean over the batch's foreign rows, or over all with the teacher's, in nats.

        Raises:
            ValueError: `own` without labels, which tell the translation of each row.
        """
        if self.own:
            student, documents, labels = own_english(student, labels)
        else:
            documents = teacher._replace(tokens=functional.normalize(teacher.tokens, dim=-1))
        similarity = lookup_maxsim if self.static and self.own else mean_maxsim
        losses = []
        for start in range(0, len(documents.mask), self.group):
            queries, answers = (
                Encoded(*(values[start : start + self.group] for values in side))
                for side in (student, documents)
            )
            scores = similarity(queries, answers)
            of_part = None if labels is None else labels[start : start + self.group]
            losses.append(find_translation(scores / self.temperature, of_part) * len(scores))
        return torch.stack(losses).sum() / len(documents.mask)


def own_english(student: Encoded, labels: Tensor | None) -> tuple[Encoded, Encoded, Tensor]:
    """Return a batch's foreign rows, the English row of each, and the foreign rows' labels.

    Raises:
        ValueError: There are no labels.
    """
    if labels is None:
        raise ValueError("without labels nothing says which English row translates which")
    n_foreign = len(labels) - len(torch.unique(labels))
    english, order = labels[n_foreign:].sort()
    rows = n_foreign + order[torch.searchsorted(english, labels[:n_foreign])]
    foreign = Encoded(*(part[:n_foreign] for part in student))
    return foreign, Encoded(*(part[rows] for part in student)), labels[:n_foreign]


class _Reversed(torch.autograd.Function):
    """Identity forwards, negation backwards (Ganin and Lempitsky 2015, arXiv 1409.7495)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


class AdversarialLoss(nn.Module):
    """Cross-entropy of a discriminator that tells a token's side, behind gradient reversal.

    It learns to tell the student's tokens from the English teacher's; the reversed gradient teaches
    the student to look like the teacher (Keung, Lu and Bhardwaj 2019, arXiv 1909.00153, who
    discriminate languages of one encoder). It ignores which sentence translates which.

    Args:
        dim: Length of token vectors.
        hidden: Width of its hidden layer.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.discriminator = nn.Sequential(
            nn.Linear(dim, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)
        )

    def forward(self, student: Encoded, teacher: Encoded, labels: Tensor | None) -> Tensor:
        """Return the mean over both sides' tokens, in nats; each side counts half."""
        units = functional.normalize(teacher.tokens, dim=-1)
        reversed_tokens: Tensor = _Reversed.apply(student.tokens[student.mask])  # type: ignore[no-untyped-call]
        foreign = self.discriminator(reversed_tokens).squeeze(-1)
        english = self.discriminator(units[teacher.mask].detach()).squeeze(-1)
        return (functional.softplus(foreign).mean() + functional.softplus(-english).mean()) / 2


class DistillationLoss(nn.Module):
    """The weighted parts of a method.

    Args:
        model: The student.
        parts: Its parts by name.
        weights: Weight of each part; 1 by default.
    """

    def __init__(
        self,
        model: MultiVectorEncoder,
        parts: Mapping[str, nn.Module],
        weights: Mapping[str, float],
    ) -> None:
        super().__init__()
        self.model = model
        self.parts = nn.ModuleDict(parts)
        self.weights = {name: weights.get(name, 1.0) for name in parts}

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return each part's weighted loss, scalars; their sum is what to minimise."""
        texts, targets = list(sentence_features)
        student = encode(self.model, texts)
        teacher = Encoded(
            targets["token_embeddings"],
            targets["attention_mask"].bool(),
            targets["input_ids"],
            targets["sentence_embedding"],
            targets["attention_mask"].float(),
        )
        return {
            name: part(student, teacher, labels) * self.weights[name]
            for name, part in self.parts.items()
        }

    def get_config_dict(self) -> dict[str, Any]:
        """Return the settings that sentence-transformers writes into a model card."""
        return {"parts": dict(self.weights)}


def build_parts(
    names: Iterable[str],
    settings: LossSettings,
    dim: int,
    student_mass: Tensor | None = None,
    teacher_mass: Tensor | None = None,
    *,
    static: bool = False,
) -> dict[str, nn.Module]:
    """Return the loss modules of a method, by the names in `recipe.PARTS`.

    `static` says that the student has no layers; masses are as `TransportLoss` takes them.
    """
    known: dict[str, Any] = {
        "ot": lambda: TransportLoss(settings, student_mass, teacher_mass),
        "kd": lambda: SentenceLoss(settings.sentence),
        "contrastive": lambda: ContrastiveLoss(settings.temperature),
        "late": lambda: LateLoss(
            settings.late_temperature,
            settings.late_group,
            own=settings.late_english == "student",
            static=static,
        ),
        "greedy": GreedyLoss,
        "adversarial": lambda: AdversarialLoss(dim, settings.adversary_hidden),
    }
    return {name: known[name]() for name in names}


def cosine_cost(student: Encoded, teacher: Encoded) -> Tensor:
    """Return one minus the cosine of every two tokens, `(batch, n, m)`."""
    lengths = teacher.tokens.norm(dim=-1).clamp(min=1e-12).unsqueeze(1)
    cosines: Tensor = student.tokens @ teacher.tokens.transpose(1, 2) / lengths
    return 1 - cosines


def masses(side: Encoded, table: Tensor | None) -> Tensor:
    """Return the tokens' masses, `(batch, n)`: rows add up to 1, with 0 outside the mask.

    Args:
        side: The tokens.
        table: Mass of each piece of the vocabulary; all equal when None.
    """
    if table is None:
        return plans.uniform_marginals(side.mask)
    return plans.weighted_marginals(table[side.ids.clamp(min=0)], side.mask)


def _moved(
    student: Encoded, teacher: Encoded, plan: Callable[[Tensor, Encoded, Encoded], Tensor]
) -> Tensor:
    """Return the mean cost of a plan over the batch; a text without tokens costs nothing."""
    usable = student.mask.any(1) & teacher.mask.any(1)
    if not usable.any():
        return student.tokens.sum() * 0.0
    n_pairs = len(usable)
    if not usable.all():
        student = Encoded(*(part[usable] for part in student))
        teacher = Encoded(*(part[usable] for part in teacher))
    cost = cosine_cost(student, teacher)
    return plans.transport_cost(plan(cost.detach(), student, teacher), cost).sum() / n_pairs


def mean_maxsim(queries: Encoded, documents: Encoded) -> Tensor:
    """Return MaxSim as a weighted mean over query tokens, `(n_queries, n_documents)`, -1 to 1.

    Args:
        queries: Texts whose tokens are of unit length, with their weights.
        documents: Texts whose tokens are of unit length.
    """
    n_queries, width, dim = queries.tokens.shape
    flat = queries.tokens.reshape(-1, dim) @ documents.tokens.reshape(-1, dim).T
    similar = flat.view(n_queries, width, len(documents.tokens), -1)
    similar = similar.masked_fill(~documents.mask[None, None], -1.0)
    best = similar.amax(-1) * queries.weights.unsqueeze(-1)
    return best.sum(1) / _total(queries)


def lookup_maxsim(queries: Encoded, documents: Encoded) -> Tensor:
    """Return `mean_maxsim` for students whose tokens depend on their ids alone, faster.

    The product of two different pieces is computed only once. The best token of a document is found
    without gradients, document by document: the products of all pairs of tokens would be a hundred
    times as many.
    """
    left, left_places = _pieces(queries)
    right, right_places = _pieces(documents)
    similar = left @ right.T
    with torch.no_grad():
        by_document = similar.T.contiguous()
        nothing = torch.zeros(len(left), dtype=torch.long, device=left.device)
        best = []
        for places, mask in zip(right_places, documents.mask, strict=True):
            own = places[mask]
            best.append(own[by_document[own].max(0).indices] if len(own) else nothing)
    found = similar.gather(1, torch.stack(best, 1))
    found = found.masked_fill(~documents.mask.any(1), -1.0)
    sums = functional.embedding_bag(
        left_places, found, mode="sum", per_sample_weights=queries.weights
    )
    return sums / _total(queries)


def _pieces(side: Encoded) -> tuple[Tensor, Tensor]:
    """Return the different pieces' tokens, `(n_pieces, dim)`, and each token's index in them."""
    pieces, places = torch.unique(side.ids, return_inverse=True)
    order = torch.arange(places.numel(), device=places.device)
    one_of = torch.zeros_like(pieces).scatter_(0, places.flatten(), order)
    return side.tokens.flatten(0, 1)[one_of], places


def _total(queries: Encoded) -> Tensor:
    return queries.weights.sum(1, keepdim=True).clamp(min=1e-6)


def find_translation(scores: Tensor, labels: Tensor | None) -> Tensor:
    """Return the cross-entropy of the diagonal of `(batch, batch)`, ignoring equal labels."""
    rows = torch.arange(len(scores), device=scores.device)
    if labels is not None:
        same = labels.unsqueeze(0) == labels.unsqueeze(1)
        same[rows, rows] = False
        scores = scores.masked_fill(same, -torch.inf)
    return functional.cross_entropy(scores, rows)
