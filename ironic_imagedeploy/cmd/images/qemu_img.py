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

"""qemu-img of the user, which converts an image that was accepted."""

from collections.abc import Callable
import functools
import json
import os
import pathlib
import re
import signal
import subprocess  # nosec B404
import tempfile
import typing

from ironic_imagedeploy.cmd.images import programs

#: Bytes of memory: decoders, and as many clusters as it converts at once.
_MEMORY = 4 << 30
#: Bytes of the disk that a second of processor time is given for.
_BYTES_A_SECOND = 1 << 20
_SECONDS = 300
#: Room for tables, and for clusters that do not become smaller.
_TABLES = 64 << 20
_PROGRESS = re.compile(rb'\(([0-9.]+)/100%\)')
_WORDS = 8192
_PATIENCE = 60
#: Formats in which an image can name another one to read from.
_WITH_BACKING = ('qcow2', 'vmdk')


class QemuImg:
    """qemu-img.

    :raises ProgramError: when it is missing, or writes no zstd clusters.
    """

    def __init__(self) -> None:
        self._path = programs.find('qemu-img', 'qemu-utils')
        self._require_zstd()

    def convert(self, descriptor: int, format_name: str, size: int,
                output: pathlib.Path, progress: Callable[[float], None]
                ) -> None:
        """Convert an image into a qcow2 with zstd clusters.

        It reads the file that is open, by this format and no other, and
        follows no name in it.

        :param descriptor: of the image.
        :param size: bytes of the disk in it.
        :param output: file that it makes.
        :param progress: called with the share that is done, 0 to 1.
        :raises ProgramError: when it fails.
        """
        image: dict[str, typing.Any] = {
            'driver': format_name, 'read-only': True, 'file': {
                'driver': 'file', 'filename': f'/proc/self/fd/{descriptor}'}}
        if format_name in _WITH_BACKING:
            image['backing'] = None
        limits = functools.partial(
            programs.confine, memory=_MEMORY,
            seconds=_SECONDS + size // _BYTES_A_SECOND,
            file_size=size + size // 256 + _TABLES)
        with tempfile.TemporaryFile() as words:
            # No shell; the names of files are ours.
            child = subprocess.Popen(  # nosec B603
                [self._path, 'convert', '-p', '-c', '-O', 'qcow2', '-o',
                 'compression_type=zstd', f'json:{json.dumps(image)}',
                 str(output)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=words, pass_fds=(descriptor,),
                env=programs.environment(os.environ), preexec_fn=limits)
            try:
                assert child.stdout is not None
                while said := os.read(child.stdout.fileno(), 4096):
                    if shares := _PROGRESS.findall(said):
                        progress(min(float(shares[-1]) / 100, 1.0))
                child.wait()
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
                assert child.stdout is not None
                child.stdout.close()
            if child.returncode:
                words.seek(max(words.tell() - _WORDS, 0))
                raise self._failed(child.returncode, words.read(_WORDS))

    def _require_zstd(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run = self._run('create', '-q', '-f', 'qcow2', '-o',
                            'compression_type=zstd',
                            os.path.join(folder, 'probe'), '1M')
        if run.returncode:
            raise programs.ProgramError(
                self._path, expected='qemu-img 5.1 or newer, with zstd',
                found=f'{self._version()}: {programs.last_words(run.stderr)}',
                fix='Install a newer one, as qemu-utils of Debian 11 or '
                    'later, or qemu-img of your distribution.')

    def _version(self) -> str:
        words = self._run('--version').stdout.splitlines()
        return programs.last_words(words[0]) if words else 'no version'

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # nosec B603
                [self._path, *arguments], capture_output=True, check=False,
                stdin=subprocess.DEVNULL, timeout=_PATIENCE,
                env=programs.environment(os.environ))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise programs.ProgramError(
                self._path, expected='a program that runs',
                found=type(error).__name__, fix='Install it again.'
            ) from error

    def _failed(self, status: int, words: bytes) -> programs.ProgramError:
        if status == -signal.SIGXCPU:
            found = 'that it takes more processor time than it was given'
        elif status == -signal.SIGXFSZ:
            found = 'that it writes more than such an image can take'
        elif status < 0:
            found = f'that it was ended by {signal.Signals(-status).name}'
        else:
            found = programs.last_words(words)
        return programs.ProgramError(
            self._path, expected='a conversion', found=found,
            fix='Check the free space, and the image: qemu-img check.')
