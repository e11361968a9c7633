"""Which runs the notebooks need, without running any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from xbmlib.study.figures import (
    ablation_batch_size,
    ablation_memory_ratio,
    cost,
    drift_curves,
    from_scratch,
    losses_with_memory,
    recall_tables,
    retrievals,
    stronger_baseline,
    training_length,
    valid_negatives,
)
from xbmlib.study.notebook import ProfileName, StudyParameters
from xbmlib.training.experiment import Experiment
from xbmlib.training.run import identify_all


@dataclass(frozen=True)
class Study:
    """A notebook's parameters, and the experiments that follow from them."""

    parameters: type[StudyParameters]
    experiments: Callable[[Any], list[Experiment]]


# By the name of the notebook, in the order in which a reader comes to them.
STUDIES = {
    study.parameters.notebook: study
    for study in (
        Study(drift_curves.Parameters, drift_curves.experiments),
        Study(valid_negatives.Parameters, valid_negatives.experiments),
        Study(ablation_memory_ratio.Parameters, ablation_memory_ratio.experiments),
        Study(stronger_baseline.Parameters, stronger_baseline.experiments),
        Study(ablation_batch_size.Parameters, ablation_batch_size.experiments),
        Study(losses_with_memory.Parameters, losses_with_memory.experiments),
        Study(cost.Parameters, cost.experiments),
        Study(recall_tables.SopParameters, recall_tables.experiments),
        Study(recall_tables.InShopParameters, recall_tables.experiments),
        Study(recall_tables.VehicleIdParameters, recall_tables.experiments),
        Study(retrievals.Parameters, retrievals.experiments),
        Study(from_scratch.Parameters, from_scratch.experiments),
        Study(training_length.Parameters, training_length.experiments),
    )
}
NOTEBOOKS = tuple(STUDIES)


def experiments(
    notebook: str, profile: ProfileName, data_root: str | None = None
) -> list[Experiment]:
    """Every experiment of a notebook, stored or not, duplicates included.

    Args:
        notebook: its name, one of :data:`STUDIES`.
        profile: name of the profile; the other parameters keep their defaults.
        data_root: folder of the paper's data sets, for the profiles that need them.

    Raises:
        KeyError: no such notebook.
        ParameterError: unknown profile, or no such folder.
    """
    study = STUDIES[notebook]
    return study.experiments(study.parameters.of({"profile": profile, "data_root": data_root}))


def plan(profile: ProfileName, notebooks: Iterable[str] = NOTEBOOKS) -> dict[str, Any]:
    """The runs of a sweep over notebooks, in types that JSON has.

    Returns:
        "profile": its name; "runs": run id to the fields of its experiment, each id once, however
        many notebooks need it; "notebooks": name to the ids of the runs that it needs.

    Raises:
        KeyError: no such notebook.
        ConfigError, DatasetError: as :func:`xbmlib.training.run.identify`.
    """
    wanted = [(name, e) for name in notebooks for e in experiments(name, profile)]
    ids = identify_all(e for _, e in wanted)
    needed: dict[str, list[str]] = {name: [] for name, _ in wanted}
    for id, (name, _) in zip(ids, wanted, strict=True):
        if id not in needed[name]:
            needed[name].append(id)
    runs = {id: e.model_dump() for id, (_, e) in zip(ids, wanted, strict=True)}
    return {"profile": profile, "runs": runs, "notebooks": needed}
