"""Which bundled data set stands for which of the paper's."""

from __future__ import annotations

# Bundled data set to the paper's, by its name in xbmlib.datasets and as printed; in the paper's
# order.
COUNTERPARTS = {
    "hanzi": ("sop", "SOP"),
    "emoji": ("inshop", "In-shop"),
    "hangul": ("vehicleid", "VehicleID"),
}
