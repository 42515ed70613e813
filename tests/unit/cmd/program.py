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


import contextlib
import io
import os
import pathlib
import struct
import tempfile
import typing
import unittest

from ironic_imagedeploy.cmd import imagedeploy
from tests.support import schema

MIB = 1 << 20


class CommandTestCase(unittest.TestCase):
    """A raw disk of 4 MiB with one partition."""

    def setUp(self) -> None:
        super().setUp()
        self.directory = pathlib.Path(self.enterContext(
            tempfile.TemporaryDirectory()))
        self.image = self.directory / 'image'
        self.target = self.directory / 'target'
        sector = bytearray(os.urandom(440) + bytes(72))
        struct.pack_into('<B3xB3xII', sector, 446, 0x80, 0x83, 2048, 2048)
        sector[510:] = b'\x55\xaa'
        self.image.write_bytes(sector + os.urandom(4 * MIB - 512))

    def run_main(self, *arguments: typing.Any) -> int:
        """The status; what was printed is in ``out`` and ``err``."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = imagedeploy.main([str(each) for each in arguments])
            except SystemExit as stop:
                status = typing.cast(int, stop.code)
        self.out, self.err = out.getvalue(), err.getvalue()
        schema.check(arguments, self.out)
        return status
