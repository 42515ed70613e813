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

"""A target that says no more of itself than it has to."""

import os
from unittest import mock

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.targets import base as _base
from tests.unit.engine import base


class MemoryTarget(_base.Target):
    """The least that a target is."""

    path, size, sector_size = 'memory', 8192, 512

    def _zero_fast(self, offset: int, length: int) -> bool:
        return False


class DefaultsTest(base.EngineTestCase):

    def test_what_is_not_said(self) -> None:
        target = MemoryTarget()
        self.assertEqual(
            (True, False, False, 0, None, 1, '8192 512'),
            (target.fixed_sectors, target.created, target.read_only,
             target.zeroes_written, target.is_partition, target.alignment,
             target.identity))
        target.adapt(5)
        target.reread_partitions()
        self.assertEqual(8192, target.size)

    def test_what_was_never_opened_closes_nothing(self) -> None:
        with mock.patch.object(os, 'close', autospec=True) as close:
            with MemoryTarget() as target:
                self.assertIsInstance(target, MemoryTarget)
        close.assert_not_called()

    def test_how_it_zeroes_has_to_be_said(self) -> None:
        self.assertRaises(TypeError, _base.Target)

    def test_bytes_are_written_from_where_they_are(self) -> None:
        content = memoryview(b'where it is')
        with mock.patch.object(os, 'pwrite', autospec=True,
                               return_value=len(content)) as pwrite:
            MemoryTarget().write(5, content)
        _, view, offset = pwrite.call_args.args
        self.assertIs(content.obj, view.obj)
        self.assertEqual(5, offset)

    def test_all_of_the_cache_is_dropped(self) -> None:
        with mock.patch.object(os, 'posix_fadvise', autospec=True) as advise:
            MemoryTarget().drop_cache()
        advise.assert_called_once_with(-1, 0, 0, os.POSIX_FADV_DONTNEED)

    def test_an_error_that_has_no_text_of_the_system(self) -> None:
        error = MemoryTarget().failed('read', 5, OSError('odd'))
        self.assertEqual('odd', error.found)

    def test_what_is_only_read_cannot_be_read(self) -> None:
        target = MemoryTarget()
        self.assertIs(exceptions.TargetError, target.error)
        target.read_only = True
        self.assertIs(exceptions.TargetUnreadable, target.error)
