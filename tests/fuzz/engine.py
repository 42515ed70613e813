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


"""One target, guided by coverage: atheris, which has libFuzzer in it.

::

    python -m tests.fuzz.engine TARGET CORPUS SECONDS

Where atheris is not installed the inputs are made at random instead, and
what is new is not known; it says so.
"""

import importlib.util
import os
import pathlib
import random
import sys
import time
import typing

#: Inputs that are kept, by target.
CACHE = pathlib.Path(os.environ.get('XDG_CACHE_HOME', pathlib.Path.home()
                                    / '.cache'), 'ironic-imagedeploy', 'fuzz')
#: Edits, or bytes of a raw text, that an input has at most.
_MOST_BYTES = 4096
#: Instrumented readers are some times slower, and say nothing about time.
_SLOWNESS = 8.0
#: Inputs at random that it begins with, beside what is valid.
_CHANGED = 40


def main(name: str, corpus: str, seconds: str) -> int:
    """Look for inputs that break a promise of a target.

    :returns: 1 when there was one.
    """
    folder = pathlib.Path(corpus)
    if importlib.util.find_spec('atheris'):
        return guided(name, folder, int(seconds))
    print('atheris is not installed: inputs at random, without coverage')
    return at_random(name, folder, int(seconds))


def guided(name: str, folder: pathlib.Path, seconds: int) -> int:
    """By atheris."""
    import atheris  # type: ignore[import-not-found,unused-ignore]
    with atheris.instrument_imports(include=['ironic_imagedeploy']):
        from tests.fuzz import bounds
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    save_seeds(target, folder)

    def try_one(stored: bytes) -> None:
        bounds.check(target, stored, slowness=_SLOWNESS)

    atheris.Setup([
        sys.argv[0], str(folder), f'-max_total_time={seconds}',
        f'-max_len={_MOST_BYTES}', '-timeout=120', '-rss_limit_mb=3072',
        f'-artifact_prefix={folder.parent}/{name}-', '-print_final_stats=1',
        '-verbosity=0'], try_one)
    atheris.Fuzz()
    return 0


def at_random(name: str, folder: pathlib.Path, seconds: int) -> int:
    """By Python's random numbers."""
    from tests.fuzz import bounds
    from tests.fuzz import target as targets
    from tests.fuzz.targets import TARGETS
    found = TARGETS[name]
    save_seeds(found, folder)
    seed = random.SystemRandom().getrandbits(32)
    dice = random.Random(seed)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        stored = targets.some_input(found, dice)
        count += 1
        try:
            bounds.check(found, stored, slowness=2.0)
        except Exception as error:
            path = folder.parent / f'{name}-crash-{count}-{seed}'
            path.write_bytes(stored)
            print(f'{path}: {type(error).__name__}: {error!s:.500}')
            raise
    print(f'{count} inputs')
    return 0


def save_seeds(target: typing.Any, folder: pathlib.Path) -> None:
    """Begin with what is valid."""
    from tests.fuzz import mutation
    from tests.fuzz import target as targets
    for seed in range(target.seeds):
        (folder / f'seed-{seed}').write_bytes(
            mutation.Input(seed, 0, b'').encode())
    dice = random.Random(target.name)
    for number in range(_CHANGED):
        (folder / f'changed-{number}').write_bytes(
            targets.some_input(target, dice))
    for number, text in enumerate(getattr(target, 'texts', ())):
        if len(text) < _MOST_BYTES:
            (folder / f'text-{number}').write_bytes(mutation.Input(
                0, mutation.AS_IT_IS, text).encode())


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
