"""What the paper prints: the one place where its numbers are typed in."""

from xbmlib.paper import claims, disagreements
from xbmlib.paper.protocols import PROTOCOLS, Part, Protocol
from xbmlib.paper.stated import *  # noqa: F403
from xbmlib.paper.tables import COST, LOSSES, RECALL, SETS, Cost, Row, table

__all__ = [
    "COST",
    "LOSSES",
    "PROTOCOLS",
    "RECALL",
    "SETS",
    "Cost",
    "Part",
    "Protocol",
    "Row",
    "claims",
    "disagreements",
    "table",
]
