"""The study: which runs make up a figure, how they are trained, and what they say."""

from xbmlib.extras import require_installed

require_installed(
    "IPython",
    "PIL",
    "filelock",
    "ipywidgets",
    "matplotlib",
    "numpy",
    "pandas",
    "papermill",
    "pyarrow",
    "pydantic",
    "scipy",
    "tqdm",
    "traitlets",
    extra="study",
)
