#!/usr/bin/env python3
#
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

"""File systems in files, and whether this process may mount them."""

import os
import pathlib
import re
import unittest

from tests.support import disks

#: linux/capability.h, CAP_SYS_ADMIN
_ADMINISTRATOR = 21
_MAKERS = {'ext4': ('mke2fs', '-q', '-F', '-t', 'ext4'),
           'btrfs': ('mkfs.btrfs', '-q', '-f')}
_TREE = {'ext4': '-d', 'btrfs': '--rootdir'}
_SIZES = {'ext4': 16 << 20, 'btrfs': 128 << 20}


def require(test: unittest.TestCase, *devices: str) -> None:
    """Skip a test where nothing can be mounted.

    :param devices: that it takes beside the permission.
    """
    permitted = re.search(r'^CapEff:\s*(\w+)', pathlib.Path(
        '/proc/self/status').read_text(), re.MULTILINE)
    if not permitted or not int(permitted[1], 16) >> _ADMINISTRATOR & 1:
        test.skipTest('mounts are for root only')
    for device in devices:
        if not os.path.exists(device):
            test.skipTest(f'needs {device}')


def make(path: pathlib.Path, tree: pathlib.Path, *options: str,
         kind: str = 'ext4') -> pathlib.Path:
    """A file with a file system that holds a tree.

    :param options: for the program that makes it.
    """
    disks.fill(path, _SIZES[kind], 0)
    disks.run(*_MAKERS[kind], *options, _TREE[kind], tree, path)
    return path
