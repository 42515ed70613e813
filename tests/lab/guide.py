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


"""The user guide about images, word by word, until the machines boot.

Its commands build the images and upload them; a whole-disk image is deployed
to a machine, and a partition image to another one.
"""

from collections.abc import Sequence
import functools
import json
import pathlib
import re
import shlex
from typing import Any

from tests.lab import cloud
from tests.lab import guide_images
from tests.lab import job
from tests.lab import services
from tests.support import commands
from tests.support import progress

#: Machines, each with the image that it gets.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    'whole-disk': ('debian-13', {}),
    'whole-disk-bios': ('debian-13', {'boot_mode': 'bios'}),
    'whole-disk-sata': ('debian-13', {'disk_bus': 'sata'}),
    'partition': ('debian-13-root', {})}
_CLOUD = 'lab'
_UPLOADED = re.compile(r' in Glance as ([0-9a-f-]{36})$', re.MULTILINE)
#: Of a partition image, which fits into it.
_ROOT_GB = 3
#: Seconds; a usual kernel, and cloud-init, on an emulated machine.
_BOOT_TIMEOUT = 1800


class GuideJob(job.Job):
    """The images of the guide, each on a machine."""

    def __init__(self, checkout: pathlib.Path, state: pathlib.Path,
                 kinds: Sequence[str], force_raw_images: bool) -> None:
        super().__init__(checkout, state, ['imagedeploy'], force_raw_images)
        self._machines = {kind: self._new_machine(**KINDS[kind][1])
                          for kind in dict.fromkeys(kinds)}
        self._images: dict[str, pathlib.Path] = {}
        self._identifiers: dict[str, str] = {}

    @property
    def checks(self) -> list[job.Check]:
        """All of them, in order."""
        names = dict.fromkeys(KINDS[kind][0] for kind in self._machines)
        common = super().checks
        return [
            *((f'{name} is built as the guide says',
               functools.partial(self.build, name)) for name in names),
            *common,
            *((f'{name} is uploaded as the guide says',
               functools.partial(self.upload, name)) for name in names),
            *((f'{kind}: the machine boots {KINDS[kind][0]}',
               functools.partial(self.deploy, kind))
              for kind in self._machines)]

    def build(self, name: str) -> None:
        self._images[name] = guide_images.get(name)

    def upload(self, name: str) -> None:
        configuration = self._state / 'clouds.yaml'
        configuration.write_text(
            f'clouds:\n  {_CLOUD}:\n    auth_type: none\n'
            f'    image_endpoint_override: {services.GLANCE_URL}\n')
        command = guide_images.command('upload', f'{name}.qcow2')
        progress.say(f'    {command}')
        program, *options = shlex.split(command)
        said = commands.run(
            guide_images.PROGRAMS / program, *options,
            cwd=self._images[name].parent, env={
                'OS_CLIENT_CONFIG_FILE': str(configuration),
                'OS_CLOUD': _CLOUD})
        print(said, flush=True)
        match = _UPLOADED.search(said)
        assert match
        # No list has the image of a community.
        self._identifiers[name] = match[1]

    def deploy(self, kind: str) -> None:
        name, _ = KINDS[kind]
        hardware = self._machines[kind]
        user = cloud.Cloud()
        node = user.deploy(
            user.enrol(hardware, 'imagedeploy'),
            user.find(self._identifiers[name]), job.HOSTNAME,
            job.DEPLOY_TIMEOUT,
            **({'root_gb': _ROOT_GB} if kind == 'partition' else {}))
        if node.provision_state != 'active':
            raise AssertionError(f'{node.provision_state}: {node.last_error}')
        report = node.driver_internal_info['imagedeploy']['report']
        print(json.dumps(report, indent=4), flush=True)
        job.wait_for_login(hardware, timeout=_BOOT_TIMEOUT)
        user.undeploy(node)
