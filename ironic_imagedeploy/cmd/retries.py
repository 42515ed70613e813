# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""Patience with servers, which is not silent."""

import argparse
from collections.abc import Iterator
import contextlib
import sys
import typing

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Attempts after the first one at a server that cannot be reached at all: a
#: person at a terminal has mistyped it, rather than just started it.
FIRST = 1
#: Schemes of locations that a server answers for.
_SERVERS = ('http', 'https', 'glance', 'oci')


class Notice:
    """Says that a server is asked again, and why.

    :param choice: of ``--progress``: ``none`` says nothing.
    :ivar display: that is drawn meanwhile, if there is one.
    """

    def __init__(self, choice: str) -> None:
        self.display: progress_bar.Display | None = None
        self._silent = choice == 'none'

    def __call__(self, problem: engine.exceptions.SourceError,
                 pause: float) -> None:
        """Say it.

        :param pause: seconds until the next attempt.
        """
        if self._silent:
            return
        words = (f'{problem.subject}: {problem.found}; retrying in '
                 f'{text.duration(pause)}')
        if self.display:
            self.display.interrupt()
        console.say(words)


def options(location: str, args: argparse.Namespace | None = None
            ) -> dict[str, typing.Any]:
    """Options of a source, where it is on a server.

    :param location: of the source.
    :param args: of a command, whose :func:`display` gives way to what is
        said.
    """
    if location.partition(':')[0].lower() not in _SERVERS:
        return {}
    notice = Notice(getattr(args, 'progress', 'auto'))
    if args:
        args.notice = notice
    return {'first_retries': FIRST, 'notice': notice}


@contextlib.contextmanager
def display(args: argparse.Namespace) -> Iterator[progress_bar.Display]:
    """Display of the progress of a command."""
    with progress_bar.display(args.progress, sys.stderr) as shown:
        if notice := getattr(args, 'notice', None):
            notice.display = shown
        yield shown
