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

"""Summary of the system in an image, for people."""

from collections.abc import Iterable
from collections.abc import Iterator

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy.engine.contents.system import contents as _contents

Contents = _contents.Contents

#: Names of a list that are shown.
_MOST = 4


def rows(contents: Contents) -> Iterator[tuple[str, str]]:
    """Labels and values; the value is empty where there is nothing to say."""
    system = contents.system
    yield 'system', text.bounded(
        (system.name or f'{system.id} {system.version}'.strip())
        if system else '')
    yield 'root', _root(contents)
    yield 'kernels', _some(
        f'{kernel.version or kernel.path}'
        + (f' ({kernel.arch})' if kernel.arch else '')
        for kernel in contents.kernels or ())
    yield 'loaders', _some(contents.loaders or ())
    yield 'consoles', _some(contents.consoles)
    yield 'first boot', _first_boot(contents)
    yield 'grows by', _some(contents.growth or ())
    yield 'not read', '; '.join(map(text.bounded, contents.unread))


def _root(contents: Contents) -> str:
    volume = contents.root
    if volume is None:
        return ''
    place = f'partition {volume.number}, ' if volume.number else ''
    if volume.logical:
        place = f'{text.bounded("/".join(volume.logical))} of LVM, '
    named = _some(contents.root_names)
    return f'{place}{volume.kind}' + (f', named {named}' if named else '')


def _first_boot(contents: Contents) -> str:
    found = contents.first_boot
    if found is None:
        return ''
    sources = _some(found.data_sources or ())
    return _some(found.agents) + (f' ({sources})' if sources else '')


def _some(names: Iterable[str]) -> str:
    """The first of the names, and how many more there are."""
    known = [text.bounded(name) for name in names]
    more = len(known) - _MOST
    return ', '.join(known[:_MOST]) + (f' and {more} more' if more > 0
                                       else '')
