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

"""A live view of the nodes that are being deployed."""

import argparse
from collections.abc import Sequence
import os
import shutil
import sys
import time
import typing

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import nodes
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

_LONGEST_NAME = 36


def watch(args: argparse.Namespace) -> int:
    """Show the deployments until the last one has ended."""
    ironic = nodes.Ironic(args.os_cloud)
    if args.json:
        console.show([console.to_json({'nodes': [
            each.to_dict() for each in _Round(ironic, args.node).running]})])
        return 0
    screen = _screen(sys.stdout)
    known: list[nodes.Deployment] = []
    first = True
    while True:
        try:
            now = _Round(ironic, args.node, known)
        except nodes.CloudError as error:
            if first:
                raise
            console.say(f'{error} It is tried again.')
        else:
            known = now.running
            screen.show(now.ended, known)
            if not known and not args.follow and not args.once:
                if first and not now.ended:
                    console.say('no node is being deployed')
                return 0
        if args.once:
            return 0
        first = False
        _wait(args.interval)


def _wait(seconds: float) -> None:
    time.sleep(seconds)


class _Round:
    """Look at the nodes.

    :param names: the nodes to look at; all that are deployed when empty.
    :param known: what ran at the look before.
    :ivar running: the deployments that run.
    :ivar ended: those that ran before and do not any more, and at the
        first look the named ones that do not run.
    """

    def __init__(self, ironic: nodes.Ironic, names: Sequence[str],
                 known: Sequence[nodes.Deployment] = ()) -> None:
        if names and not known:
            found = list(ironic.nodes(names))
            for name, node in zip(names, found, strict=True):
                if node is None:
                    raise nodes.no_such_node(name)
            seen = [node for node in found if node]
        elif names:
            seen = self._again(ironic, known)
        else:
            seen = ironic.deployments()
            here = {each.identifier for each in seen}
            seen += self._again(ironic, [each for each in known
                                         if each.identifier not in here])
        self.running = [each for each in seen if each.deploying]
        self.ended = [each for each in seen if not each.deploying]

    def _again(self, ironic: nodes.Ironic,
               known: Sequence[nodes.Deployment]) -> list[nodes.Deployment]:
        found = ironic.nodes([each.identifier for each in known])
        return [node for node in found if node]


class _Lines:
    """A plain line for each node at each look."""

    def __init__(self, stream: typing.TextIO) -> None:
        self._stream = stream

    def show(self, ended: Sequence[nodes.Deployment],
             running: Sequence[nodes.Deployment]) -> None:
        for each in (*ended, *running):
            console.show([f'{each.name}: {words(each)}\n'])


class _Live(_Lines):
    """A block of lines that is drawn anew; what ended stays above it."""

    def __init__(self, stream: typing.TextIO) -> None:
        super().__init__(stream)
        self._ascii = not progress_bar.can_encode(stream, progress_bar.BLOCKS)
        self._drawn = 0

    def show(self, ended: Sequence[nodes.Deployment],
             running: Sequence[nodes.Deployment]) -> None:
        columns, rows = shutil.get_terminal_size()
        width = min(max((len(each.name) for each in running), default=0),
                    _LONGEST_NAME)
        lines = [row(each, width, columns, self._ascii) for each in running]
        if len(lines) > rows - 1:
            hidden = len(lines) - (rows - 2)
            lines = [*lines[:rows - 2], f'and {hidden} more'[:columns - 1]]
        up = f'\x1b[{self._drawn}F' if self._drawn else ''
        above = [f'{each.name}: {words(each)}\x1b[K\n' for each in ended]
        console.show([up, *above, *(f'{line}\x1b[K\n' for line in lines),
                      '\x1b[J'])
        self._drawn = len(lines)


def _screen(stream: typing.TextIO) -> _Lines:
    terminal = stream.isatty() and os.environ.get('TERM') not in (None,
                                                                  'dumb')
    return _Live(stream) if terminal else _Lines(stream)


def words(node: nodes.Deployment) -> str:
    """The state of a node as words."""
    if not node.deploying:
        return _end(node)
    if node.progress is None:
        return ', '.join(filter(None, (node.state, node.step)))
    if node.waiting_for:
        return f'{_stall(node)}, {_how_far(node.progress)}'
    return progress_bar.line(node.progress)


def row(node: nodes.Deployment, width: int, columns: int,
        ascii_only: bool) -> str:
    """The state of a node as a line of a terminal.

    :param width: columns for the name.
    :param columns: of the terminal; the last one stays free.
    """
    name = f'{node.name[:width]:{width}}  '
    if node.progress is None or node.waiting_for:
        return (name + words(node))[:max(columns - 1, 0)]
    return name[:max(columns - 1, 0)] + progress_bar.bar(
        node.progress, columns=columns - len(name), ascii_only=ascii_only)


def _stall(node: nodes.Deployment) -> str:
    return (f'STALLED for {text.duration(node.stalled)}, waits for '
            f'{node.waiting_for}')


def _how_far(told: engine.Progress) -> str:
    return progress_bar.line(
        told._replace(bytes_per_second=0.0, bottleneck=''))


def _end(node: nodes.Deployment) -> str:
    said = [node.state]
    size = (node.report or {}).get('virtual_size')
    seconds = (node.report or {}).get('seconds')
    if node.state == 'active' and isinstance(
            size, int) and isinstance(seconds, int | float):
        said.append(f'{text.size(size)} written in {text.duration(seconds)}')
    if node.error:
        said.append(node.error)
    return ', '.join(said)
