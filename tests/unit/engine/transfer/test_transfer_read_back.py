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


from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base
from tests.unit.engine import recording
from tests.unit.engine import transfers

MIB = base.MIB
Action = recording.Action
Target = recording.RecordingTarget
transfer = engine.transfer


class ReadBackTest(transfers.TransferTestCase):
    """A disk that does not hold what it was given."""

    def assert_found(self, target: Target, read_back: str = 'full') -> None:
        with self.assertRaises(exceptions.ReadBackMismatch) as caught:
            transfer(self.qcow2(), target, read_back=read_back)
        self.assert_complete(caught.exception)
        self.assert_boots_nothing(target)
        self.assert_no_threads()

    def forget(self, target: Target, start: int, length: int,
               value: int = 0x77) -> None:
        """Let the disk lose what is written there; zeroes it keeps."""
        def fault(action: Action) -> None:
            if action.kind in ('read', 'drop_cache') and any(
                    target.disk[start:start + length]):
                target.disk[start:start + length] = bytes([value]) * length
        target.fault = fault

    def test_one_byte_of_data(self) -> None:
        inspection = self.qcow2()
        extent = next(
            extent for extent in inspection.accepted().extents()
            if extent.kind is not engine.ExtentKind.ZERO
            and extent.start > MIB)
        target = Target(5 * MIB)
        self.forget(target, extent.start + 5, 1,
                    self.disk[extent.start + 5] ^ 1)
        self.assert_found(target)

    def test_the_front(self) -> None:
        for read_back in ('sample', 'full'):
            target = Target(5 * MIB)
            self.forget(target, 100, 7)
            self.assert_found(target, read_back)

    def test_the_back(self) -> None:
        for read_back in ('sample', 'full'):
            target = Target(5 * MIB)
            self.forget(target, 5 * MIB - 70000, 70000)
            self.assert_found(target, read_back)

    def test_a_disk_that_only_pretends_to_zero(self) -> None:
        class Lazy(Target):
            def _zero_fast(self, offset: int, length: int) -> bool:
                if len(self.log) > 3 and MIB <= offset < 4 * MIB:
                    self._note('zero', offset, length)
                    return True
                return super()._zero_fast(offset, length)

        self.assert_found(Lazy(5 * MIB))

    def test_ends_that_cannot_be_read_back(self) -> None:
        for error in (None, KeyboardInterrupt()):
            for start in (0, 512, 3 * MIB):
                target = Target(4 * MIB)

                def fault(action: Action, target: Target = target,
                          start: int = start,
                          error: BaseException | None = error) -> None:
                    if action[:2] == ('read', start):
                        if error:
                            raise error
                        target.fail(action)

                target.fault = fault
                with self.assertRaises(
                        (exceptions.TargetError, KeyboardInterrupt)):
                    transfer(self.raw(), target, read_back='full')
                self.assert_boots_nothing(target)

    def test_without_read_back_nothing_is_read(self) -> None:
        target = Target(5 * MIB)
        transfer(self.qcow2(), target)
        self.assertEqual([], target.of_kind('read', 'drop_cache'))
