"""What network tests are made of: parvuslib/netns.py with the guests and hosts of the tests.

    with Network() as network, network.guest(host, "httpd", folder) as guest:
        network.command("curl", "-sS", f"http://{network.GUEST}/")
"""
import os

import hosts as host_table
from framework import app_image
from parvuslib import netns
from parvuslib.netns import CLIENT_TIMEOUT_S, Guest, Process, need  # noqa: F401


class Network(netns.Network):
    """The namespace, for the guests of a test."""

    def guest(self, host, app, folder, arguments=(), options=(), parameters=()):
        """A guest on this network; see Guest."""
        return super().guest([*host_table.OPTIONS[host], *options], app_image(app),
                             os.path.join(folder, f"{app}.log"), arguments, parameters)
