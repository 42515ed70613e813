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
import typing

from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import memory
from tests.unit.engine import qcow2_builder as qcow2

MIB = base.MIB
KEYS = {'verdict', 'format', 'declared_format', 'image_type', 'virtual_size',
        'stored_size', 'partition_table', 'boot_modes', 'sector_size',
        'findings'}
TEXTS = ('code', 'severity', 'expected', 'found', 'message', 'fix', 'retry',
         'link')


class VerdictTestCase(base.EngineTestCase):

    def inspect(self, content: bytes | bytearray, **expectation: typing.Any
                ) -> engine.Inspection:
        """Inspect, and hold the result to what every result must be."""
        inspection = engine.inspect(memory.MemorySource(content),
                                    engine.Expectation(**expectation))
        result = inspection.to_dict()
        # More keys may come; these stay.
        self.assertLessEqual(KEYS, set(result))
        for finding in result['findings']:
            self.assertEqual({*TEXTS, 'case', 'data'}, set(finding))
            self.assertIn(finding['severity'], ('error', 'warning'))
            self.assertIn(finding['retry'], ('never', 'later', 'elsewhere'))
            for name in TEXTS:
                self.assertTrue(finding[name]
                                and isinstance(finding[name], str), name)
        refused = any(finding.severity == 'error'
                      for finding in inspection.findings)
        self.assertEqual('refuse' if refused else 'accept',
                         inspection.verdict)
        if refused:
            self.assertRaises(exceptions.ImageRefused, inspection.accepted)
        else:
            self.assertEqual(inspection.virtual_size,
                             inspection.accepted().virtual_size)
        return inspection

    def assert_refused(self, code: str, content: bytes | bytearray,
                       *words: str, **expectation: typing.Any
                       ) -> engine.Finding:
        """Refused, and the first of the errors has that code."""
        inspection = self.inspect(content, **expectation)
        errors = [finding for finding in inspection.findings
                  if finding.severity == 'error']
        self.assertEqual(code, errors[0].code if errors else 'accepted')
        for word in words:
            self.assertIn(word, str(errors[0]))
        return errors[0]

    def assert_accepted(self, content: bytes | bytearray, *warnings: str,
                        **expectation: typing.Any) -> engine.Inspection:
        """Accepted, with warnings of these codes."""
        inspection = self.inspect(content, **expectation)
        self.assertEqual(list(warnings), [
            finding.code for finding in inspection.findings])
        return inspection

    def assert_packed_accepted(self, content: bytes | bytearray,
                               *warnings: str, **expectation: typing.Any
                               ) -> None:
        """Accepted when it is compressed, with these warnings."""
        inspection = engine.inspect(
            memory.MemorySource(gzip.compress(content, 1)),
            engine.Expectation(**expectation))
        self.assertEqual(list(warnings), [
            finding.code for finding in inspection.findings])
        inspection.raise_if_refused()

    def assert_json(self, expected: dict[str, object],
                    inspection: engine.Inspection) -> None:
        """The promised keys have these values."""
        self.assertEqual(KEYS, set(expected))
        result = inspection.to_dict()
        self.assertEqual(expected, {key: result[key] for key in KEYS})

    def disk(self, *, sector_size: int = 512, boot_code: bytes | None = None,
             esp: dict[str, bytes] | None = None) -> bytearray:
        """A GPT disk of 20 MiB, with an ESP when that is given files.

        Unless it has boot programs there, it has boot code for BIOS.
        """
        if boot_code is None:
            boot_code = b'' if esp else b'\xeb\x63'
        per_mib = MIB // sector_size
        entries = [disks.Entry(18 * per_mib, 19 * per_mib - 1)]
        if esp is not None:
            entries.append(disks.Entry(per_mib, 17 * per_mib - 1, disks.ESP))
        disk = disks.gpt(20 * MIB, entries, sector_size=sector_size,
                         boot_code=boot_code)
        if esp is not None:
            disk[MIB:17 * MIB] = disks.fat(
                self.directory / 'esp', 16 * MIB, esp,
                bits=12 if sector_size > 512 else 16,
                sector_size=sector_size)
        return disk

    def qcow2(self, disk: bytes | bytearray, **options: typing.Any
              ) -> bytearray:
        """A qcow2 with that disk, half of it compressed."""
        builder = qcow2.Builder(len(disk), **options)
        size = builder.cluster_size
        for index in range(builder.clusters):
            cluster = bytes(disk[index * size:(index + 1) * size])
            cluster = cluster.ljust(size, b'\0')
            if not any(cluster):
                continue
            if index % 2 or not builder.compressed(index, cluster):
                builder.data(index, cluster)
        return builder.build()
