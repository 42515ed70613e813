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

"""The directive ``finding-codes``: a topic of the catalogue, as a table.

Each code has an anchor of its name, to which the ``link`` of a finding leads.
"""

from collections.abc import Iterator
import re
import typing

from docutils import nodes
from docutils import statemachine
from sphinx import application
from sphinx import environment
from sphinx import roles
from sphinx.util import docutils

from ironic_imagedeploy.engine import catalogue

_HEAD = """\
.. list-table::
   :header-rows: 1
   :widths: 22 36 32 10

   * - Code
     - Meaning
     - What to do
     - Try again
"""
#: Of a remedy, the part that is typed.
_COMMAND = re.compile(
    r'(?:qemu-img (?:convert|snapshot|check)|ironic-imagedeploy repair-gpt'
    r'|truncate|VBoxManage|mkfs\.)[^;]*?(?=\.?$|;|: | with --)'
    r'| --object secret')
_SPECIAL = re.compile(r'([\\*`|_])')


class _Names(dict[str, str]):
    """Names of data, where there is no finding to take them from."""

    def __missing__(self, name: str) -> str:
        return {'kind': 'file', 'place': 'disk', 'file': 'FILE'}.get(
            name, name.upper())


class FindingRole(roles.XRefRole):
    """A link to the row of a code, with the code as its text."""

    def process_link(self, env: environment.BuildEnvironment,
                     refnode: nodes.Element, has_explicit_title: bool,
                     title: str, target: str) -> tuple[str, str]:
        refnode.attributes.update(
            refdomain='std', reftype='ref', refexplicit=True)
        return title, target


class FindingCodes(docutils.SphinxDirective):
    """A table of the codes of one topic."""

    required_arguments = 1
    rows = staticmethod(lambda topic: table(topic))

    def run(self) -> list[nodes.Node]:
        topic = catalogue.Topic[self.arguments[0].upper()]
        lines = statemachine.StringList(
            '\n'.join(self.rows(topic)).splitlines(), catalogue.__file__)
        parent = nodes.Element()
        self.state.nested_parse(lines, 0, parent)
        return parent.children


class FindingChecklist(FindingCodes):
    """The same codes as a list of what to see to."""

    rows = staticmethod(lambda topic: checklist(topic))


def checklist(topic: catalogue.Topic) -> Iterator[str]:
    """The codes, with links to their meaning, as reStructuredText.

    :param topic: of its codes.
    """
    for code, entry in catalogue.ENTRIES.items():
        if entry.topic is topic:
            yield f':ref:`{code} <{code}>`'
            yield '    ' + '\n\n    '.join(_remedies(entry)) + '\n'


def table(topic: catalogue.Topic) -> Iterator[str]:
    """The table as reStructuredText.

    :param topic: of its codes.
    """
    yield _HEAD
    for code, entry in catalogue.ENTRIES.items():
        if entry.topic is topic:
            yield f'   * - .. _{code}:\n\n       ``{code}``' + (
                '\n\n       (warning)'
                if entry.severity is catalogue.Severity.WARNING else '')
            yield f'     - {_literal(entry.meaning)}' + (
                f'\n\n       Only a warning when {entry.unless}.'
                if entry.unless else '')
            yield '     - ' + '\n\n       '.join(_remedies(entry))
            yield f'     - {entry.retry}'


def _remedies(entry: catalogue.Entry) -> list[str]:
    """Each remedy once, the usual one first."""
    texts = [entry.case(case).fix.format_map(_Names())
             for case in ('', *entry.cases)]
    return [f'{_literal(text).rstrip(".")}.' for text in dict.fromkeys(texts)]


def _literal(text: str) -> str:
    """The text with its commands as literals, and nothing else marked up."""
    marked, end = '', 0
    for match in _COMMAND.finditer(text):
        command = match[0].strip()
        marked += _escaped(text[end:match.start()]) + (
            ' ' if match[0].startswith(' ') else '') + f'``{command}``'
        end = match.end()
    return marked + _escaped(text[end:])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r'\\\1', text)


def setup(app: application.Sphinx) -> dict[str, typing.Any]:
    """Register directives and role with Sphinx."""
    app.add_directive('finding-codes', FindingCodes)
    app.add_directive('finding-checklist', FindingChecklist)
    app.add_role('finding', FindingRole(warn_dangling=True))
    return {'parallel_read_safe': True}
