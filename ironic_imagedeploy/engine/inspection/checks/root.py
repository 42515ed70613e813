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

"""Checks of the file system of a partition image, and how it could boot."""

from collections.abc import Iterator
import dataclasses

from ironic_imagedeploy.engine.contents import boot_files as _boot_files
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import filesystems
from ironic_imagedeploy.engine.contents import fstab_repair
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine.contents.system import volumes
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine import formats
from ironic_imagedeploy.engine.inspection.checks import node
from ironic_imagedeploy.engine.inspection.checks import units
from ironic_imagedeploy.engine.inspection import expectation as _expectation

Expectation = _expectation.Expectation
Finding = findings.Finding

#: File systems and the like, by what a person calls them.
_CALLED = {'lvm': 'an LVM physical volume', 'md': 'a member of an md array',
           'swap': 'swap space'}


_FSTAB = 'etc/fstab'
_FSTAB_BYTES = 256 << 10
#: Lines that a finding names.
_MOST_LINES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Root:
    """Result of a look into the root file system.

    :ivar boot_files: what it brings along; None when it cannot be told.
    :ivar has_kernel: it has a kernel of its own, which a boot menu would
        find; None when that cannot be told.
    """

    boot_files: _boot_files.BootFiles | None = None
    has_kernel: bool | None = None
    findings: tuple[Finding, ...] = ()


def look(image: formats.AnyImage, name: str, expectation: Expectation
         ) -> Root:
    """Look into the file system that a disk is.

    :param name: by its signature.
    :raises ImageRefused: when it cannot be decoded.
    """
    if name not in filesystems.KINDS:
        return Root(findings=(Finding(
            code='file-system-unsupported', expected='ext4, xfs or btrfs',
            found=_CALLED.get(name, name), data={'file_system': name},
            severity=(findings.Severity.ERROR
                      if name in signatures.READ_ONLY
                      else expectation.content_severity)),))
    try:
        files = filesystems.open_file_system(
            name, image.read, image.known_size, image.budget)
        boot_files = _boot_files.boot_files(files)
    except exceptions.BadContent as bad:
        return Root(findings=(Finding(
            code=bad.code, case='file-system', expected=bad.expected,
            found=bad.found, data={'file_system': name},
            # A magic number alone makes no file system of other content.
            severity=(expectation.content_severity
                      if bad.code == 'corrupt'
                      else findings.Severity.ERROR)),))
    except (exceptions.UnreadableContent,
            exceptions.SourceNotSeekable) as reason:
        return Root(findings=(
            _unknown_bootloader(name, str(reason)),
            *([node.unknown_arch(expectation.arch, str(reason))]
              if expectation.arch else [])))
    has_kernel = (boot_files.kernel if not files.is_dirty
                  and boot_files.kernel is boot_files.in_boot else None)
    return Root(
        boot_files=boot_files, has_kernel=has_kernel,
        findings=(*_check_unit(files, expectation),
                  *_check_features(files, expectation),
                  *_check_boot_files(files, boot_files, expectation),
                  *_check_fstab(image, files, expectation),
                  *_check_arch(boot_files, expectation)))


def _check_unit(files: filesystems.FileSystem, expectation: Expectation
                ) -> Iterator[Finding]:
    sector_size = expectation.sector_size
    if sector_size and files.unit < sector_size:
        yield units.too_small(
            files.kind, files.unit, sector_size,
            f'{_article(files.kind)} file system')


def _check_features(files: filesystems.FileSystem, expectation: Expectation
                    ) -> Iterator[Finding]:
    if feature := files.beyond_grub:
        yield Finding(
            code='file-system-unsupported', case='grub',
            expected=f'{files.kind} without {feature}',
            found=f'with {feature}',
            data={'file_system': files.kind, 'feature': feature},
            severity=expectation.content_severity)
    elif feature := files.not_all_grub:
        yield Finding(
            code='grub-dependent', expected=f'{files.kind} without {feature}',
            found=f'with {feature}',
            data={'file_system': files.kind, 'feature': feature})


def _check_boot_files(files: filesystems.FileSystem,
                      boot_files: _boot_files.BootFiles,
                      expectation: Expectation) -> Iterator[Finding]:
    if boot_files.kernel or expectation.has_kernel:
        return
    if files.is_dirty:
        yield _unknown_bootloader(files.kind, 'changes that wait in its '
                                  'journal, as it was not unmounted')
        return
    yield Finding(
        code='no-bootloader',
        expected='grub2 in it, and a kernel as /boot/vmlinuz-VERSION or in '
                 '/boot/loader/entries',
        found=('grub2, but no such kernel' if boot_files.grub
               else 'none of them'),
        data={'grub': boot_files.grub, 'kernel': False},
        severity=expectation.content_severity)


def _check_fstab(image: formats.AnyImage, files: filesystems.FileSystem,
                 expectation: Expectation) -> Iterator[Finding]:
    """Say what a deployment changes in the table of file systems."""
    try:
        table = files.front(_FSTAB, _FSTAB_BYTES)
        volume = volumes.whole(image.read, image.virtual_size)
    except (exceptions.UnreadableContent, exceptions.SourceNotSeekable):
        # Where files are, but not this one, nothing can be said.
        return
    lines = [line for line in fstab_repair.foreign(
        table or b'', fstab_repair.Disk(
            root_uuid=volume.uuid, root_label=volume.label))
        if line.blocks or line.role]
    if lines:
        yield Finding(
            code='fstab-adapted',
            expected='lines for the root file system alone',
            found='; '.join(_becomes(line, expectation.boot_mode)
                            for line in lines[:_MOST_LINES]),
            data={'lines': len(lines)})


def _becomes(line: fstab_repair.Foreign, boot_mode: str | None) -> str:
    """Sentence about what becomes of a line."""
    nofail = 'nofail' if line.blocks else 'nothing'
    match line.role:
        case fstab_repair.Role.SWAP:
            gets = f'the swap space of the disk, or {nofail} without one'
        case fstab_repair.Role.ROOT:
            gets = 'no x-systemd.requires for what is not there'
        case fstab_repair.Role.ESP if boot_mode != 'bios':
            gets = 'the EFI system partition of the disk'
            if boot_mode is None:
                gets += f' with UEFI, {nofail} with BIOS'
        case _:
            gets = nofail
    return f'{line.mount} of {line.device} gets {gets}'


def _check_arch(boot_files: _boot_files.BootFiles, expectation: Expectation
                ) -> Iterator[Finding]:
    """The kernels in the image, one of which the processor must run.

    A kernel beside the image is judged by itself.
    """
    arch, archs = expectation.arch, boot_files.archs
    if arch is None or any(kernels.runs(each, arch) for each in archs):
        return
    if archs:
        yield Finding(
            code='arch-mismatch', case='kernel',
            expected=efi_programs.canonical(arch),
            found=' and '.join(sorted(archs)), data={'arch': min(archs)})
    elif boot_files.kernel:
        yield node.unknown_arch(arch, 'a kernel whose header does not tell')


def _unknown_bootloader(name: str, reason: str) -> Finding:
    return Finding(
        code='bootloader-unknown',
        expected=f'{_article(name)} file system that can be looked into',
        found=reason, data={'file_system': name})


def _article(name: str) -> str:
    return f'{"an" if name[0] in "aeiox" else "a"} {name}'
