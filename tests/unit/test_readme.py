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

"""What the README shows of a terminal is what the commands say."""

import contextlib
import io
import pathlib
import tempfile
import unittest

from ironic_imagedeploy.cmd import imagedeploy
from tests.support import images

README = pathlib.Path(__file__).parents[2] / 'README.rst'
MIB = 1 << 20


def shown(command: str) -> str:
    """The answer that the README has under a command."""
    text = README.read_text().split(f'/{command}\n')[1]
    lines = []
    for line in text.splitlines():
        if line and not line.startswith('   ') or line.startswith('   $'):
            break
        lines.append(line.removeprefix('   '))
    return '\n'.join(lines)


def answer(*arguments: str) -> str:
    """What a command prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        imagedeploy.main(list(arguments))
    return output.getvalue()


class ReadmeTest(unittest.TestCase):

    def test_answer_to_a_wrong_image(self):
        with tempfile.TemporaryDirectory() as directory:
            disk = images.make_guest(pathlib.Path(directory, 'disk'), 8 * MIB,
                                     seed=1, label='gpt')
            image = images.convert(disk, disk.with_name('debian-13.qcow2'))
            found = answer('check', str(image), '--disk-format', 'raw')
        wanted = shown('ironic-imagedeploy check debian-13.qcow2 '
                       '--disk-format raw')
        self.assertIn(wanted[wanted.index('error: '):].strip(), found)
        for line in wanted.splitlines():
            self.assertIn(line.split()[0] if line else '', found)
