"""A claim of the paper with the rule that it is judged by."""

from __future__ import annotations

from dataclasses import dataclass

from xbmlib.paper.quotations import Quotation
from xbmlib.paper.rules import Rule
from xbmlib.paper.stated import Rise, Stated


@dataclass(frozen=True)
class Claim(Quotation):
    """A sentence of the paper that a study can confirm or refute.

    Attributes:
        text: as printed.
        where: its place in the paper.
        name: unique among the claims.
        judged_on: figure or table of the paper whose counterpart shows what is judged.
        rule: how it is judged.
        stated: numbers of the paper that belong to it; those of whole tables are in the rule.
    """

    name: str
    judged_on: str
    rule: Rule
    stated: tuple[Stated | Rise, ...] = ()
