"""The models that a caller may name, as OpenAI's clients list them."""

from __future__ import annotations

from collections.abc import Iterable

from chat.catalogs import Catalog
from chat.errors import ModelNotFound
from chat.openai_api.schemas import Model
from chat.workflow_models import WorkflowModel
from workflows.providers import registry
from workflows.providers.messages import ModelInfo

WORKFLOW_OWNER = "nodetool"


def listed(
    lists: dict[str, Catalog], workflows: Iterable[WorkflowModel] = ()
) -> list[Model]:
    """Return the language models of some providers, sorted by provider, then id.

    The workflows are among them, as those of one more provider.

    ``lists`` has them in the order in which a plain id is looked for: who comes later
    and offers the same id has theirs listed as ``provider/id``.
    """
    taken: set[str] = set()
    found = {each.model_id: of_workflow(each) for each in workflows}
    for provider, catalog in lists.items():
        for model in catalog.models:
            if model.kind != "language":
                continue
            shown = model.id if model.id not in taken else f"{provider}/{model.id}"
            found.setdefault(shown, _document(shown, model, provider))
        taken.update(catalog.ids)
    return sorted(found.values(), key=lambda model: (model.owned_by, model.id))


def one(lists: dict[str, Catalog], model_id: str) -> Model:
    """Return the model of an id: one of the list, or ``provider/id``.

    Raises:
        ModelNotFound: nobody offers it.
    """
    for model in listed(lists):
        if model.id == model_id:
            return model
    target = registry.split_id(model_id)
    catalog = lists.get(target.spec.id) if target is not None else None
    if target is not None and catalog is not None:
        for known in catalog.models:
            if known.id == target.model and known.kind == "language":
                return _document(model_id, known, target.spec.id)
    raise ModelNotFound(model_id)


def of_workflow(workflow: WorkflowModel) -> Model:
    """Return a workflow as a model."""
    return Model(
        id=workflow.model_id, created=workflow.created, owned_by=WORKFLOW_OWNER
    )


def _document(shown: str, model: ModelInfo, provider: str) -> Model:
    return Model(id=shown, created=max(0, model.created), owned_by=provider)
