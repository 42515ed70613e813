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

"""What a conductor tells to statsd."""

import collections
import contextlib
import socket
import threading


class Metrics:
    """Counts how often each metric was told."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.bind(('0.0.0.0', 0))  # nosec: loopback has many
        self.port: int = self._socket.getsockname()[1]
        self._counts: collections.Counter[str] = collections.Counter()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def count(self, *names: str) -> int:
        """How often any of them was told."""
        return sum(count for told, count in self._counts.items()
                   if told.endswith(names))

    def stop(self) -> None:
        """Hear no more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while message := self._socket.recv(65536):
                for line in message.decode().splitlines():
                    self._counts[line.split(':', 1)[0]] += 1
