"""Exit statuses of `tools/parvus run` beside the application's own, and what is raised."""

USAGE_ERROR = 2
TIME_OUT = 124
QEMU_FAILED = 125
REFUSED = 126
INTERRUPTED = 130
CRASHED = 134
OUT_OF_MEMORY = 137


class UsageError(Exception):
    """An option or argument that cannot be; the message names it."""


class Missing(Exception):
    """This machine lacks something; says what."""
