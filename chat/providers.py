"""Which provider serves a caller, and with whose key.

Keys are the caller's stored secrets, else the server's own; addresses come from the
settings alone. No request can name either.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings

from chat.catalogs import Catalog, catalogs
from chat.errors import ModelNotFound, ProviderNotConfigured, UnknownProvider
from nodetool_site.lib.db import db
from nodetool_site.lib.modes import DESKTOP
from storage.vault import reveal_secrets
from workflows.providers import registry
from workflows.providers.registry import FAKE, PROVIDERS, ProviderSpec

if TYPE_CHECKING:
    from workflows.providers.base import Provider
    from workflows.providers.messages import ModelInfo

WORKFLOW_PREFIX = "workflow:"
_KEY_NAMES = tuple(spec.key_name for spec in PROVIDERS.values() if spec.key_name)


@dataclass(frozen=True, slots=True)
class Access:
    """How one caller reaches a provider."""

    spec: ProviderSpec
    api_key: str | None = field(repr=False)
    base_url: str

    def connect(self) -> Provider:
        """Return the provider, ready to be called."""
        return registry.make_provider(
            self.spec,
            api_key=self.api_key,
            base_url=self.base_url,
            timeout_s=settings.PROVIDER_TIMEOUT,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Where a request goes: a provider, and its own id of the model."""

    access: Access
    model: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a caller can use a provider.

    ``lacking`` is the name of the secret or the setting that is missing, if one is.
    """

    spec: ProviderSpec
    lacking: str | None

    @property
    def missing_secret(self) -> str | None:
        """The secret to store before it can be called."""
        return self.lacking if self.lacking == self.spec.key_name else None

    @property
    def missing_setting(self) -> str | None:
        """The variable to set in the server's environment before it can be called."""
        return self.lacking if self.lacking != self.spec.key_name else None


def is_on(provider: str) -> bool:
    """Tell whether this server has a provider at all."""
    if provider != FAKE:
        return provider in PROVIDERS
    chosen: bool | None = settings.FAKE_PROVIDER_CHOSEN
    return settings.SERVER_MODE == DESKTOP if chosen is None else chosen


def is_workflow(model: str, provider: str | None = None) -> bool:
    """Tell whether a model's id means a workflow: no provider has any of these."""
    return provider is None and model.startswith(WORKFLOW_PREFIX)


async def find(owner_id: str, model: str, *, provider: str | None = None) -> Found:
    """Return where a model id leads for a caller. ``provider`` was demanded.

    Raises:
        UnknownProvider: there is none of that name.
        ProviderNotConfigured: it has no key, or no address.
        ModelNotFound: the id leads nowhere.
    """
    if provider is not None:
        if not is_on(provider):
            raise UnknownProvider(provider)
        return Found(await _access_of(owner_id, PROVIDERS[provider]), model)
    if is_workflow(model):
        raise ModelNotFound(model)
    target = registry.split_id(model)
    if target is not None and is_on(target.spec.id):
        return Found(await _access_of(owner_id, target.spec), target.model)
    access = await _default_access(owner_id)
    if access is not None and catalogs().has(access, model):
        return Found(access, model)
    return await _search(owner_id, model)


async def _search(owner_id: str, model: str) -> Found:
    """Return where an id leads that is not known to be the default provider's."""
    keys = await _keys(owner_id, _KEY_NAMES)
    accesses = _configured(keys)
    lists = await catalogs().get(accesses, may_be_old=True)
    ids = {name: catalog.ids for name, catalog in lists.items()}
    target = registry.by_catalog(model, ids, first=settings.CHAT_PROVIDER)
    target = target or registry.by_form(model, is_on=is_on)
    if target is not None:
        return Found(_access(target.spec, keys), target.model)
    default = next((a for a in accesses if a.spec.id == settings.CHAT_PROVIDER), None)
    if default is None or not catalogs().may_offer_more(default):
        raise ModelNotFound(model)
    return Found(default, model)


async def standings(owner_id: str) -> list[Standing]:
    """Return the providers of this server as they stand for a caller.

    The default one comes first. Who can be called is not asked whether they answer.
    """
    keys = await _keys(owner_id, _KEY_NAMES)
    return [
        Standing(spec, _lacking(spec, keys)) for spec in _ordered() if is_on(spec.id)
    ]


async def list_models_of(owner_id: str, provider: str) -> list[ModelInfo]:
    """Return what one provider offers a caller.

    Nothing if it is off, lacks its key or address, or does not answer in time.

    Raises:
        UnknownProvider: nobody knows one of that name.
    """
    if not registry.is_known(provider):
        raise UnknownProvider(provider)
    if not is_on(provider):
        return []
    try:
        access = await _access_of(owner_id, PROVIDERS[provider])
    except ProviderNotConfigured:
        return []
    lists = await catalogs().get([access])
    return lists[provider].models if provider in lists else []


def context_tokens(found: Found) -> int | None:
    """Return how much a model can be given, if its provider has told so before."""
    ids = (found.model, f"{found.access.spec.id}/{found.model}")
    models = catalogs().known(found.access)
    return next((each.context_tokens for each in models if each.id in ids), None)


async def list_models(owner_id: str) -> dict[str, Catalog]:
    """Return what the caller's providers offer; the default one comes first."""
    keys = await _keys(owner_id, _KEY_NAMES)
    return await catalogs().get(_configured(keys))


async def _default_access(owner_id: str) -> Access | None:
    """Return how a caller reaches the default provider, if at all."""
    spec = PROVIDERS[settings.CHAT_PROVIDER]
    if not is_on(spec.id):
        return None
    try:
        return await _access_of(owner_id, spec)
    except ProviderNotConfigured:
        return None


async def _access_of(owner_id: str, spec: ProviderSpec) -> Access:
    names = (spec.key_name,) if spec.key_name else ()
    return _access(spec, await _keys(owner_id, names))


async def _keys(owner_id: str, names: Collection[str]) -> dict[str, str]:
    """Return the keys that count for a caller, by the names of their secrets."""
    if not names:
        return {}
    stored = await db(reveal_secrets, owner_id, names)
    own = {name: settings.PROVIDER_KEYS.get(name) for name in names}
    return {**{name: key for name, key in own.items() if key}, **stored}


def _configured(keys: dict[str, str]) -> list[Access]:
    """Return the providers that can be called, the default one first."""
    return [
        _access(spec, keys)
        for spec in _ordered()
        if is_on(spec.id) and _lacking(spec, keys) is None
    ]


def _ordered() -> list[ProviderSpec]:
    return sorted(PROVIDERS.values(), key=lambda s: s.id != settings.CHAT_PROVIDER)


def _access(spec: ProviderSpec, keys: dict[str, str]) -> Access:
    lacking = _lacking(spec, keys)
    if lacking is not None:
        raise ProviderNotConfigured(
            spec.title, lacking, is_secret=lacking == spec.key_name
        )
    key = keys.get(spec.key_name) if spec.key_name else None
    return Access(spec, key, _base_url(spec))


def _lacking(spec: ProviderSpec, keys: dict[str, str]) -> str | None:
    """Return the name of the secret or setting that a provider needs and has not."""
    if spec.key_name and spec.key_name not in keys:
        return spec.key_name
    return None if _base_url(spec) else spec.base_url_setting


def _base_url(spec: ProviderSpec) -> str:
    return settings.PROVIDER_BASE_URLS.get(spec.base_url_setting) or spec.base_url
