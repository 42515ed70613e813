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

"""Inputs that a fuzzer has kept, each read once.

``tools/coverage.sh fuzz`` measures which lines and branches they reach.
"""

import contextlib

from tests.fuzz import engine
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Read them all, and print how many each target has."""
    for name, target in TARGETS.items():
        folder = engine.CACHE / name
        if not folder.is_dir():
            folder.mkdir(parents=True)
            engine.save_seeds(target, folder)
        paths = sorted(folder.iterdir())
        for path in paths:
            with contextlib.suppress(*target.errors):
                target.read(target.subject(path.read_bytes()))
        print(f'{name}: {len(paths)} inputs', flush=True)


if __name__ == '__main__':
    main()
