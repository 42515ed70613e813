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

"""What ``direct`` does with a qcow2 image by default, for its first node.

The conductor fetches it, converts it to raw and hashes that, by Ironic's own
functions; then the node gets the raw image. Prints one line of JSON.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

from ironic.common import checksum_utils
from ironic.conf import CONF
from ironic.drivers.modules import image_cache

from benchmarks import measurement


def main() -> None:
    device, scratch, image_info, folder = sys.argv[1:]
    info = json.loads(image_info)
    copy = pathlib.Path(folder, 'raw')
    copy.parent.mkdir(exist_ok=True)
    try:
        start = time.monotonic()
        digest = _convert(info, copy)
        conductor = time.monotonic() - start
        # On a node of its own nobody waits for the conductor's disk.
        os.sync()
        before = measurement.written()
        parent = info['urls'][0].rpartition('/')[0]
        info |= {'urls': [f'{parent}/{copy.parent.name}/{copy.name}'],
                 'disk_format': 'raw', 'os_hash_value': digest}
        node = json.loads(subprocess.run(
            [sys.executable, '-m', 'benchmarks.node', device, scratch,
             json.dumps(info)], check=True, stdout=subprocess.PIPE).stdout)
    finally:
        copy.unlink(missing_ok=True)
        copy.parent.rmdir()
    print(json.dumps({
        'seconds': conductor + node['seconds'], 'stored': node['stored'],
        'written': measurement.written() - before,
        'steps': {'conductor': conductor} | node['steps']}))


def _convert(info: dict[str, str], copy: pathlib.Path) -> str:
    """Make the raw copy; its checksum."""
    CONF([], project='ironic', default_config_files=[])
    image_cache._fetch(
        None, info['urls'][0], str(copy), force_raw=True,
        expected_format=info['disk_format'],
        expected_checksum=info['os_hash_value'],
        expected_checksum_algo=info['os_hash_algo'])
    digest: str = checksum_utils.compute_image_checksum(
        str(copy), info['os_hash_algo'])
    return digest


if __name__ == '__main__':
    main()
