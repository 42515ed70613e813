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

import sys

#: As oslo.upgradecheck has it.
FAILURE = 2


def main() -> int:
    """Run the checks that the arguments name.

    :returns: the status of oslo.upgradecheck: 0 success, 1 warning,
        2 failure, 255 the checks could not be run.
    """
    try:
        # Only here: the package is also installed where Ironic is not.
        from ironic_imagedeploy.conductor.status import upgrade_checks
    except ImportError as error:
        print(f'Ironic cannot be loaded: {error}. Install '
              "'ironic-imagedeploy[conductor]' into the Python environment "
              'of ironic-conductor, and run the command of that environment.',
              file=sys.stderr)
        return FAILURE
    return upgrade_checks.main(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
