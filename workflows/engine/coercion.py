"""Which value fits which type, and what it becomes there.

A table of small functions, compiled once per declared type: ``msgspec.convert`` refuses
3.0 for an int and knows no tagged dicts, so it cannot be used here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from workflows.engine.errors import ValueMisfit
from workflows.engine.type_specs import TypeSpec
from workflows.engine.values import wire_type

Coercer = Callable[[Any], Any]

MAX_SHOWN_BITS = 256


@lru_cache(maxsize=4096)
def coercer_for(spec: TypeSpec) -> Coercer | None:
    """Return the check for a type, or None when every value fits it as it is.

    The check returns the value as the property shall hold it, or raises `ValueMisfit`.
    """
    build = _BUILDERS.get(spec.type)
    if build is not None:
        check = build(spec)
    elif spec.type in ("any", "object"):
        return None
    else:
        check = _structured(spec)
    return _optional(check) if spec.optional else check


def coerce(spec: TypeSpec, value: Any) -> Any:
    """Return the value as a property of this type shall hold it.

    Raises:
        ValueMisfit: it does not fit.
    """
    check = coercer_for(spec)
    return value if check is None else check(value)


def within(
    check: Coercer | None, low: float | None, high: float | None
) -> Coercer | None:
    """Return the check that also refuses numbers below ``low`` and above ``high``."""
    if low is None and high is None:
        return check

    def coerce_within(value: Any) -> Any:
        fitted = value if check is None else check(value)
        if isinstance(fitted, int | float):
            if low is not None and not fitted >= low:
                raise _misfit(f"at least {low}", fitted)
            if high is not None and not fitted <= high:
                raise _misfit(f"at most {high}", fitted)
        return fitted

    return coerce_within


def _optional(check: Coercer) -> Coercer:
    def coerce_optional(value: Any) -> Any:
        return None if value is None else check(value)

    return coerce_optional


def _misfit(expected: object, value: Any) -> ValueMisfit:
    return ValueMisfit(f"expected {expected}, got {wire_type(value)}{_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:
        # Its digits may be too many to write: the interpreter has a limit.
        return f" of {value.bit_length():,} bits"
    return f" {value}" if isinstance(value, int | float) else ""


def _exactly(kind: type) -> Callable[[TypeSpec], Coercer]:
    def build(spec: TypeSpec) -> Coercer:
        def coerce_exact(value: Any) -> Any:
            if isinstance(value, kind):
                return value
            raise _misfit(spec, value)

        return coerce_exact

    return build


def _int(spec: TypeSpec) -> Coercer:
    def coerce_int(value: Any) -> Any:
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        raise _misfit(spec, value)

    return coerce_int


def _float(spec: TypeSpec) -> Coercer:
    def coerce_float(value: Any) -> Any:
        if type(value) is float or type(value) is int:
            return value
        raise _misfit(spec, value)

    return coerce_float


def _list(spec: TypeSpec) -> Coercer:
    item = coercer_for(spec.type_args[0]) if spec.type_args else None

    def coerce_list(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(value) if item is None else [item(each) for each in value]
        if not spec.type_args:
            raise _misfit(spec, value)
        return [value if item is None else item(value)]

    return coerce_list


def _tuple(spec: TypeSpec) -> Coercer:
    items = [coercer_for(arg) for arg in spec.type_args]

    def coerce_tuple(value: Any) -> Any:
        if not isinstance(value, list | tuple) or (items and len(items) != len(value)):
            raise _misfit(spec, value)
        if not items:
            return list(value)
        return [
            each if item is None else item(each)
            for item, each in zip(items, value, strict=True)
        ]

    return coerce_tuple


def _dict(spec: TypeSpec) -> Coercer:
    item = coercer_for(spec.type_args[1]) if len(spec.type_args) == 2 else None

    def coerce_dict(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _misfit(spec, value)
        if item is None:
            return value
        return {key: item(each) for key, each in value.items()}

    return coerce_dict


def _union(spec: TypeSpec) -> Coercer:
    members = [coercer_for(arg) for arg in spec.type_args]

    def coerce_union(value: Any) -> Any:
        fitted: list[Any] = []
        for member in members:
            try:
                taken = value if member is None else member(value)
            except ValueMisfit:
                continue
            if taken is value:  # 10.0 is a float before it is an int
                return value
            fitted.append(taken)
        if not fitted:
            raise _misfit(spec, value)
        return fitted[0]

    return coerce_union


def _enum(spec: TypeSpec) -> Coercer:
    allowed = spec.values

    def coerce_enum(value: Any) -> Any:
        value = getattr(value, "value", value)
        if not allowed or any(
            value == each and type(value) is type(each) for each in allowed
        ):
            return value
        raise ValueMisfit(f"expected one of {', '.join(map(str, allowed))}")

    return coerce_enum


def _structured(spec: TypeSpec) -> Coercer:
    name = spec.type

    def coerce_structured(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _misfit(spec, value)
        tag = value.get("type")
        if tag == name:
            return value
        if "type" in value:
            raise ValueMisfit(f"expected {name}, got {tag}")
        return {"type": name, **value}

    return coerce_structured


def _date(spec: TypeSpec) -> Coercer:
    check = _structured(spec)

    def coerce_date(value: Any) -> Any:
        if not isinstance(value, str):
            return check(value)
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise ValueMisfit("expected a date such as 2024-12-31") from None
        return {"type": "date", "year": day.year, "month": day.month, "day": day.day}

    return coerce_date


def _datetime(spec: TypeSpec) -> Coercer:
    check = _structured(spec)

    def coerce_datetime(value: Any) -> Any:
        if not isinstance(value, str):
            return check(value)
        try:
            return _datetime_value(dt.datetime.fromisoformat(value))
        except ValueError:
            raise ValueMisfit(
                "expected a time such as 2024-12-31T23:59:00+00:00"
            ) from None

    return coerce_datetime


def _datetime_value(at: dt.datetime) -> dict[str, Any]:
    offset = at.utcoffset() or dt.timedelta()
    minutes, rest = divmod(offset, dt.timedelta(minutes=1))
    if rest:
        raise ValueError("the offset from UTC is not in whole minutes")
    return {
        "type": "datetime",
        "year": at.year,
        "month": at.month,
        "day": at.day,
        "hour": at.hour,
        "minute": at.minute,
        "second": at.second,
        "microsecond": at.microsecond,
        "tzinfo": at.tzname() or "UTC",
        "utc_offset": minutes,
    }


_BUILDERS: dict[str, Callable[[TypeSpec], Coercer]] = {
    "str": _exactly(str),
    "bool": _exactly(bool),
    "bytes": _exactly(bytes),
    "none": _exactly(type(None)),
    "int": _int,
    "float": _float,
    "list": _list,
    "tuple": _tuple,
    "dict": _dict,
    "union": _union,
    "enum": _enum,
    "date": _date,
    "datetime": _datetime,
}
