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

"""The command ironic-imagedeploy-status."""

import contextlib
import io
import sys

#: As oslo.upgradecheck has them.
FAILURE = 2
UNKNOWN = 255
_HELP = """\
usage: ironic-imagedeploy-status [-h] [--config-file FILE]
                                 [--config-dir FOLDER]
                                 upgrade check [--json]

Check what deployments on this conductor depend on. That needs Ironic, which
is not installed here.
"""


def main() -> int:
    """Run the checks that the arguments name.

    :returns: the status of oslo.upgradecheck: 0 success, 1 warning,
        2 failure, 255 the checks could not be run.
    """
    try:
        # Only here: the package is also installed where Ironic is not.
        from ironic_imagedeploy.conductor.status import upgrade_checks
    except ImportError as error:
        if {'-h', '--help'} & set(sys.argv[1:]):
            return _show(_HELP, 0)
        print(f'Ironic cannot be loaded: {error}. Install '
              'the wheel of ironic-imagedeploy, with its extra [conductor], '
              'into the Python environment of ironic-conductor, and run the '
              'command of that environment.',
              file=sys.stderr)
        return FAILURE
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            status = upgrade_checks.main(sys.argv[1:])
    except SystemExit as stop:
        status = int(stop.code or 0)
    return _show(printed.getvalue(), status)


def _show(words: str, status: int) -> int:
    """Print what is to be seen, which somebody reads or not."""
    # Ironic's modules have to be the first ones.
    from ironic_imagedeploy.cmd import console
    from ironic_imagedeploy import engine
    try:
        console.show([words])
    except engine.exceptions.TargetError as error:
        console.say(str(error))
        return UNKNOWN
    return status


if __name__ == '__main__':
    sys.exit(main())
