"""A chat completion whose model is a workflow: a run, told like a model's answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from chat.errors import ModelNotFound
from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.job_readings import WorkflowReading
from chat.openai_api.job_runs import run_job
from chat.openai_api.messages import Draft
from chat.openai_api.requests import Completion
from chat.workflow_models import WorkflowModel
from jobs.requests import JobRequest
from workflows.errors import WorkflowNotFound
from workflows.providers.messages import Chunk, Message, NamedTool, TextPart

JOB_TYPE = "chat_completion"
_ROLES = {"developer": "system"}


def read_params(workflow: WorkflowModel, wanted: Completion) -> dict[str, Any]:
    """Return the parameters of the run that a request asks for.

    Of its fields the messages count; those that steer a model's choice of words, and
    tools that it need not call, do not.

    Raises:
        InvalidField: it asks for what a workflow cannot do.
        NotForChat, AmbiguousTextInput: the workflow cannot answer a conversation.
    """
    if wanted.choices > 1:
        raise InvalidField(
            "n", "Invalid value: 'n' must be 1 for a workflow.", code=UNSUPPORTED
        )
    choice = wanted.request.tool_choice
    if choice == "required" or isinstance(choice, NamedTool):
        raise InvalidField(
            "tool_choice",
            "Invalid value: 'tool_choice' demands a tool call, and a workflow makes "
            "none.",
            code=UNSUPPORTED,
        )
    messages = [_text_of(draft) for draft in wanted.messages]
    asked = max(
        (index for index, message in enumerate(messages) if message.role == "user"),
        default=None,
    )
    if asked is None:
        param = wanted.messages[-1].param.partition("[")[0]
        raise InvalidField(
            param, f"Invalid value: '{param}' must have a message of the role 'user'."
        )
    history = [_document(message) for message in messages[:asked]]
    return workflow.params(messages[asked].text, history)


async def run_workflow(
    workflow: WorkflowModel, params: dict[str, Any], *, owner_id: str, base_url: str
) -> AsyncGenerator[Chunk, None]:
    """Run the workflow and yield what it says.

    Whoever closes the generator before its end, or cancels whoever waits for its next
    step, cancels the run.

    Raises:
        ModelNotFound: the workflow is there no more.
        WorkflowFailed: the run has failed.
        RunCancelled: somebody has cancelled it.
        ApplicationError: the run did not begin; see ``create_job``.
    """
    job = JobRequest(workflow_id=workflow.id, params=params, job_type=JOB_TYPE)
    reading = WorkflowReading(workflow.load(), owner_id=owner_id, base_url=base_url)
    try:
        async with aclosing(run_job(job, reading, owner_id)) as chunks:
            async for chunk in chunks:
                yield chunk
    except WorkflowNotFound as error:
        raise ModelNotFound(workflow.model_id) from error


def _text_of(draft: Draft) -> Message:
    """Return a message that is text and nothing else."""
    texts = [part for part in draft.content if isinstance(part, TextPart)]
    for number, part in enumerate(draft.content):
        if not isinstance(part, TextPart):
            param = f"{draft.param}.content[{number}].type"
            raise InvalidField(
                param,
                f"Invalid value: '{param}' must be 'text' for a workflow.",
                code=UNSUPPORTED,
            )
    return msgspec.structs.replace(draft.message, content=tuple(texts))


def _document(message: Message) -> dict[str, Any]:
    role = _ROLES.get(message.role, message.role)
    return {"type": "message", "role": role, "content": message.text}
