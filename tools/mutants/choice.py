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

"""Modules that are changed, and the tests of each."""

import pathlib
import typing

PACKAGE = pathlib.Path('ironic_imagedeploy')
TESTS = pathlib.Path('tests/unit')


def modules(name: str) -> list[pathlib.Path]:
    """A module, or all of a folder but those that have nothing to run."""
    folder = PACKAGE / name
    return sorted(
        path for path in folder.rglob('*.py') if path.name != '__init__.py'
    ) if folder.is_dir() else [PACKAGE / f'{name}.py']


def tests_of(path: pathlib.Path) -> list[str]:
    """Modules of tests that mirror a module; else those of its folder, too."""
    upwards = [place for place in places_of(path) if place.is_dir()]
    folder = upwards[0]

    def named(name: str, places: list[pathlib.Path]) -> list[pathlib.Path]:
        return next(filter(None, (
            [*place.glob(f'test_{name}.py'), *place.glob(f'test_{name}_*.py')]
            for place in places)), [])

    found = named(path.stem, [folder])
    if not found:
        # One of that name further up may be about something else.
        found = named(path.stem, upwards) + [*folder.glob(
            f'test_*_{path.stem}.py')] + (
            named(path.parent.name, upwards) or tests_in(upwards))
    return names(found)


def places_of(path: pathlib.Path) -> list[pathlib.Path]:
    """The folder of tests that mirrors that of a module, and those above."""
    folder = TESTS / path.parent.relative_to(PACKAGE)
    return [folder, *folder.parents][:len(folder.parts) - 1]


def tests_in(places: list[pathlib.Path]) -> list[pathlib.Path]:
    """The tests in the first of some folders that has any."""
    return next(filter(None, (
        list(place.glob('test_*.py')) for place in places)))


def names(paths: typing.Iterable[pathlib.Path]) -> list[str]:
    """Names of modules, as they are imported."""
    return sorted({str(path.with_suffix('')).replace('/', '.')
                   for path in paths})
