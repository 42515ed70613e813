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

"""Programs of the user, confined, and what they say when they fail."""

from collections.abc import Mapping
import resource
import shutil

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Variables that a program may depend on; others could change what it does.
_KEPT = ('PATH', 'HOME', 'TMPDIR', 'LD_LIBRARY_PATH')


class ProgramError(engine.exceptions.TargetError):
    """A program that the command drives is missing, or failed."""

    summary = 'a program cannot do it'


def find(name: str, package: str) -> str:
    """Path of a program.

    :param package: of Debian, that has it.
    :raises ProgramError: when it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise ProgramError(
            name, expected=f'the program {name}', found='none',
            fix=f'Install it: apt install {package}, or the like.')
    return path


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for a program, with messages that are not translated."""
    return {**{name: variables[name] for name in _KEPT if name in variables},
            'LC_ALL': 'C'}


def confine(*, memory: int, seconds: int, file_size: int) -> None:
    """Bound what this process may take; called before a program begins.

    :param memory: bytes of address space.
    :param seconds: of processor time.
    :param file_size: bytes of any file that it writes.
    """
    for kind, most in ((resource.RLIMIT_AS, memory),
                       (resource.RLIMIT_CPU, seconds),
                       (resource.RLIMIT_FSIZE, file_size),
                       (resource.RLIMIT_NOFILE, 64),
                       (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most))


def last_words(output: bytes) -> str:
    """Last sentence that a program said, printable and bounded."""
    lines = [line.strip() for line in
             output.decode('utf-8', 'replace').splitlines() if line.strip()]
    return text.printable(lines[-1][:500]) if lines else 'no reason'
