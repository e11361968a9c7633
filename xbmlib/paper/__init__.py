"""What the paper prints: the one place where its numbers are typed in."""

from xbmlib.extras import needs

with needs("study"):
    from xbmlib.paper import claims, disagreements
    from xbmlib.paper.counterparts import COUNTERPARTS
    from xbmlib.paper.protocols import PROTOCOLS, Part, Protocol
    from xbmlib.paper.settings import LOSS_FIELDS, SETTINGS, Setting, differences
    from xbmlib.paper.stated import *  # noqa: F403
    from xbmlib.paper.tables import (
        COST,
        LOSSES,
        RECALL,
        SETS,
        Cost,
        Row,
        first_measure,
        r1_of_both_arms,
        table,
    )

__all__ = [
    "COST",
    "COUNTERPARTS",
    "LOSSES",
    "LOSS_FIELDS",
    "PROTOCOLS",
    "RECALL",
    "SETS",
    "SETTINGS",
    "Cost",
    "Part",
    "Protocol",
    "Row",
    "Setting",
    "claims",
    "differences",
    "disagreements",
    "first_measure",
    "r1_of_both_arms",
    "table",
]
