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


"""List all that the package needs in production, one a line.

Versions are those that are installed; extras are those of setup.cfg. What is
not installed, for another Python for instance, is left out.
"""

import importlib.metadata
import re

from packaging import requirements

NAME = 'ironic-imagedeploy'
#: Of setup.cfg; pbr adds one for the tests.
EXTRAS = ('fast', 'glance', 'inspector', 'conductor', 'agent')


def normalised(name: str) -> str:
    """Name of a distribution, as PyPI compares them."""
    return re.sub(r'[-_.]+', '-', name).lower()


def needed(distribution: importlib.metadata.Distribution, extra: str
           ) -> list[tuple[str, str]]:
    """Names, each with an extra or without one, that a distribution needs.

    :param extra: of the distribution; empty for what it needs in any case.
    """
    found = []
    for line in distribution.requires or ():
        one = requirements.Requirement(line)
        if one.marker is None or one.marker.evaluate({'extra': extra}):
            found += [(normalised(one.name), each)
                      for each in ('', *one.extras)]
    return found


def main() -> None:
    """Print the list."""
    ahead = [(NAME, extra) for extra in ('', *EXTRAS)]
    seen = set(ahead)
    versions: dict[str, str] = {}
    while ahead:
        name, extra = ahead.pop()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        versions[name] = distribution.version
        more = set(needed(distribution, extra)) - seen
        seen |= more
        ahead += more
    del versions[NAME]
    for name, version in sorted(versions.items()):
        print(f'{name}=={version}')


if __name__ == '__main__':
    main()
