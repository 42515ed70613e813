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

"""The directive ``seen``: when commands that no test runs were run last."""

import typing

from docutils import nodes
from sphinx import application
from sphinx.util import docutils

#: What commands take, in words.
_TAKEN = {'network': 'a network', 'hypervisor': 'a hypervisor',
          'devices': "a network and root's devices"}


class Seen(docutils.SphinxDirective):
    """A date, and what the commands below it take."""

    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        date, taken = self.arguments
        text = (f'Last seen to work on {date}; no test runs it, as it takes '
                f'{_TAKEN[taken]}:')
        return [nodes.paragraph('', '', nodes.emphasis('', text))]


def setup(app: application.Sphinx) -> dict[str, typing.Any]:
    """Register the directive with Sphinx."""
    app.add_directive('seen', Seen)
    return {'parallel_read_safe': True}
