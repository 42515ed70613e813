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

"""What both contenders are told, and how their steps are timed."""

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
import sys
import time
import typing

from ironic_python_agent import config  # noqa: F401  registers options
from ironic_python_agent import hardware
from oslo_config import cfg

ARCH = 'x86_64'
#: MiB.
ROOT = 2048
SWAP = 128


class _Machine(hardware.GenericHardwareManager):
    """Does not look for what the real machine is."""

    def evaluate_hardware_support(self) -> int:
        return hardware.HardwareSupport.GENERIC


@dataclasses.dataclass
class Run:
    """One image onto one disk.

    :ivar seconds: of each step.
    """

    device: str
    image: str
    boot_mode: str
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @classmethod
    def start(cls) -> 'Run':
        """With the arguments of the program."""
        cfg.CONF([], project='ironic-python-agent', default_config_files=[])
        # Where no udev runs, asking again does not help.
        cfg.CONF.set_override('partprobe_attempts', 1, group='disk_utils')
        hardware._global_managers = [{
            'name': 'machine', 'manager': _Machine(), 'support': 1}]
        device, image, boot_mode = sys.argv[1:4]
        return cls(device, image, boot_mode)

    @property
    def label(self) -> str:
        """Of the partition table, as Ironic chooses it by default."""
        return 'gpt' if self.boot_mode == 'uefi' else 'msdos'

    @property
    def node(self) -> dict[str, typing.Any]:
        """The node as Ironic describes it."""
        return {'properties': {'capabilities':
                               f'boot_mode:{self.boot_mode},'
                               f'disk_label:{self.label}'}}

    @property
    def image_info(self) -> dict[str, typing.Any]:
        """The layout as Ironic describes it."""
        return {'image_type': 'partition', 'urls': [], 'root_mb': ROOT,
                'swap_mb': SWAP, 'node_uuid': 'node'}

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A step, with what it wrote."""
        os.sync()
        start = time.monotonic()
        yield
        os.sync()
        self.seconds[name] = time.monotonic() - start

    def print(self) -> None:
        """One line of JSON."""
        print(json.dumps({'steps': self.seconds,
                          'seconds': sum(self.seconds.values())}))
