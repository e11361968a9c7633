"""One run: its experiment, the trainer and its callbacks, the store of finished runs."""

from xbmlib.extras import require_installed

require_installed("filelock", "pandas", "pyarrow", "pydantic", "tqdm", extra="study")
