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

"""Commands of the system and the services that the lab keeps running."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
import pathlib
import signal
import subprocess
import time


class CommandFailed(Exception):
    """A command ended with a status other than 0, or not in time."""


class TimedOut(Exception):
    """Something that was waited for did not come."""


def run(*command: str | os.PathLike[str], timeout: float = 600,
        cwd: pathlib.Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None) -> str:
    """Run a command and return its standard output.

    :param timeout: seconds
    :param env: variables in addition to the lab's own
    :raises: :class:`CommandFailed` with the last lines of its output
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **(env or {})},
            input=stdin if stdin is not None else '', text=True,
            errors='replace', capture_output=True, timeout=timeout,
            check=False)
    except subprocess.TimeoutExpired as exc:
        raise CommandFailed(
            f'{command[0]} took longer than {timeout:.0f} s') from exc
    if done.returncode:
        output = (done.stdout + done.stderr).splitlines()[-30:]
        raise CommandFailed('\n'.join(
            [f'{" ".join(map(str, command))}: status {done.returncode}',
             *output]))
    return done.stdout


def wait_for(what: str, condition: Callable[[], object], *, timeout: float,
             interval: float = 1.0) -> object:
    """Wait until a condition is true, and return what it returned.

    :param timeout: seconds
    :raises: :class:`TimedOut`
    """
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimedOut(f'no {what} within {timeout:.0f} s')
        time.sleep(interval)


class Service:
    """A program that runs until the lab ends."""

    def __init__(self, name: str, command: Sequence[str], log: pathlib.Path,
                 env: Mapping[str, str] | None = None) -> None:
        self.name = name
        with log.open('ab') as output:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                start_new_session=True)

    def wait_until(self, condition: Callable[[], object],
                   timeout: float) -> None:
        """Wait until the service does its work.

        :param timeout: seconds
        :raises: :class:`CommandFailed` if it ended, :class:`TimedOut`
        """
        def ready() -> object:
            if self._child.poll() is not None:
                raise CommandFailed(f'{self.name} ended with status '
                                    f'{self._child.returncode}')
            return condition()
        wait_for(f'answer of {self.name}', ready, timeout=timeout,
                 interval=0.3)

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._child.pid

    def stop(self) -> None:
        """End it and its children, by force after 10 seconds."""
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
