"""Which tests stay together when a run has several workers.

The surface suite in one mode, whose tests share that mode's servers; and the tests of a
file, for what its fixtures start.
"""

from xdist.scheduler import LoadScopeScheduling

MODES = ("embedded", "scale_out")


def scope_of(nodeid: str) -> str:
    """The mode of a test that runs in both, else its file."""
    name, _, parameters = nodeid.partition("[")
    values = parameters.removesuffix("]").split("-")
    mode = next((mode for mode in MODES if mode in values), None)
    return mode or name.partition("::")[0]


class SharedServers(LoadScopeScheduling):
    """In the order of the folders: servers come early, small things late.

    In the place of xdist's own groups, which hang a suffix on the ids of tests; pytest
    9.2 does not show it.
    """

    def __init__(self, config, log=None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
