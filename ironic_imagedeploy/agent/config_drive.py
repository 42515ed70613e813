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

"""Config drives, made in the ramdisk of what Ironic has for them.

For ``direct`` the conductor makes one. A step of others gets the parts, as
they were given to Ironic: then they become a file system FAT with the label
that cloud-init and its like look for (OpenStack's "config drive").
"""

import base64
from collections.abc import Mapping
import gzip
import json
import pathlib
import tempfile
import typing

from ironic_imagedeploy.agent import commands

_LABEL = 'config-2'
_VERSIONS = ('2012-08-10', 'latest')
#: Files by the names of the parts.
FILES = {'meta_data': 'meta_data.json', 'network_data': 'network_data.json',
         'user_data': 'user_data', 'vendor_data': 'vendor_data2.json'}
#: Bytes of the file system beside the files: tables and folders.
_OVERHEAD = 1 << 20
#: Bytes by which a file may take more than it has.
_ROUNDED = 4096


def build(parts: Mapping[str, typing.Any], node: Mapping[str, typing.Any]
          ) -> str:
    """Build a config drive, compressed by gzip and encoded as base64.

    :param parts: JSON or text by the names in :data:`FILES`.
    :param node: whose UUID and name the metadata have, unless they say else.
    :raises DeploymentError: when a program for it is missing, or fails.
    """
    files = {FILES[name]: _encoded(value) for name, value in parts.items()
             if value}
    meta_data = parts.get('meta_data') or {}
    if isinstance(meta_data, Mapping):
        named = {'name': node['name']} if node.get('name') else {}
        meta_data = {'uuid': node.get('uuid'), **named, **meta_data}
    files[FILES['meta_data']] = _encoded(meta_data)
    with tempfile.TemporaryDirectory(prefix='imagedeploy-') as folder:
        top = pathlib.Path(folder, 'openstack')
        for version in _VERSIONS:
            (top / version).mkdir(parents=True)
            for name, content in files.items():
                (top / version / name).write_bytes(content)
        image = pathlib.Path(folder, 'image')
        with image.open('wb') as file:
            file.truncate(_OVERHEAD + len(_VERSIONS) * sum(
                len(content) + _ROUNDED for content in files.values()))
        commands.run('mkfs.vfat', '-n', _LABEL, str(image))
        commands.run('mcopy', '-i', str(image), '-s', str(top), '::')
        return base64.b64encode(gzip.compress(image.read_bytes())).decode()


def _encoded(value: typing.Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value).encode()
