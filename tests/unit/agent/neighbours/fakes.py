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

"""Peers that mean ill: what they send is given byte by byte."""

import socket
import ssl
import threading

from tests.unit.agent.neighbours import images


class Liar:
    """A server with a neighbour's certificate, and answers of its own.

    :param answer: sends what it likes to a connection.
    """

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server((images.ADDRESS, 0))
        self.port = self._listener.getsockname()[1]
        self._connections = []
        self._stopped = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._talk, args=(connection,),
                             daemon=True).start()

    def _talk(self, connection):
        try:
            with images.CERTIFICATE.context.wrap_socket(
                    connection, server_side=True) as secured:
                self._answer(secured, self._stopped)
        except (OSError, ssl.SSLError):
            pass

    def close(self):
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        # A thread that still waits would accept for whoever has the number
        # of the descriptor next.
        self._acceptor.join()
        self._listener.close()
        for connection in self._connections:
            connection.close()
