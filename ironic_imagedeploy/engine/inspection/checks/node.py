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

"""Checks of the image against the machine's disk, firmware and processor."""

from collections.abc import Iterator
from collections.abc import Set

from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import partitions
from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine import findings
from ironic_imagedeploy.engine.inspection import expectation as _expectation

Expectation = _expectation.Expectation
Finding = findings.Finding

_KINDS = {'gpt': 'a GPT', 'mbr': 'an MBR'}
#: Processors that boot by BIOS.
_BIOS = ('x86_64', 'i686')


def too_large(expectation: Expectation, size: int, case: str = ''
              ) -> Finding | None:
    """The finding for a disk of so many bytes, when that is too large.

    :param case: ``table`` when it is the partition table that needs it.
    """
    limit = expectation.disk_size
    if limit is None or size <= limit:
        return None
    place = ('root partition' if expectation.image_type
             == _expectation.PARTITION else 'disk')
    return Finding(
        code='too-large', case=case, expected=f'{limit} bytes at most',
        found=f'{size} bytes',
        data={'limit': limit, 'size': size, 'place': place})


def misplaced(image_type: str | None, is_partition: bool | None
              ) -> Finding | None:
    """The finding for an image on the other kind of target.

    :param image_type: of the image; None when it shows neither.
    :param is_partition: whether the target is one; None when it may be
        either.
    """
    if image_type is None or is_partition is None:
        return None
    wanted = (_expectation.PARTITION if is_partition
              else _expectation.WHOLE_DISK)
    if image_type == wanted:
        return None
    return Finding(
        code='image-type-mismatch', expected=f'a {wanted} image',
        case='partition' if is_partition else 'disk',
        found=f'a {image_type} image', data={'image_type': image_type})


def check_table(expectation: Expectation, table: partitions.PartitionTable,
                programs: efi_programs.Programs | None) -> Iterator[Finding]:
    """Findings about sectors and firmware.

    :param programs: in the ESPs of the image; None when it cannot be told.
    """
    sectors = table.sector_size
    if sectors and expectation.sector_size not in (None, sectors):
        yield Finding(
            code='sector-size',
            expected=f'sectors of {expectation.sector_size} bytes',
            found=f'{_KINDS[table.kind]} for sectors of {sectors} bytes',
            data={'disk_sector_size': expectation.sector_size,
                  'image_sector_size': sectors})
    if expectation.boot_mode == 'bios' and not table.boot_code:
        yield Finding(code='no-bios-boot', found='none',
                      expected='boot code in the first sector')
    if expectation.boot_mode == 'uefi':
        yield from _check_uefi(expectation, table, programs)
    if expectation.boot_mode is None and not boot_modes(
            table, _architectures(programs)):
        yield Finding(
            code='not-bootable', found='neither',
            expected='boot code in the first sector, or an EFI system '
                     'partition with boot programs')


def check_arch(expectation: Expectation, table: partitions.PartitionTable,
               found: efi_programs.Programs | None) -> Iterator[Finding]:
    """Findings about the processor of a whole-disk image.

    Boot code for BIOS is for x86.

    :param found: programs in the ESPs of the image.
    """
    programs = _architectures(found)
    if expectation.arch is None:
        return
    arch = efi_programs.canonical(expectation.arch)
    modes = boot_modes(table, programs)
    if expectation.boot_mode:
        modes = tuple({expectation.boot_mode} & {*modes})
    if arch in (programs or ()) and 'uefi' in modes or (
            arch in _BIOS and 'bios' in modes):
        return
    if programs and 'uefi' in modes:
        yield Finding(
            code='arch-mismatch', expected=arch,
            found=' and '.join(sorted(programs)),
            data={'arch': min(set(programs) - {'unknown'}, default=None)})
    elif modes:
        yield unknown_arch(arch, 'boot programs that do not tell')


def check_secure_boot(expectation: Expectation,
                      programs: efi_programs.Programs | None
                      ) -> Iterator[Finding]:
    """Findings about what firmware with secure boot does not start.

    :param programs: in the ESPs of the image; None when it cannot be told.
    """
    if not expectation.secure_boot or expectation.boot_mode == 'bios' or (
            programs is None):
        return
    arch = expectation.arch and efi_programs.canonical(expectation.arch)
    startable = ({arch} & programs.architectures if arch
                 else programs.architectures)
    if startable and startable <= programs.unsigned:
        yield Finding(
            code='unsigned-loader', expected='a signed program, as '
            f'{efi_programs.default(expectation.arch)}',
            found='programs without a signature')


def check_signatures(expectation: Expectation, contents: _contents.Contents
                     ) -> Iterator[Finding]:
    """Findings about kernels that nothing starts with secure boot.

    Whose signatures the firmware of the machine takes is not known: it is
    looked whether there are any.
    """
    if not expectation.secure_boot or expectation.boot_mode == 'bios':
        return
    kernel = next(iter(contents.kernels or ()), None)
    if kernel and kernel.is_signed is False:
        yield Finding(
            code='unsigned-kernel', expected='a kernel with a signature',
            found=f'/{kernel.path} without one',
            data={'path': f'/{kernel.path}', 'version': kernel.version})
    addons = [path for each in contents.unified_kernels or ()
              for path in each.unsigned_addons]
    if addons:
        yield Finding(
            code='unsigned-kernel', case='addon',
            expected='addons with a signature',
            found=f'/{addons[0]} without one',
            data={'path': f'/{addons[0]}'})


def unknown_arch(arch: str, found: str) -> Finding:
    """The warning that the processor of the image cannot be judged.

    :param found: why not.
    """
    return Finding(code='arch-unknown', expected=efi_programs.canonical(arch),
                   found=found)


def boot_modes(table: partitions.PartitionTable | None,
               programs: Set[str] | None) -> tuple[str, ...]:
    """How firmware could boot the disk: ``bios``, ``uefi``.

    :param programs: processors that the image has EFI programs for.
    """
    modes = []
    if table and table.boot_code:
        modes.append('bios')
    if table and table.esp and programs != set():
        modes.append('uefi')
    return tuple(modes)


def _check_uefi(expectation: Expectation, table: partitions.PartitionTable,
                programs: efi_programs.Programs | None) -> Iterator[Finding]:
    if 'uefi' in boot_modes(table, _architectures(programs)):
        return
    others = programs.others if programs else ()
    yield Finding(
        code='no-esp',
        expected='an EFI system partition with '
                 + efi_programs.default(expectation.arch),
        found='none' if not table.esp else 'one with '
              + (', '.join(others) or 'no program for EFI'),
        data={'esp': table.esp is not None})


def _architectures(programs: efi_programs.Programs | None
                   ) -> Set[str] | None:
    return programs.architectures if programs else None
