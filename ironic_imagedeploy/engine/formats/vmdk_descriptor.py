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

"""The text in a VMDK file that says what it consists of.

It is read strictly: a descriptor can name any file of the machine that opens
it, so whatever is not known is refused. Source: VMware's "Virtual Disk
Format 5.0", section "The Descriptor File".
"""

import re
import typing

from ironic_imagedeploy.engine import exceptions

if typing.TYPE_CHECKING:
    from ironic_imagedeploy.engine.formats import reader

MONOLITHIC_SPARSE = 'monolithicSparse'
STREAM_OPTIMIZED = 'streamOptimized'
#: Of a file that is nothing but a descriptor, as VMware begins it; others
#: begin with another comment.
FIRST_LINE = b'# Disk DescriptorFile'
#: Bytes of a descriptor at most.
LIMIT = 64 << 10
_NO_PARENT = 'ffffffff'
_KEYS = frozenset({
    'version', 'encoding', 'cid', 'parentcid', 'createtype',
    'isnativesnapshot'})
_VERSIONS = ('1', '2', '3')
#: That of a stream is often read only: it is not written to, nor by us.
_ACCESS = ('RW', 'RDONLY')
_ASSIGNMENT = re.compile(r'([A-Za-z][A-Za-z0-9_.]{0,80})\s*=\s*(.{0,400})')
_VALUE = re.compile(r'"([^"]*)"|([^"]*)')
_EXTENT = re.compile(r'(RW|RDONLY|NOACCESS)\s+(\d{1,19})\s+([A-Z]{1,10})'
                     r'(?:\s+"([^"]{0,1024})"(?:\s+(\d{1,19}))?)?')


def check(image: 'reader.Reader', stored: bytes, sectors: int) -> str:
    """Judge a descriptor.

    :param stored: its bytes, padded with zeroes.
    :param sectors: capacity that the header of the file states.
    :returns: the createType: ``monolithicSparse`` or ``streamOptimized``.
    :raises ImageRefused: when the image is more than this one file.
    """
    settings: dict[str, str] = {}
    extents: list[tuple[str, ...]] = []
    for line in _lines(image, stored):
        if match := _EXTENT.fullmatch(line):
            extents.append(match.groups(default=''))
        elif match := _ASSIGNMENT.fullmatch(line):
            _assign(image, settings, match[1], match[2])
        else:
            raise _odd(image, f'the line {line[:60]!r}')
    return _judge(image, settings, extents, sectors)


def _lines(image: 'reader.Reader', stored: bytes) -> list[str]:
    # QEMU leaves the end of a longer text behind when it writes a shorter.
    text = stored.partition(b'\0')[0]
    try:
        lines = [line.strip() for line in text.decode('ascii').splitlines()]
    except UnicodeDecodeError:
        raise _odd(image, 'characters other than ASCII') from None
    return [line for line in lines if line and not line.startswith('#')]


def _assign(image: 'reader.Reader', settings: dict[str, str], name: str,
            value: str) -> None:
    key = name.lower()
    if key.startswith('ddb.'):
        return
    if key == 'parentfilenamehint':
        raise _needs_another(image, 'a parent', 'no parent')
    if key not in _KEYS or key in settings:
        raise _odd(image, f'the key {name!r}'
                   + (' twice' if key in settings else ''))
    quoted = _VALUE.fullmatch(value)
    if not quoted:
        raise _odd(image, f'the value {value[:60]!r}')
    settings[key] = quoted[1] or quoted[2] or ''


def _judge(image: 'reader.Reader', settings: dict[str, str],
           extents: list[tuple[str, ...]], sectors: int) -> str:
    if not settings and not extents:
        raise image.refused('external-extent', case='descriptor',
                            expected='a descriptor in the file',
                            found='an empty one')
    kind = settings.get('createtype', 'none')
    if kind not in (MONOLITHIC_SPARSE, STREAM_OPTIMIZED):
        raise _needs_another(
            image, f'the createType {kind[:40]!r}',
            f'{MONOLITHIC_SPARSE} or {STREAM_OPTIMIZED}')
    version = settings.get('version', _VERSIONS[0])
    if version not in _VERSIONS:
        raise _odd(image, f'version {version[:40]!r}')
    if settings.get('parentcid', _NO_PARENT).lower() != _NO_PARENT:
        raise _needs_another(image, 'a parent', 'no parent')
    if len(extents) != 1:
        raise _needs_another(image, f'{len(extents)} extents',
                             'one extent, which is this file')
    access, length, sparse, name, offset = extents[0]
    if access not in _ACCESS or (sparse, offset) != ('SPARSE', '') or (
            not name or '/' in name or '\\' in name):
        raise _needs_another(
            image, f'the extent {access} {sparse} {name[:60]!r}',
            'one SPARSE extent, named without a folder')
    if int(length) != sectors:
        raise image.corrupt(f'an extent of {length} sectors',
                            f'{sectors}, as the header states')
    return kind


def _needs_another(image: 'reader.Reader', found: str, expected: str
                   ) -> exceptions.ImageRefused:
    return image.refused('external-extent', expected=expected, found=found)


def _odd(image: 'reader.Reader', found: str) -> exceptions.ImageRefused:
    return image.corrupt(f'{found} in the descriptor',
                         'a descriptor of ASCII text with known keys')
