"""How a claim is judged: what is measured, the bar that it has to clear, and the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["direction", "size", "throughout", "equivalence", "deterministic"]

# What each kind requires of the values, one per seed and case; applied in xbmlib.study.statistics.
KINDS: dict[Kind, str] = {
    "direction": "in every case the mean over seeds clears its bar (paired one-sided t at 5%)",
    "size": "in every case the mean over seeds clears its bar (paired one-sided t at 5%) and "
    "reaches its figure; partly if it only clears the bar",
    "throughout": "in every case the least favourable point of every seed clears its bar, and so "
    "does their mean (one-sided t at 5%)",
    "equivalence": "in every case the 90% interval of the mean over seeds lies within ± the bar "
    "(two one-sided t at 5%)",
    "deterministic": "counted, measured or computed, not tested over seeds: in every case every "
    "value clears its bar",
}
# Of the kinds that may have figures beside their bars.
FIGURES = "partly if a value does not reach its figure"
THIS_STUDY = "this study's bar"


@dataclass(frozen=True)
class Bar:
    """What one case of a claim has to clear.

    Attributes:
        case: data set, loss, batch size or quantity; data sets by the names in the paper.
        figure: in the unit of the quantity; for "equivalence" the margin, on both sides of 0.
        at_most: whether values have to stay below the figure, not above.
        source: the figure's place in the paper or, where it prints none, :data:`THIS_STUDY` with
            the reason; empty for a bar of 0.
    """

    case: str
    figure: float = 0.0
    at_most: bool = False
    source: str = ""

    def clearance(self, value: float) -> float:
        """How far a value lies on the claimed side of the figure; negative on the other."""
        return self.figure - value if self.at_most else value - self.figure

    @property
    def limit(self) -> str:
        """Such as "at least 20"."""
        return f"{'at most' if self.at_most else 'at least'} {self.figure:g}"

    @property
    def words(self) -> str:
        """Such as "at least 20 (Section 4.3)"."""
        return self.limit + (f" ({self.source})" if self.source else "")


@dataclass(frozen=True)
class Rule:
    """How a claim is judged, stated before any run.

    Attributes:
        kind: of :data:`KINDS`.
        quantity: what is measured, with its unit; R@1 and its differences in points.
        setting: data set, loss, batch sizes, R_M; the rest is the protocol's.
        bars: direction, or margin, of each case.
        sizes: the paper's figures, where it has any.
        size_quantity: what the figures are of, unless of the same quantity.
        net: backbone that it is judged on; None for the study's default.
    """

    kind: Kind
    quantity: str
    setting: str
    bars: tuple[Bar, ...]
    sizes: tuple[Bar, ...] = ()
    size_quantity: str = ""
    net: str | None = None

    @property
    def words(self) -> str:
        """The whole rule in one paragraph."""
        parts = [f"{self.quantity}: {_grouped(self.bars)}"]
        if self.sizes:
            parts.append(f"{self.size_quantity or 'its figure'}: {_grouped(self.sizes)}")
        net = f", {self.net}" if self.net else ""
        partly = f"; {FIGURES}" if self.sizes and self.kind != "size" else ""
        return f"{'; '.join(parts)}. {self.setting}{net}. Test: {KINDS[self.kind]}{partly}."


def _grouped(bars: tuple[Bar, ...]) -> str:
    """The bars in words, cases of the same bar together."""
    cases: dict[str, list[str]] = {}
    for bar in bars:
        cases.setdefault(bar.words, []).append(bar.case)
    return "; ".join(f"{words} [{' | '.join(names)}]" for words, names in cases.items())
