"""What the paper claims, in the order of its sections, each with the rule that it is judged by.

The rules were written before any run of the protocol that they judge. A bar is the paper's own
figure wherever it prints one. Data sets have the paper's names, for which a study's own may stand;
R@1 of VehicleID is that of its large test set.
"""

from xbmlib.paper.claims.ablation import *  # noqa: F403
from xbmlib.paper.claims.ablation import ABLATION
from xbmlib.paper.claims.claim import Claim
from xbmlib.paper.claims.method import *  # noqa: F403
from xbmlib.paper.claims.method import METHOD
from xbmlib.paper.claims.results import *  # noqa: F403
from xbmlib.paper.claims.results import RESULTS

CLAIMS: tuple[Claim, ...] = (*METHOD, *ABLATION, *RESULTS)
