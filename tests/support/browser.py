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

"""Chromium without a window, by its DevTools protocol over two pipes."""

import base64
from collections.abc import Mapping
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing

PROGRAM = 'chromium'
#: The descriptors that it reads commands from and writes answers to.
_PIPES = '3<&{} 4>&{} exec "$0" "$@"'


class Browser:
    """One tab, which has no network.

    :raises FileNotFoundError: where there is no Chromium.
    """

    def __init__(self) -> None:
        program = shutil.which(PROGRAM)
        if not program:
            raise FileNotFoundError(PROGRAM)
        self._profile = tempfile.TemporaryDirectory()
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        self._process = subprocess.Popen(
            ['bash', '-c', _PIPES.format(commands, answers), program,
             '--headless', '--no-sandbox', '--disable-gpu',
             '--remote-debugging-pipe', '--hide-scrollbars',
             '--host-resolver-rules=MAP * ~NOTFOUND',
             f'--user-data-dir={self._profile.name}', 'about:blank'],
            pass_fds=(commands, answers), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self._rest = b''
        self._count = 0
        self._session: str | None = None
        target = self._ask('Target.createTarget', url='about:blank')
        self._session = self._ask(
            'Target.attachToTarget', targetId=target['targetId'],
            flatten=True)['sessionId']

    def close(self) -> None:
        """End it."""
        os.close(self._commands)
        os.close(self._answers)
        self._process.terminate()
        self._process.wait(timeout=30)
        self._profile.cleanup()

    def show(self, page: pathlib.Path, width: int, scheme: str) -> None:
        """Lay out a page.

        :param width: of the window, in pixels.
        :param scheme: ``light`` or ``dark``.
        """
        self._ask('Emulation.setDeviceMetricsOverride', width=width,
                  height=800, deviceScaleFactor=1, mobile=False)
        self._ask('Emulation.setEmulatedMedia', features=[
            {'name': 'prefers-color-scheme', 'value': scheme}])
        self._ask('Page.enable')
        self._ask('Page.navigate', url=page.as_uri())
        while self._receive().get('method') != 'Page.loadEventFired':
            pass

    def evaluate(self, expression: str) -> typing.Any:
        """The value of an expression in the page."""
        return self._ask('Runtime.evaluate', expression=expression,
                         returnByValue=True)['result'].get('value')

    def picture(self) -> bytes:
        """The whole page as PNG."""
        size = self._ask('Page.getLayoutMetrics')['cssContentSize']
        return base64.b64decode(self._ask(
            'Page.captureScreenshot', format='png',
            captureBeyondViewport=True, clip={**size, 'scale': 1})['data'])

    def _ask(self, method: str, **parameters: typing.Any
             ) -> Mapping[str, typing.Any]:
        self._count += 1
        message = {'id': self._count, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._commands, json.dumps(message).encode() + b'\0')
        while (answer := self._receive()).get('id') != self._count:
            pass
        if 'error' in answer:
            raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']

    def _receive(self) -> Mapping[str, typing.Any]:
        while b'\0' not in self._rest:
            received = os.read(self._answers, 1 << 20)
            if not received:
                raise RuntimeError(f'{PROGRAM} has ended')
            self._rest += received
        message, _, self._rest = self._rest.partition(b'\0')
        return json.loads(message)
