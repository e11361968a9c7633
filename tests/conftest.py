"""Set before any test module is imported: Triton reads it once, when it is imported itself."""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
