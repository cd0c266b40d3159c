"""How the API's schema speaks of conversations and of the OpenAI-compatible routes.

Apart from the views, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema

from nodetool_site.lib.api_schema import (
    ANY,
    FLAG,
    MAPPING,
    NULL,
    NUMBER,
    TEXT,
    WHOLE,
    Json,
    array_of,
    describe_views,
    errors,
    header,
    object_of,
    optional,
    query,
)

OPENAI_ERROR = object_of(
    {
        "error": object_of(
            {
                "message": TEXT,
                "type": TEXT,
                "param": optional(TEXT),
                "code": optional(TEXT),
            }
        )
    }
)
MESSAGE = object_of(
    {"role": TEXT},
    {
        "content": ANY,
        "name": TEXT,
        "tool_calls": array_of(MAPPING),
        "tool_call_id": TEXT,
        "function_call": MAPPING,
    },
)
REQUEST = object_of(
    {"messages": array_of(MESSAGE)},
    {
        "model": optional(TEXT),
        "provider": optional(TEXT),
        "stream": optional(FLAG),
        "resumable": optional(FLAG),
        "thread_id": optional(TEXT),
        "stream_options": optional(object_of({}, {"include_usage": FLAG})),
        "temperature": optional(NUMBER),
        "top_p": optional(NUMBER),
        "max_completion_tokens": optional(WHOLE),
        "max_tokens": optional(WHOLE),
        "stop": ANY,
        "n": optional(WHOLE),
        "tools": optional(array_of(MAPPING)),
        "tool_choice": ANY,
        "functions": optional(array_of(MAPPING)),
        "function_call": ANY,
        "response_format": optional(MAPPING),
    },
)
COMPLETION = object_of(
    {
        "id": TEXT,
        "object": TEXT,
        "created": WHOLE,
        "model": TEXT,
        "choices": array_of(MAPPING),
        "usage": object_of(
            {"prompt_tokens": WHOLE, "completion_tokens": WHOLE, "total_tokens": WHOLE}
        ),
    }
)
RESPONSE_REQUEST = object_of(
    {"input": ANY},
    {
        "model": optional(TEXT),
        "provider": optional(TEXT),
        "instructions": optional(TEXT),
        "stream": optional(FLAG),
        "temperature": optional(NUMBER),
        "top_p": optional(NUMBER),
        "max_output_tokens": optional(WHOLE),
        "tools": optional(array_of(MAPPING)),
        "tool_choice": ANY,
        "text": optional(MAPPING),
        "reasoning": optional(MAPPING),
    },
)
RESPONSE = object_of(
    {
        "id": TEXT,
        "object": TEXT,
        "created_at": WHOLE,
        "status": TEXT,
        "model": TEXT,
        "output": array_of(MAPPING),
        "usage": object_of(
            {"input_tokens": WHOLE, "output_tokens": WHOLE, "total_tokens": WHOLE}
        ),
    }
)
EMBEDDING_REQUEST = object_of(
    {"input": ANY, "model": TEXT},
    {
        "dimensions": optional(WHOLE),
        "encoding_format": optional({"type": "string", "enum": ["float", "base64"]}),
        "provider": optional(TEXT),
        "user": optional(TEXT),
    },
)
EMBEDDINGS = object_of(
    {
        "object": TEXT,
        "data": array_of(object_of({"object": TEXT, "index": WHOLE, "embedding": ANY})),
        "model": TEXT,
        "usage": object_of({"prompt_tokens": WHOLE, "total_tokens": WHOLE}),
    }
)
DELETED = object_of({"id": TEXT, "object": TEXT, "deleted": FLAG})
MODEL = object_of({"id": TEXT, "object": TEXT, "created": WHOLE, "owned_by": TEXT})


def _failures(*codes: int) -> dict[object, Json]:
    return errors(*codes, schema=OPENAI_ERROR)


VIEWS: dict[str, Json] = {
    "embedding_views.EmbeddingCollection": {
        "post": extend_schema(
            request={"application/json": EMBEDDING_REQUEST},
            responses={200: EMBEDDINGS, **_failures(404, 413, 415, 500, 502, 504)},
        )
    },
    "responses_views.Responses": {
        "post": extend_schema(
            request={"application/json": RESPONSE_REQUEST},
            responses={
                (200, "application/json"): RESPONSE,
                (200, "text/event-stream"): TEXT,
                **_failures(404, 413, 415, 500, 502, 504),
            },
        )
    },
    "views.ChatCompletions": {
        "post": extend_schema(
            parameters=[header("X-Resumable", "`1` is `resumable: true`.")],
            request={"application/json": REQUEST},
            responses={
                (200, "application/json"): COMPLETION,
                (200, "text/event-stream"): TEXT,
                **_failures(404, 409, 413, 415, 500, 502, 504),
            },
        )
    },
    "resumable_views.CompletionEvents": {
        "get": extend_schema(
            parameters=[header("Last-Event-ID", "Events above this number.")],
            responses={
                (200, "text/event-stream"): TEXT,
                **_failures(404, 409, 500, 502, 504),
            },
        )
    },
    "resumable_views.CompletionDetail": {
        "delete": extend_schema(responses={200: DELETED, **_failures(404)}),
    },
    "views.ModelCollection": {
        "get": extend_schema(
            responses={
                200: object_of({"object": TEXT, "data": array_of(MODEL)}),
                **_failures(404),
            }
        )
    },
    "views.ModelDetail": {
        "get": extend_schema(responses={200: MODEL, **_failures(404)}),
    },
}
describe_views("chat.openai_api", VIEWS)

PROVIDER = object_of(
    {
        "provider": TEXT,
        "title": TEXT,
        "capabilities": array_of(TEXT),
        "is_configured": FLAG,
        "missing_secret": optional(TEXT),
        "missing_setting": optional(TEXT),
    }
)
LISTED_MODEL = object_of(
    {
        "type": TEXT,
        "provider": TEXT,
        "id": TEXT,
        "name": TEXT,
        "path": NULL,
        "supported_tasks": array_of(TEXT),
    }
)
UNIFIED_MODEL = object_of(
    {"id": TEXT, "type": TEXT, "name": TEXT, "provider": TEXT, "pipeline_tag": TEXT}
)


def _lists(schema: Json, *parameters: OpenApiParameter, codes: tuple[int, ...]) -> Json:
    responses = {200: array_of(schema), **errors(*codes)}
    return {"get": extend_schema(parameters=list(parameters), responses=responses)}


describe_views(
    "chat.api.model_views",
    {
        "ProviderCollection": _lists(
            PROVIDER, query("all", FLAG, "Also those that cannot be called."), codes=()
        ),
        "ModelsOfProvider": _lists(LISTED_MODEL, codes=(404,)),
        "AllModels": _lists(UNIFIED_MODEL, codes=()),
        "RecommendedModels": _lists(UNIFIED_MODEL, codes=()),
        "RecommendedForTask": _lists(UNIFIED_MODEL, codes=(404,)),
    },
)

THREAD = object_of(
    {
        "id": TEXT,
        "user_id": TEXT,
        "title": TEXT,
        "created_at": TEXT,
        "updated_at": TEXT,
        "etag": TEXT,
    },
    {"job_id": optional(TEXT)},
)
_SAID = {
    "content": ANY,
    **dict.fromkeys(
        (
            "thread_id",
            "workflow_id",
            "name",
            "tool_call_id",
            "provider",
            "model",
            "agent_execution_id",
            "execution_event_type",
            "workflow_target",
            "thinking",
            "error",
        ),
        optional(TEXT),
    ),
    **dict.fromkeys(("agent_mode", "help_mode"), optional(FLAG)),
    **dict.fromkeys(("tools", "collections"), optional(array_of(TEXT))),
    **dict.fromkeys(
        ("tool_calls", "input_files", "output_files"), optional(array_of(MAPPING))
    ),
    "graph": optional(MAPPING),
}
THREAD_MESSAGE = object_of(
    {"type": TEXT, "id": TEXT, "role": TEXT, "created_at": TEXT, **_SAID}
)
NEW_MESSAGE = object_of({"role": TEXT}, _SAID)


def _page_of(name: str, schema: Json) -> Json:
    return object_of({"next": optional(TEXT), name: array_of(schema)})


def _paged(*first: OpenApiParameter) -> list[OpenApiParameter]:
    return [
        *first,
        query("cursor", TEXT, "``next`` of the page before."),
        query("limit", WHOLE, "How many, at most 500."),
        query("reverse", FLAG, "The newest first."),
    ]


describe_views(
    "chat.api.thread_views",
    {
        "ThreadCollection": {
            "get": extend_schema(
                parameters=_paged(),
                responses={200: _page_of("threads", THREAD), **errors()},
            ),
            "post": extend_schema(
                request={"application/json": object_of({}, {"title": optional(TEXT)})},
                responses={200: THREAD, **errors(422)},
            ),
        },
        "ThreadDetail": {
            "get": extend_schema(responses={200: THREAD, **errors(404)}),
            "put": extend_schema(
                request={"application/json": object_of({"title": TEXT})},
                responses={200: THREAD, **errors(404, 422)},
            ),
            "delete": extend_schema(responses={200: NULL, **errors(404)}),
        },
        "ThreadSummary": {
            "post": extend_schema(
                request={
                    "application/json": object_of(
                        {},
                        dict.fromkeys(("provider", "model", "content"), optional(TEXT)),
                    )
                },
                responses={200: THREAD, **errors(404, 422, 502)},
            )
        },
        "MessageCollection": {
            "get": extend_schema(
                parameters=_paged(query("thread_id", TEXT, "The conversation.")),
                responses={200: _page_of("messages", THREAD_MESSAGE), **errors(404)},
            ),
            "post": extend_schema(
                request={"application/json": NEW_MESSAGE},
                responses={200: THREAD_MESSAGE, **errors(404, 422)},
            ),
        },
        "MessageDetail": {
            "get": extend_schema(responses={200: THREAD_MESSAGE, **errors(404)}),
        },
    },
)
