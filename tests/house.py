"""The rules of the house: what may import what, and what is named after what.

Each rule is a function from the root of a source tree to the list of what breaks it.
"""

import sys
from graphlib import CycleError, TopologicalSorter

from tests.imports import imports, sources

# What the paper's method consists of, for use in any project: each imports the standard library,
# torch and the others. `extras` is among them because it is what reports a missing extra, and
# `xbmlib` itself because importing it imports torch and no more.
GROUND = {"queue", "losses", "sampler", "backbones", "recall", "drift", "extras", "xbm", "xbmlib"}
GROUND |= {"bfloat16", "integers", "registry", "state", "diagnose"}
# Other packages that a call on the ground floor may import, and why.
EXCEPTIONS = {
    ("xbmlib.recall.nearest", "faiss"): "exact nearest neighbours; Recall@K does without",
    ("xbmlib.backbones.catalogue", "torchvision"): "GoogLeNet and ResNet50 are torchvision's",
    ("xbmlib.backbones.weights", "torchvision"): "their weights are fetched by torchvision",
    ("xbmlib.backbones.weights", "safetensors"): "the format of the file that is read or written",
    ("xbmlib.losses.kernels", "triton"): "kernels for a GPU; every loss does without",
}
# Modules that only calls import, so that what they import at the top is imported by calls too.
DEFERRED = {"xbmlib.losses.kernels", "xbmlib.losses.one_pass"}
# A room is a folder or a single module; it imports from its own floor and from those below.
FLOORS = (
    {*GROUND, "storage", "paper"},
    {"distributed", "datasets", "plots"},
    {"training", "train"},
    {"study", "notebooks"},
    {"report", "benchmarks"},
)
# Study modules and plots that do not have the name of a notebook, and why.
SHARED = {"recall_sop": "recall_tables", "recall_inshop": "recall_tables",
          "recall_vehicleid": "recall_tables"}  # fmt: skip
HELPERS = {
    "xbmlib/study/figures": {
        "lemma": "Lemma 1, the part of drift_curves that Fig. 3 does not show",
        "cost_model": "what scaling predicts, apart from what it measures",
        "skin_tones": "the errors of retrievals on emoji, by the names of their classes",
        "small": "classes and network of xbm_in_one_page and diagnosis",
        "ablation_batch_size_claims": "the claims of ablation_batch_size, apart from its runs",
        "losses_with_memory_claims": "the claims of losses_with_memory, apart from its runs",
        "training_length_claims": "the claims of training_length, apart from its runs",
    },
    "xbmlib/plots": {
        "style": "colours and axes of every plot",
        "image_grid": "rows of images, for retrievals and valid_negatives",
        "while_training": "R@1 while training, for losses_with_memory and ablation_memory_ratio",
    },
}
WITHOUT = {"xbmlib/plots": {"pretrain": "it writes weights and has no figure"}}


def room(module):
    """The room that a module lies in."""
    first, *rest = module.split(".")
    return rest[0] if first == "xbmlib" and rest else first


def strangers(root):
    """Imports on the ground floor of anything else, and exceptions that nothing needs any more."""
    found, used = [], set()
    packages = {*sys.stdlib_module_names, "torch"}
    for module, target, lazy in imports(root):
        if room(module) not in GROUND or module.split(".")[0] != "xbmlib":
            continue
        package = target.split(".")[0]
        lazy = lazy or module in DEFERRED
        if not lazy and any(target.startswith(name) for name in DEFERRED):
            found.append(f"{module} imports {target} before it is called")
        if lazy and (module, package) in EXCEPTIONS:
            used.add((module, package))
        elif package not in packages and (package != "xbmlib" or room(target) not in GROUND):
            found.append(f"{module} imports {target}")
    return found, EXCEPTIONS.keys() - used


def climbs(root):
    """Imports from a higher floor, circles of rooms or of modules, and rooms without a floor."""
    level = {name: i for i, floor in enumerate(FLOORS) for name in floor}
    rooms = {room(module) for module, _ in sources(root)}
    found = [f"{name} is on no floor" for name in sorted(rooms - level.keys())]
    between_rooms, between_modules = {}, {}
    for module, target, _ in imports(root):
        here, there = room(module), room(target)
        if target.split(".")[0] not in {"xbmlib", "benchmarks"}:
            continue
        if level.get(there, 0) > level.get(here, len(FLOORS)):
            found.append(f"{module} imports {target} from a higher floor")
        if here != there:
            between_rooms.setdefault(here, set()).add(there)
        if module != target:
            between_modules.setdefault(module, set()).add(target)
    for graph in (between_rooms, between_modules):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found.append(f"a circle: {' - '.join(error.args[1])}")
    return found


def second_names(root):
    """Notebooks, study modules, plots and exported figures that do not share a name."""
    notebooks = {path.stem for path in (root / "notebooks").glob("*.ipynb")}
    wanted = {SHARED.get(name, name) for name in notebooks}
    found = []
    for folder, helpers in HELPERS.items():
        stems = {path.stem for path in (root / folder).glob("*.py")} - {"__init__"}
        due = wanted - WITHOUT.get(folder, {}).keys()
        found += [f"{folder}/{name}.py is missing" for name in sorted(due - stems)]
        found += [f"{folder}/{name}.py has no notebook" for name in stems - due - helpers.keys()]
        found += [f"{folder}/{name}.py is listed and not there" for name in helpers.keys() - stems]
    for path in sorted((root / "figures").rglob("*.*")):
        if not any(f"{path.stem}_".startswith(f"{name}_") for name in notebooks):
            found.append(f"{path.relative_to(root)} has no notebook")
    named = {(module, target) for module, target, _ in imports(root)}
    for name in sorted(notebooks):
        own = f"xbmlib.study.figures.{SHARED.get(name, name)}"
        if (f"notebooks.{name}", own) not in named:
            found.append(f"{name}.ipynb does not import {own}")
    return found


def without_twin(root):
    """Folders of tests that are named after no folder of the library."""
    folders = {path.parent.relative_to(root / "tests") for path in (root / "tests").rglob("*.py")}
    return [f"tests/{f}" for f in sorted(folders) if not (root / "xbmlib" / f).is_dir()]
