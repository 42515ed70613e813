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

import gzip
import pathlib
import typing

from ironic_imagedeploy import engine
from tests.unit.engine import base
from tests.unit.engine import memory
from tests.unit.engine import recording

MIB = base.MIB
FORMATS = ('raw', 'qcow2', 'vmdk', 'vdi')


class OddTest(base.EngineTestCase):
    """Odd images of the field's own tools are accepted and written."""

    def setUp(self) -> None:
        super().setUp()
        self.raw = self.directory / 'disk'
        with self.raw.open('wb') as file:
            file.truncate(24 * MIB)
        base.run('sgdisk', '-S', '256', '-n', '1:0:+10M', '-t', '1:ef00',
                 '-n', '2:0:0', self.raw)
        with self.raw.open('r+b') as file:
            for start in range(14 * MIB, 18 * MIB, 65536):
                file.seek(start)
                file.write(start.to_bytes(8, 'little') * 1000)
        self.content = self.raw.read_bytes()

    def assert_written(self, content: bytes, name: str) -> None:
        with self.subTest(name=name):
            inspection = engine.inspect(
                memory.MemorySource(content),
                engine.Expectation(permitted=FORMATS))
            self.assertEqual(('accept', ['not-bootable']), (
                inspection.verdict,
                [finding.code for finding in inspection.findings]))
            target = recording.RecordingTarget(32 * MIB)
            engine.transfer(inspection, target)
            self.assert_same(self.content,
                             bytes(target.disk[:len(self.content)]))

    def converted(self, form: str, *options: str) -> bytes:
        path = self.directory / 'converted'
        base.run('qemu-img', 'convert', '-f', 'raw', '-O', form,
                 *(('-o', ','.join(options)) if options else ()), self.raw,
                 path)
        return path.read_bytes()

    def test_qcow2(self) -> None:
        for options in (('compat=0.10', 'cluster_size=512'),
                        ('refcount_bits=1',), ('cluster_size=2M',),
                        ('extended_l2=on', 'cluster_size=16k'),
                        ('preallocation=metadata',)):
            self.assert_written(self.converted('qcow2', *options),
                                ' '.join(options))

    def test_a_bitmap_in_a_qcow2(self) -> None:
        path = self.directory / 'converted'
        self.converted('qcow2')
        base.run('qemu-img', 'bitmap', '--add', path, 'backup')
        self.assert_written(path.read_bytes(), 'bitmap')

    def test_vmdk_and_vdi(self) -> None:
        for form, options in (
                ('vmdk', ('subformat=streamOptimized',
                          'adapter_type=lsilogic', 'hwversion=10')),
                ('vmdk', ('zeroed_grain=on',)), ('vdi', ('static=on',))):
            self.assert_written(self.converted(form, *options),
                                ' '.join((form, *options)))

    def test_streams_after_each_other(self) -> None:
        half = len(self.content) // 2
        parts = self.content[:half], self.content[half:]
        for tool in (('gzip',), ('xz', '-0'), ('bzip2',),
                     ('xz', '-0', '-C', 'sha256'), ('xz', '-0', '-C', 'none')):
            self.assert_written(
                b''.join(self.packed(part, *tool) for part in parts),
                ' '.join(tool))

    def packed(self, content: bytes, *tool: typing.Any) -> bytes:
        path = pathlib.Path(self.directory, 'part')
        path.write_bytes(content)
        if tool == ('gzip',):
            return gzip.compress(content)
        base.run(*tool, '-k', '-f', path)
        suffix = {'xz': '.xz', 'bzip2': '.bz2'}[tool[0]]
        return path.with_name(f'part{suffix}').read_bytes()
