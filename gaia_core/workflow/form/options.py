"""The settings that a Command or a Step may give: `timeout`, `retries`, `resources` and the like."""

from collections.abc import Mapping
from typing import Final

from gaia_core.sizes import bytes_of
from gaia_core.workflow.form.fields import ABSENT, Form
from gaia_core.workflow.form.texts import name_problem
from gaia_core.workflow.form.values import INT32_MAX, INTEGER_MAX
from gaia_core.workflow.form.wording import at, kind
from gaia_core.workflow.model import NO_OPTIONS, Options, Resources

OPTION_FIELDS: Final = ("timeout", "queue_timeout", "retries", "resources", "pool", "priority", "keep")
RESOURCE_FIELDS: Final = ("cpus", "memory", "gpus")

_OPTION_FIELD_SET: Final = frozenset(OPTION_FIELDS)
_KEEP_VALUES: Final = ("on_failure",)


def read_options(form: Form) -> Options:
    """Read the settings that a Command or a Step may give."""
    if _OPTION_FIELD_SET.isdisjoint(form.values):
        return NO_OPTIONS
    return Options(
        timeout_s=form.positive("timeout"),
        retries=form.whole("retries", 0, INT32_MAX),
        resources=_resources(form),
        pool=form.text("pool", name_problem),
        priority=form.whole("priority", -INT32_MAX - 1, INT32_MAX),
        keep=form.choice("keep", _KEEP_VALUES),
        queue_timeout_s=form.positive("queue_timeout"),
    )


def _resources(form: Form) -> Resources | None:
    value = form.take("resources")
    if value is ABSENT:
        return None
    if not isinstance(value, Mapping):
        form.refuse("resources", f"must be a map of {', '.join(RESOURCE_FIELDS)}, not {kind(value)}")
        return None
    inner = Form(value, at(form.place, "resources"), form.problems, form.remarks)
    inner.only(RESOURCE_FIELDS, {})
    resources = Resources(inner.positive("cpus"), _memory(inner), inner.whole("gpus", 0, INT32_MAX))
    return resources if resources != Resources() else None


def _memory(form: Form) -> int | None:
    """Read memory: bytes, or text with a unit."""
    value = form.take("memory")
    if value is ABSENT:
        return None
    amount = bytes_of(value) if isinstance(value, str) else value
    if isinstance(amount, bool) or not isinstance(amount, int):
        form.refuse("memory", f'must be a number of bytes or text such as "512M" or "2GiB", not {kind(value)}')
    elif not 0 < amount <= INTEGER_MAX:
        form.refuse("memory", f"must be above 0 and at most {INTEGER_MAX} bytes")
    else:
        return amount
    return None
