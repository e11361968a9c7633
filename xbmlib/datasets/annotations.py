"""Print cars_annos.mat as JSON: started as a program of its own, without the rest of xbmlib.

SciPy's reader follows lengths and addresses that a damaged file states, which can end the process
or go on for ever; here it ends this program alone, in bounded time and memory.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

# Of memory, in bytes: the published file takes a small part of it.
MEMORY = 4 << 30


def main(file: str) -> int:
    """Print the path and the class of every annotation, or the error to stderr."""
    with suppress(ImportError, ValueError, OSError):  # no such limit on this system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The threads of a large machine would reserve more than that.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import numpy as np
    from scipy.io import loadmat

    try:
        annotations = np.atleast_1d(loadmat(file, squeeze_me=True)["annotations"])
        pairs = zip(annotations["relative_im_path"], annotations["class"], strict=True)
        entries = [[str(path), str(label)] for path, label in pairs]
    except Exception as error:  # a file of another kind or content fails in many ways
        print(f"{type(error).__name__}: {error}".splitlines()[0], file=sys.stderr)
        return 1
    json.dump(entries, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
