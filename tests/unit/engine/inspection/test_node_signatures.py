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
from ironic_imagedeploy.engine import start_policy
from tests.support import boot_files
from tests.unit.engine import base
from tests.unit.engine import disks
from tests.unit.engine import system_disks
from tests.unit.engine import systems

KERNEL = 'boot/vmlinuz-6.1.0-13-amd64'
UNIFIED = 'EFI/Linux/arch-linux.efi'


class SignaturesTest(base.EngineTestCase):
    """Kernels that a machine with secure boot is to start."""

    def found(self, parts: list[systems.Part], **expectation: object
              ) -> list[tuple[str, str, str]]:
        """Codes, cases and severities of findings about kernels."""
        path = system_disks.disk(self.directory, parts)
        with engine.open_source(str(path)) as source:
            inspection = engine.inspect(source, engine.Expectation(**{
                'contents': True, 'secure_boot': True, **expectation}))
        for finding in inspection.findings:
            self.assert_complete(finding)
        return [(each.code, each.case, str(each.severity))
                for each in inspection.findings
                if each.code == 'unsigned-kernel']

    def with_kernel(self, content: bytes, **expectation: object
                    ) -> list[tuple[str, str, str]]:
        return self.found(systems.changed(
            systems.debian(), {KERNEL: content}), **expectation)

    def test_a_kernel(self) -> None:
        warning = [('unsigned-kernel', '', 'warning')]
        unsigned = disks.program(0x8664)
        self.assertEqual(warning, self.with_kernel(unsigned))
        self.assertEqual(warning, self.with_kernel(unsigned,
                                                   boot_mode='uefi'))
        self.assertEqual([], self.with_kernel(
            disks.program(0x8664, signed=True)))

    def test_where_no_signature_counts(self) -> None:
        unsigned = disks.program(0x8664)
        self.assertEqual([], self.with_kernel(unsigned, secure_boot=False))
        self.assertEqual([], self.with_kernel(unsigned, boot_mode='bios'))
        self.assertEqual([], self.with_kernel(
            unsigned, start_policy=start_policy.StartPolicy(
                muted=('unsigned-kernel',))))

    def test_a_kernel_that_is_not_a_program(self) -> None:
        """Of it nothing can be told."""
        self.assertEqual([], self.with_kernel(boot_files.bzimage()))

    def unified(self, *, signed: bool, addon: bool | None = None
                ) -> list[tuple[str, str, str]]:
        """The same of a unified kernel.

        :param addon: whether that has a signature; None without one.
        """
        options = f'root=UUID={systems.ROOT_UUID} rw'
        return self.found(systems.changed(systems.unified_arch(), {
            UNIFIED: systems.unified(options, '6.7.4-arch1-1', signed=signed),
            **({} if addon is None else {
                'loader/addons/a.addon.efi': boot_files.efi_sections(
                    {'.cmdline': b'quiet'}, signed=addon)})}, 0))

    def test_a_unified_kernel(self) -> None:
        self.assertEqual([], self.unified(signed=True))
        self.assertEqual([('unsigned-kernel', '', 'warning')],
                         self.unified(signed=False))

    def test_an_addon(self) -> None:
        self.assertEqual([], self.unified(signed=True, addon=True))
        self.assertEqual([('unsigned-kernel', 'addon', 'warning')],
                         self.unified(signed=True, addon=False))
