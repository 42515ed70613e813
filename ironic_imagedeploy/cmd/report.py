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

"""The command ``report``: pages about deployments that have ended."""

import argparse
from collections.abc import Iterator
import datetime
from importlib import metadata
import pathlib

from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd import fleet
from ironic_imagedeploy.cmd import fleet_page
from ironic_imagedeploy.cmd import nodes
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import report_page
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine


def report(args: argparse.Namespace) -> int:
    """Make the page of one deployment, or of many."""
    if not args.fleet and len(args.subject) != 1:
        args.parser.error('expected one NODE or FILE, or --fleet')
    found = list(_outcomes(args))
    if args.fleet:
        page = fleet_page.page(found, _made())
    else:
        page = report_page.page(found[0], _made())
    console.save(args.html, page)
    if args.html != console.STDOUT:
        console.show(f'{line}\n' for line in _summary(args, found))
    return 0


def _outcomes(args: argparse.Namespace) -> Iterator[outcomes.Outcome]:
    """The outcome of each node and file that was named.

    :raises SourceError: when one of them has nothing to tell.
    """
    names = []
    for subject in args.subject:
        if ('/' in subject or subject.endswith('.json')
                or pathlib.Path(subject).exists()):
            yield outcomes.of_file(pathlib.Path(subject))
        else:
            names.append(subject)
    if args.subject and not names:
        return
    ironic = nodes.Ironic(args.os_cloud, 'report')
    for node in ironic.details(names):
        outcome = outcomes.of_node(node)
        if outcome:
            yield outcome
        elif names:
            raise engine.exceptions.SourceError(
                text.printable(str(node.name or node.id)),
                expected='a deployment with imagedeploy', found='none',
                fix='Only what imagedeploy writes is told of.')


def _summary(args: argparse.Namespace, found: list[outcomes.Outcome]
             ) -> Iterator[str]:
    yield text.printable(
        f'{text.counted(len(found), "deployment")} in {args.html}')
    if args.fleet:
        for verdict in fleet.slow(fleet.groups(found)):
            yield text.printable(fleet_page.sentence(verdict))


def _made() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return (f'ironic-imagedeploy {metadata.version("ironic-imagedeploy")}, '
            f'{now:%Y-%m-%d %H:%M} UTC')
