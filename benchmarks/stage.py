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

"""What all have in common: the disk that is written and the web server."""

import fcntl
import http.client
import os
import pathlib
import socket
import subprocess
import time
import types

from benchmarks import digest

MIB = 1 << 20
_BLKFLSBUF = 0x1261
_ZRAM = pathlib.Path('/sys/class/zram-control')
_STEP = 4 * MIB
#: What an old disk has everywhere: nobody may take it for zeroes.
_GARBAGE = b'\xa5' * _STEP
_NGINX = '''
pid {state}/nginx.pid;
error_log {state}/nginx-error.log;
worker_processes auto;
user root;
events {{ }}
http {{
    log_format bytes '$body_bytes_sent';
    access_log {state}/nginx-access.log bytes;
    client_body_temp_path {state}/nginx-body;
    proxy_temp_path {state}/nginx-proxy;
    fastcgi_temp_path {state}/nginx-fastcgi;
    uwsgi_temp_path {state}/nginx-uwsgi;
    scgi_temp_path {state}/nginx-scgi;
    sendfile on;
    tcp_nopush on;
    server {{
        listen 127.0.0.1:{port};
        root {root};
    }}
}}
'''


class Disk:
    """A loop device over a file in memory.

    :ivar device: path of the device.
    """

    def __init__(self, folder: pathlib.Path, size: int) -> None:
        self.size = size
        self._file = folder / 'disk'
        with self._file.open('wb') as file:
            file.truncate(size)
        self.device = _attach(self._file)

    def __enter__(self) -> 'Disk':
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        _run('losetup', '--detach', self.device)
        self._file.unlink()

    def soil(self, guest: pathlib.Path) -> None:
        """Garbage in all places, so that all of its memory is there.

        :param guest: what will be written.
        """
        self._forget()
        with self._file.open('r+b') as file:
            _fill(file.fileno(), 0, self.size)

    def digest(self) -> str:
        """Of all that is on the disk."""
        self._forget()
        return digest.of_file(self._file, self.size)

    @property
    def asked(self) -> int:
        """Bytes that the device was asked to write or zero until now."""
        name = os.path.basename(self.device)
        fields = pathlib.Path('/sys/block', name, 'stat').read_text().split()
        return int(fields[6]) * 512

    def _forget(self) -> None:
        """Nothing of the device is in the page cache."""
        descriptor = os.open(self.device, os.O_RDWR)
        try:
            os.fsync(descriptor)
            fcntl.ioctl(descriptor, _BLKFLSBUF)
        finally:
            os.close(descriptor)


class ThinDisk(Disk):
    """One that is larger than the memory.

    Its file is in a file system on zram: the one zeroes on request without
    writing, the other keeps written zeroes without a need for memory.
    """

    def __init__(self, folder: pathlib.Path, size: int) -> None:
        number = _ZRAM.joinpath('hot_add').read_text().strip()
        self._number = folder / 'zram'
        self._number.write_text(number)
        pathlib.Path(f'/sys/block/zram{number}/disksize').write_text(
            str(size // 8 * 9))
        self._under = f'/dev/zram{number}'
        self._mount = folder / 'thin'
        self._mount.mkdir(exist_ok=True)
        _run('mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-E',
             'lazy_itable_init=1,nodiscard', self._under)
        _run('mount', '-t', 'ext4', '-o', 'noatime,noinit_itable',
             self._under, self._mount)
        super().__init__(self._mount, size)

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        self._unmount()
        self._mount.rmdir()
        _ZRAM.joinpath('hot_remove').write_text(self._number.read_text())
        self._number.unlink()

    def _unmount(self) -> None:
        """A killed writer holds the disk until its last request is done."""
        for _ in range(120):
            if not subprocess.run(['umount', '--quiet', self._mount],
                                  stderr=subprocess.DEVNULL).returncode:
                return
            time.sleep(0.5)
        _run('umount', self._mount)

    def soil(self, guest: pathlib.Path) -> None:
        """Garbage where the guest has data, and 64 KiB in every 64 MiB."""
        self._forget()
        os.truncate(self._file, 0)
        os.truncate(self._file, self.size)
        with self._file.open('r+b') as file, guest.open('rb') as source:
            for start in range(0, self.size, 64 * MIB):
                _fill(file.fileno(), start, 1 << 16)
            start = 0
            while (start := digest.next_data(
                    source.fileno(), start, self.size)) < self.size:
                end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
                _fill(file.fileno(), start, end - start)
                start = end
            os.fsync(file.fileno())


def _fill(descriptor: int, start: int, length: int) -> None:
    end = start + length
    while start < end:
        start += os.pwrite(descriptor, _GARBAGE[:end - start], start)


def _attach(file: pathlib.Path) -> str:
    return subprocess.run(
        ['losetup', '--find', '--show', file], check=True, text=True,
        stdout=subprocess.PIPE).stdout.strip()


def _run(*command: str | pathlib.Path) -> None:
    subprocess.run(command, check=True)


class WebServer:
    """nginx on loopback."""

    def __init__(self, state: pathlib.Path, root: pathlib.Path) -> None:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            self.port = free.getsockname()[1]
        self._root = root
        self._log = state / 'nginx-access.log'
        configuration = state / 'nginx.conf'
        configuration.write_text(_NGINX.format(
            state=state, port=self.port, root=root))
        self._process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'TERM', 'nginx', '-p', state,
             '-c', configuration, '-g', 'daemon off;'],
            stdin=subprocess.DEVNULL)
        self._wait()

    def __enter__(self) -> 'WebServer':
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: types.TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()

    def url(self, path: pathlib.Path) -> str:
        """Where a file is."""
        return f'http://127.0.0.1:{self.port}/{path.relative_to(self._root)}'

    @property
    def sent(self) -> int:
        """Bytes of bodies until now."""
        return sum(map(int, self._log.read_text().split()))

    def _wait(self) -> None:
        for _ in range(100):
            try:
                connection = http.client.HTTPConnection(
                    '127.0.0.1', self.port, timeout=1)
                connection.request('HEAD', '/')
                connection.getresponse().close()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
        raise RuntimeError('nginx does not answer')
