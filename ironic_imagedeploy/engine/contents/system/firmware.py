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

"""Firmware that network cards do not work without.

Source: Linux, "Built-in firmware" and MODULE_FIRMWARE: a module names all
files that it may ask for, of which a card needs one.
"""

from collections.abc import Collection
from collections.abc import Iterator
import itertools
import re

from ironic_imagedeploy.engine.codecs import compressions
from ironic_imagedeploy.engine.codecs import errors
from ironic_imagedeploy.engine.codecs import streams
from ironic_imagedeploy.engine.contents.system import files as _files

#: Modules whose cards do nothing without; others have firmware on the card,
#: or can do with that.
_NEEDED_BY = frozenset({'bnx2', 'bnx2x', 'qed', 'liquidio', 'nfp'})
_FOLDERS = ('usr/lib/firmware', 'lib/firmware')
_SUFFIXES = ('', '.xz', '.zst')
_COMPRESSIONS = {'xz': 'xz', 'zst': 'zstd', 'gz': 'gz'}
#: Bytes of the list of modules, of a module, and of what it is unpacked to.
_LIST_BYTES = 4 << 20
_MODULE_BYTES = 2 << 20
_MOST_BYTES = 8 << 20
_MOST_MODULES = 8
_NAMES = re.compile(rb'(?<=\0)firmware=([\x21-\x7e]{1,200})(?=\0)')
_MOST = 64


def missing(files: _files.Files, folder: str, drivers: Collection[str]
            ) -> tuple[str, ...]:
    """Files of which drivers need one, when the root has none of them.

    :param folder: of the kernel's modules.
    :param drivers: names of modules, with what they need.
    """
    for path in itertools.islice(_paths(files, folder, drivers),
                                 _MOST_MODULES):
        names = _firmware(_unpacked(files, path))
        if names and not any(_is_there(files, name) for name in names):
            return names
    return ()


def _paths(files: _files.Files, folder: str, drivers: Collection[str]
           ) -> Iterator[str]:
    """Paths of the modules that need firmware, of some and their needs."""
    listed = files.front(f'{folder}/modules.dep', _LIST_BYTES) or b''
    for line in listed.decode('ascii', 'replace').splitlines():
        path, _, needs = line.partition(':')
        if _called(path) in drivers:
            for each in (path, *needs.split()):
                if _called(each) in _NEEDED_BY:
                    yield f'{folder}/{each}'


def _called(path: str) -> str:
    return path.rpartition('/')[2].partition('.')[0].replace('-', '_')


def _unpacked(files: _files.Files, path: str) -> bytes:
    """A module; empty when it cannot be unpacked."""
    stored = files.front(path, _MODULE_BYTES) or b''
    suffix = path.rpartition('.')[2]
    if suffix == 'ko':
        return stored
    known = compressions.COMPRESSIONS.get(_COMPRESSIONS.get(suffix, ''))
    if known is None:
        return b''
    unpacked = bytearray()
    try:
        for piece in streams.Decoder(known, _MOST_BYTES).decode(stored):
            unpacked += piece
            if len(unpacked) > _MOST_BYTES:
                break
    except errors.DecodeError:
        return b''
    return bytes(unpacked)


def _firmware(module: bytes) -> tuple[str, ...]:
    names = _NAMES.findall(module)
    return tuple(name.decode('ascii') for name in names[:_MOST])


def _is_there(files: _files.Files, name: str) -> bool:
    return any(files.exists(f'{folder}/{name}{suffix}')
               for folder in _FOLDERS for suffix in _SUFFIXES)
