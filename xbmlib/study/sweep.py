"""The jobs of workflow/Snakefile, which trains the runs of the notebooks in parallel.

python -m xbmlib.study.sweep {plan,train,notebook,verdicts} --help
"""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from typing import Any

from xbmlib.datasets.paths import is_folder
from xbmlib.storage import write_json
from xbmlib.study.execution import execute
from xbmlib.study.parallel import single_threaded
from xbmlib.study.plan import STUDIES, plan
from xbmlib.study.profiles import PROFILES
from xbmlib.study.progress import Progress
from xbmlib.study.refusal import as_command
from xbmlib.study.summary import verdict_lines
from xbmlib.training.experiment import ConfigError, Experiment
from xbmlib.training.run import identify, run_experiment
from xbmlib.training.trainer import CHECKPOINT_STEPS

REMEDY = "write it with python -m xbmlib.study.sweep plan"


def train_planned(planned: dict[str, Any], id: str) -> None:
    """Train one run of a plan as :func:`xbmlib.study.parallel.run_all` does, to the same bits.

    Args:
        planned: what :func:`xbmlib.study.plan.plan` returns, and "checkpoint_steps".
        id: id of the run.

    Raises:
        ConfigError: the plan has no such run, or its experiment has another id here than there.
    """
    if id not in planned["runs"]:
        close = difflib.get_close_matches(id, planned["runs"], n=1)
        hint = f"did you mean {close[0]}?" if close else 'see its key "runs"'
        raise ConfigError(f"{id}: none of the {len(planned['runs'])} runs of the plan; {hint}")
    if not isinstance(planned["runs"][id], dict):
        raise ConfigError(f"run {id} of the plan is no experiment; {REMEDY}")
    experiment = Experiment.from_dict(planned["runs"][id])
    if (found := identify(experiment)) != id:
        raise ConfigError(
            f"run {id} of the plan would be {found} here: data, weights or TRAINING_VERSION are "
            "not those of the plan; start the sweep again where they are in place"
        )
    single_threaded()
    with Progress(experiment.steps, id) as bar:
        every = planned["checkpoint_steps"]
        run_experiment(experiment, progress=bar.update, checkpoint_steps=every)


def read_plan(path: Path) -> dict[str, Any]:
    """The plan that the job "plan" wrote.

    Raises:
        ConfigError: no such file, or not a plan.
    """
    try:
        planned = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as a plan ({error}); {REMEDY}") from None
    if (
        not isinstance(planned, dict)
        or not isinstance(planned.get("runs"), dict)
        or type(planned.get("checkpoint_steps")) is not int
    ):
        raise ConfigError(f"{path}: not a plan; {REMEDY}")
    return planned


def _notebooks(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in STUDIES]:
        known = ", ".join(STUDIES)
        raise argparse.ArgumentTypeError(f"no notebook {', '.join(unknown)}; known: {known}")
    return names


def _steps(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give an integer of at least 1")
    return int(text)


def main(arguments: list[str] | None = None) -> None:
    """Run one job of a sweep."""
    parser = argparse.ArgumentParser(
        prog="python -m xbmlib.study.sweep", description=__doc__, allow_abbrev=False
    )
    jobs = parser.add_subparsers(dest="job", required=True)
    # The options have the names that `snakemake --config` takes.
    make = jobs.add_parser("plan", help="write the runs of a sweep", allow_abbrev=False)
    make.add_argument("plan", type=Path, help="JSON file to write")
    make.add_argument("--profile", default="full", choices=list(PROFILES))
    make.add_argument(
        "--notebooks", default=list(STUDIES), type=_notebooks, help="names, separated by commas"
    )
    make.add_argument(
        "--checkpoint_steps",
        default=CHECKPOINT_STEPS,
        type=_steps,
        help="steps between two checkpoints",
    )
    one = jobs.add_parser(
        "train", help="train one run, resuming from its checkpoint if there is one"
    )
    one.add_argument("plan", type=Path)
    one.add_argument("id")
    for name, help in (("notebook", "execute one notebook"), ("verdicts", "print the verdicts")):
        job = jobs.add_parser(name, help=help)
        job.add_argument("profile", choices=list(PROFILES))
        if name == "notebook":
            job.add_argument("name", choices=list(STUDIES))
    given = parser.parse_args(arguments)
    with as_command():
        if given.job == "plan":
            if is_folder(given.plan):
                raise ConfigError(f"{given.plan}: a folder; give the path of a JSON file to write")
            planned = plan(given.profile, given.notebooks)
            write_json(given.plan, planned | {"checkpoint_steps": given.checkpoint_steps})
        elif given.job == "train":
            train_planned(read_plan(given.plan), given.id)
        elif given.job == "notebook":
            execute(given.name, given.profile)
        else:
            print("\n".join(verdict_lines(given.profile)))


if __name__ == "__main__":
    main()
