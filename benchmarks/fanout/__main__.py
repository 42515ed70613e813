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

"""Write one image to many nodes at once, and count what its server sends."""

import argparse
from collections.abc import Iterator
import hashlib
import json
import pathlib
import random
import sys
import tempfile
import time

from benchmarks.fanout import fleet
from benchmarks.fanout import network
from benchmarks.fanout import table
from benchmarks import measurement
from benchmarks import server
from ironic_imagedeploy.engine import checksum
from ironic_imagedeploy.engine import manifest_builder

_MIB = 1 << 20
_PACKAGES = ('ironic-imagedeploy', 'ironic-python-agent')


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='benchmarks/fanout.sh', description=__doc__)
    parser.add_argument('--nodes', type=int, default=32,
                        help='(default: 32)')
    parser.add_argument('--size', type=int, default=128, metavar='MIB',
                        help='of the image (default: 128)')
    parser.add_argument('--rate', type=float, default=25, metavar='MBIT',
                        help='of the link of a node, in each direction '
                        '(default: 25)')
    parser.add_argument('--server-rate', type=float, default=100,
                        metavar='MBIT', help='of the link of the server, in '
                        'the cases with a wide one (default: 100)')
    parser.add_argument('--seeds', type=int, default=1, metavar='COUNT',
                        help='nodes that have no neighbours (default: 1)')
    parser.add_argument('--case', action='append', metavar='NAME',
                        choices=[name for name, *_ in _CASES],
                        help='only this one; may be repeated')
    parser.add_argument('--state', type=pathlib.Path, metavar='FOLDER',
                        help='for the disks and logs')
    parser.add_argument('--output', type=pathlib.Path, metavar='FOLDER',
                        help='for fanout.txt and fanout.json')
    return parser.parse_args()


#: Name, way, whether the link of the server is wide, whether some are bad.
_CASES = (
    ('one-node', 'alone', True, False),
    ('neighbours', 'neighbours', True, False),
    ('neighbours-bad', 'neighbours', True, True),
    ('neighbours-narrow', 'neighbours', False, False),
    ('neighbours-narrow-bad', 'neighbours', False, True),
    ('without', 'alone', True, False),
    ('direct', 'direct', True, False))


def _say(text: str) -> None:
    print(time.strftime('%H:%M:%S'), text, file=sys.stderr, flush=True)


def _image(folder: pathlib.Path, size: int) -> tuple[str, str]:
    """Make an image without zeroes, and its manifest.

    :returns: its SHA-256 and its SHA-512.
    """
    generator = random.Random(12)
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    with manifest_builder.Builder(size) as builder, (
            (folder / 'image.raw').open('wb')) as file:
        for _ in range(size // _MIB):
            piece = generator.randbytes(_MIB)
            file.write(piece)
            builder.update(memoryview(piece))
            sha256.update(piece)
            sha512.update(piece)
        manifest = builder.finish(checksum.Checksum(
            'sha512', sha512.hexdigest()))
    (folder / 'manifest').write_bytes(manifest.encode())
    return sha256.hexdigest(), sha512.hexdigest()


def _cases(wanted: argparse.Namespace) -> Iterator[fleet.Case]:
    nodes, rate = wanted.nodes, wanted.rate * 1e6
    for name, way, wide, bad in _CASES:
        if wanted.case and name not in wanted.case:
            continue
        yield fleet.Case(
            name=name, way=way, nodes=1 if name == 'one-node' else nodes,
            rate=rate, server_rate=wanted.server_rate * 1e6 if wide else rate,
            killed=(nodes // 4, nodes // 4 + 1, nodes // 2) if bad else (),
            slow=nodes // 8 if bad else None,
            liar=nodes // 3 + 1 if bad else None, seeds=wanted.seeds)


def main() -> None:
    """The command."""
    wanted = _arguments()
    machine = measurement.machine(_PACKAGES)
    results = []
    with tempfile.TemporaryDirectory(prefix='imagedeploy.',
                                     dir=wanted.state) as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        size = wanted.size * _MIB
        sha256, sha512 = _image(folder, size)
        network.create(wanted.server_rate * 1e6)
        machine['congestion_control'] = network.congestion_control()
        with server.WebServer(folder, folder, network.SERVER) as web:
            url = web.url(folder / 'image.raw')
            image = fleet.Image(
                url=url, size=size, manifest=folder / 'manifest',
                sha256=sha256, info={
                    'id': 'image', 'urls': [url], 'disk_format': 'raw',
                    'image_type': 'whole-disk', 'os_hash_algo': 'sha512',
                    'os_hash_value': sha512})
            for case in _cases(wanted):
                results.append(fleet.run(case, image, folder, _say))
                _say(table.row(results[-1], size))
    text = table.made(results, machine, size)
    print(text)
    if wanted.output:
        wanted.output.mkdir(parents=True, exist_ok=True)
        (wanted.output / 'fanout.txt').write_text(text)
        (wanted.output / 'fanout.json').write_text(json.dumps(
            {'machine': machine, 'size': size, 'results': [
                {'case': vars(result.case), 'sent': result.sent,
                 'nodes': result.nodes} for result in results]}, indent=1))


if __name__ == '__main__':
    main()
