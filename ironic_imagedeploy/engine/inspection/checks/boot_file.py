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

"""Checks of a kernel or an initramfs that comes beside a partition image."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses

from ironic_imagedeploy.engine import budget as _budget
from ironic_imagedeploy.engine.contents import efi_programs
from ironic_imagedeploy.engine.contents import initramfs
from ironic_imagedeploy.engine.contents import initramfs_bytes
from ironic_imagedeploy.engine.contents import kernels
from ironic_imagedeploy.engine.contents import signatures
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine import findings

Finding = findings.Finding

_CALLED = {kernels.KERNEL: 'kernel', kernels.RAMDISK: 'initramfs'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootFile:
    """A file that should be a kernel, or an initramfs.

    :ivar format: that of the :class:`.Kernel`, or ``cpio``; None when it is
        neither.
    :ivar compression: of the file as a whole.
    :ivar version: of a kernel, where it is told.
    :ivar findings: what is wrong with it.
    """

    format: str | None = None
    compression: str | None = None
    version: str | None = None
    findings: tuple[Finding, ...] = ()


def judge(kind: str, head: bytes, size: int, arch: str | None = None
          ) -> BootFile:
    """Judge a file by its first bytes.

    :param kind: ``kernel`` or ``ramdisk``.
    :param head: its first :data:`.signatures.HEAD` bytes, or all.
    :param size: bytes of the whole file.
    :param arch: the processor that it is for.
    """
    limit = kernels.LARGEST[kind]
    if size > limit:
        return BootFile(findings=(Finding(
            code='boot-file-too-large', expected=f'{limit} bytes at most',
            found=f'{size} bytes', data={
                'kind': _CALLED[kind], 'limit': limit, 'size': size}),))
    if kind == kernels.KERNEL:
        return _judge_kernel(head, size, arch)
    return _judge_initramfs(head)


def _judge_kernel(head: bytes, size: int, arch: str | None) -> BootFile:
    compression = 'gz' if signatures.compressed(head) == 'gz' else None
    kernel = kernels.kernel(head)
    if kernel is None:
        return BootFile(compression=compression, findings=(Finding(
            code='not-a-kernel',
            expected='a bzImage (x86), or an Image (arm64), also by gzip or '
                     'zboot',
            found=_description(head, compression),
            data={'kind': 'kernel'}),))
    least = 0 if compression else kernel.size
    return BootFile(
        format=kernel.format, compression=compression, version=kernel.version,
        findings=(*_check_whole(least, size), *_check_arch(kernel, arch)))


def _check_whole(least: int, size: int) -> Iterator[Finding]:
    if size < least:
        yield Finding(
            code='truncated', case='kernel',
            expected=f'{least} bytes or more, by its header',
            found=f'{size} bytes', data={'size': size})


def _check_arch(kernel: kernels.Kernel, arch: str | None
                ) -> Iterator[Finding]:
    if arch and kernel.arch and not kernels.runs(kernel.arch, arch):
        yield Finding(
            code='arch-mismatch', case='kernel',
            expected=efi_programs.canonical(arch), found=kernel.arch,
            data={'arch': kernel.arch})


def _judge_initramfs(head: bytes) -> BootFile:
    if found := kernels.initramfs(head):
        return BootFile(format='cpio', compression=found.compression)
    return BootFile(findings=(_no_initramfs(_description(head)),))


def check_to_end(kind: str, stored: Iterable[bytes], budget: _budget.Budget
                 ) -> Iterator[Finding]:
    """Findings about a kernel in gzip, or an initramfs, by all its bytes.

    About what nothing here decodes, or not with the budget, there are none.

    :param kind: ``kernel`` or ``ramdisk``.
    :param stored: the bytes of the file, in their sequence.
    :raises SourceError: when it cannot be read.
    """
    check = _check_packed if kind == kernels.KERNEL else _check_archives
    try:
        yield from check(stored, budget)
    except (initramfs_bytes.NotDecoded, exceptions.TooComplex):
        return
    except initramfs_bytes.CutOff:
        yield Finding(
            code='truncated', expected='a file that comes to its end',
            case='kernel' if kind == kernels.KERNEL else 'initramfs',
            found='one that is cut off')


def _check_packed(stored: Iterable[bytes], budget: _budget.Budget
                  ) -> Iterator[Finding]:
    try:
        for _ in initramfs_bytes.Bytes(stored).unpacked('gz', budget):
            pass
    except initramfs_bytes.CutOff:
        raise
    except exceptions.UnreadableContent:
        yield Finding(
            code='not-a-kernel', expected='gzip that is whole',
            found='gzip that is damaged', data={'kind': 'kernel'})


def _check_archives(stored: Iterable[bytes], budget: _budget.Budget
                    ) -> Iterator[Finding]:
    whole = initramfs.Initramfs(stored, budget)
    try:
        for _ in whole.names():
            pass
    except (initramfs_bytes.NotDecoded, initramfs_bytes.CutOff):
        raise
    except exceptions.UnreadableContent as error:
        yield _no_initramfs(error.found)
    else:
        if not whole.archives:
            yield _no_initramfs('no archive in it')


def _no_initramfs(found: str) -> Finding:
    return Finding(
        code='not-an-initramfs', found=found, data={'kind': 'initramfs'},
        expected='a cpio archive, as it is or compressed by '
                 + ', '.join(kernels.INITRAMFS_COMPRESSIONS))


def _description(head: bytes, compression: str | None = None) -> str:
    """Kind of the file, when it is something else."""
    if head and compression:
        return f'something else in {compression}'
    return signatures.described(head)
