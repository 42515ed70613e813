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

"""Programs of the deploy ramdisk."""

import subprocess  # nosec B404 (its error)

from oslo_concurrency import processutils

from ironic_python_agent import config  # noqa: F401 (before utils)
from ironic_python_agent import errors
from ironic_python_agent import utils

#: Seconds; a file system may be made to be mounted for ever.
_LONGEST = 600


def run(*command: str) -> str:
    """Run a program without a shell, and give what it printed.

    :raises DeploymentError: when it is missing, fails or does not end.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        output: str = utils.execute(
            *command, use_standard_locale=True, timeout=_LONGEST,
            on_execute=started.append)[0]
    except FileNotFoundError as error:
        raise errors.DeploymentError(
            f'The deploy ramdisk has no program {command[0]}') from error
    except processutils.ProcessExecutionError as error:
        raise errors.DeploymentError(
            f'{" ".join(command)} ended with status {error.exit_code}: '
            f'{str(error.stderr).strip()}') from error
    except subprocess.TimeoutExpired as error:
        for process in started:
            process.kill()
        raise errors.DeploymentError(
            f'{" ".join(command)} did not end within {_LONGEST} seconds'
        ) from error
    return output
