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

"""ironic-conductor that also counts what Ironic itself does to images.

Ironic has no metric for its looks into images of instances; imagedeploy has.
Everything else is ironic-conductor as it is.
"""

import functools
import os
import socket
import sys
from typing import Any

from ironic.command import conductor
from ironic.common import images
from ironic.conf import CONF

PORT = 'LOAD_STATSD'


def _count(name: str) -> None:
    address, port = os.environ[PORT].split(':')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(f'{name}:1|c'.encode(), (address, int(port)))


def _counted(name: str) -> None:
    """Count the calls of a function of ironic.common.images."""
    function = getattr(images, name)

    @functools.wraps(function)
    def counted(path: str, *args: Any, **kwargs: Any) -> Any:
        # Not the deploy kernels and ramdisks.
        if path.startswith((CONF.pxe.instance_master_path,
                            CONF.pxe.images_path)):
            _count(f'images.{name}')
        return function(path, *args, **kwargs)
    setattr(images, name, counted)


# Conductors start their worker anew, which gets here by an import.
_counted('detect_file_format')
_counted('safety_check_image')

if __name__ == '__main__':
    sys.exit(conductor.main())
