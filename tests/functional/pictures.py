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

"""The pictures of pages in the administrator guide.

``python -m tests.functional.pictures`` makes them anew, of the pages that the
command ``report`` would make of invented deployments. Each has the digest of
its page in it, which a test compares.
"""

from collections.abc import Iterator
import datetime
import hashlib
import pathlib
import random
import struct
import tempfile
import types
import typing
import zlib

from ironic_imagedeploy.agent import twins
from ironic_imagedeploy.cmd import fleet_page
from ironic_imagedeploy.cmd import outcomes
from ironic_imagedeploy.cmd import report_page
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import timeline
from tests.support import browser

FOLDER = pathlib.Path(__file__).parents[2] / 'doc/source/admin/monitoring'
WIDTH = 1180
#: Scheme of colours of each picture.
SCHEMES = {'report': 'light', 'fleet': 'dark'}

_MIB = 1 << 20
_IMAGE = 'https://images.example.com/debian-13.qcow2'
_MADE = 'ironic-imagedeploy'
_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_KEYWORD = b'Page\0'
_PARTITIONS = (
    (1, 1, 511, 'ESP', 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b'),
    (2, 512, 8, 'BIOS', '21686148-6449-6e6f-744e-656564454649'),
    (3, 520, 11767, 'root', '4f68bce3-e8cd-4db1-96e7-fbcaf984b709'))
_SIZE = 12288 * _MIB


def pages() -> dict[str, str]:
    """The pages, by the names of their pictures."""
    return {'report': report_page.page(_outcome(
        'rack-4-node-17', sources=(('https://192.0.2.11:9998', 57, 0),
                                   ('https://192.0.2.14:9998', 28, 1),
                                   ('conductor', 15, 0)),
        reused=310 * _MIB, served=2100 * _MIB, resumes=2,
        warnings=[twins.Twin(
            '/dev/sdb', 'PTUUID=6b2f0c7e-5d3a-4f1b-9c41-2f7a8d0e9b35').warning(
                '/dev/sda')]), _MADE),
        'fleet': fleet_page.page(list(_fleet()), _MADE)}


def digest(page: str) -> bytes:
    """What the picture of a page has in it."""
    return hashlib.sha256(page.encode()).hexdigest().encode()


def digest_in(picture: bytes) -> bytes | None:
    """The digest that a picture has in it; None where it has none."""
    at = len(_SIGNATURE)
    while at < len(picture):
        length, kind = struct.unpack_from('>I4s', picture, at)
        content = picture[at + 8:at + 8 + length]
        if kind == b'tEXt' and content.startswith(_KEYWORD):
            return content.removeprefix(_KEYWORD)
        at += length + 12
    return None


def make(folder: pathlib.Path) -> None:
    """Make all pictures anew."""
    tab = browser.Browser()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for name, page in pages().items():
                path = pathlib.Path(scratch, f'{name}.html')
                path.write_text(page)
                tab.show(path, WIDTH, SCHEMES[name])
                (folder / f'{name}.png').write_bytes(
                    _with_digest(tab.picture(), digest(page)))
    finally:
        tab.close()


def _with_digest(picture: bytes, value: bytes) -> bytes:
    """A picture with a digest, before its last chunk."""
    content = b'tEXt' + _KEYWORD + value
    chunk = struct.pack('>I', len(content) - 4) + content + struct.pack(
        '>I', zlib.crc32(content))
    return picture[:-12] + chunk + picture[-12:]


def _fleet() -> Iterator[outcomes.Outcome]:
    for index in range(1, 12):
        yield _outcome(f'rack-4-node-{index:02}', seed=index)
    yield _outcome('rack-4-node-17', seed=17, slow=True)
    for index in range(3):
        yield _outcome(f'edge-{index}', seed=40 + index, kind='small',
                       source='glance:7c3f')
    yield _outcome(
        'rack-4-node-20', seed=20, error='The image is refused: no-esp: UEFI '
        'could not boot the image. Expected an EFI system partition with '
        'EFI/BOOT/BOOTX64.EFI, found none.')


def _outcome(name: str, *, seed: int = 17, slow: bool = False,
             kind: str = 'large', error: str = '', **told: typing.Any
             ) -> outcomes.Outcome:
    """An invented deployment, whose figures fit to each other."""
    chance = random.Random(seed)
    report = _report(chance, slow)
    given = told.pop('sources', (('conductor', 100, 0),))
    report |= told
    report['sources'] = [
        {'name': source, 'bytes': report['bytes_read'] * share // 100,
         'bad_chunks': bad} for source, share, bad in given]
    ramdisk = 8 + chance.uniform(84, 96)
    written = ramdisk + 3 + report['phases'][-1]['start'] + 4.3
    moments = (0, 2, 3, 8, ramdisk, ramdisk + 1, written, written + 1,
               written + 11)
    start = datetime.datetime(2026, 11, 27, 9, tzinfo=datetime.UTC)
    found = outcomes.of_node(types.SimpleNamespace(
        id=name, name=name, provision_state='deploy failed' if error
        else 'active', last_error=error, resource_class=kind,
        driver_internal_info={names.KEY: {
            timeline.KEY: {str(event): (start + datetime.timedelta(
                seconds=seconds)).isoformat() for event, seconds in zip(
                    timeline.Event, moments, strict=True)},
            **({} if error else {names.REPORT: report})}}))
    assert found
    return found


def _report(chance: random.Random, slow: bool) -> dict[str, typing.Any]:
    """What an agent told of a write: most of its time it reads."""
    samples = []
    seconds = 0.0
    for index in range(40):
        seconds += chance.uniform(5.6, 6.4) if slow else chance.uniform(
            0.7, 0.9)
        empty = 14 <= index < 18
        samples.append({
            'seconds': seconds,
            'read': 6 * _MIB if empty else chance.randrange(28, 34) * _MIB,
            'written': (700 if empty else chance.randrange(210, 290)) * _MIB,
            'bottleneck': 'disk' if slow else 'decode' if 24 < index < 29
            else 'network'})
    rest = _SIZE - sum(sample['written'] for sample in samples)
    samples.append({'seconds': seconds + 3.0, 'read': 0, 'written': rest,
                    'bottleneck': 'disk'})
    return {
        'source': _IMAGE, 'format': 'qcow2', 'virtual_size': _SIZE,
        'target_size': 30000 * _MIB, 'backup_gpt_misplaced': False,
        'bytes_read': sum(sample['read'] for sample in samples),
        'bytes_written': 3900 * _MIB, 'bytes_zeroed': _SIZE - 3900 * _MIB,
        'zeroes_written': 0, 'resumes': 0, 'seconds': seconds + 3.0,
        'read_back': 'none', 'bottleneck': 'disk' if slow else 'network',
        'peak_rss': 80 * _MIB, 'reused': 0, 'verified_by': 'chunks',
        'checksum': {'algorithm': 'sha512', 'value': 'ab' * 64,
                     'verified': True},
        'phases': [
            {'name': 'inspect', 'start': 0.0, 'seconds': 1.9},
            {'name': 'write', 'start': 1.9, 'seconds': seconds},
            {'name': 'finish', 'start': seconds + 1.9, 'seconds': 3.0},
            {'name': 'boot', 'start': seconds + 4.9, 'seconds': 4.0}],
        'throughput': samples,
        'partitions': [
            {'number': number, 'start': at * _MIB, 'length': length * _MIB,
             'name': name, 'type': kind}
            for number, at, length, name, kind in _PARTITIONS]}


if __name__ == '__main__':
    make(FOLDER)
