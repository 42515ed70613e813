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

"""What Ironic's node code does with an image, as a process of its own.

Calls the functions of ironic-python-agent that ``prepare_image`` calls for
the deploy interface ``direct``, and prints one line of JSON.
"""

import json
import os
import pathlib
import shutil
import sys
import time

from ironic_python_agent import config  # noqa: F401  registers options
from ironic_python_agent.extensions import standby
from oslo_config import cfg


def main() -> None:
    device, folder, image_info = sys.argv[1], sys.argv[2], sys.argv[3]
    _provide_udevadm(pathlib.Path(folder))
    cfg.CONF([], project='ironic-python-agent', default_config_files=[])
    info = json.loads(image_info)
    start = time.monotonic()
    if info['disk_format'] == 'raw':
        extension = standby.StandbyExtension()
        extension.partition_uuids = {}
        extension._stream_raw_image_onto_device(info, device)
        steps = {'stream': time.monotonic() - start}
        stored = 0
    else:
        standby._download_image(info)
        downloaded = time.monotonic()
        standby._write_image(info, device)
        steps = {'download': downloaded - start,
                 'write': time.monotonic() - downloaded}
        copy = pathlib.Path(standby._image_location(info))
        stored = copy.stat().st_blocks * 512
        copy.unlink()
    print(json.dumps({'seconds': sum(steps.values()), 'steps': steps,
                      'stored': stored}))


def _provide_udevadm(folder: pathlib.Path) -> None:
    """Where no udev is, there is nothing to settle; IPA insists to ask."""
    if shutil.which('udevadm') is None:
        (folder / 'udevadm').symlink_to('/bin/true')
        os.environ['PATH'] += f':{folder}'


if __name__ == '__main__':
    main()
