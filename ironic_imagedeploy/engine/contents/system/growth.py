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

"""Mechanisms that make the root as large as the disk, at a start."""

from collections.abc import Iterator
import itertools
import re

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine.contents.system import first_boot

_GROWPART = ('usr/bin/growpart', 'bin/growpart', 'usr/sbin/growpart')
#: Paths of which one shows that a mechanism is there.
_PATHS = {
    'growroot': ('usr/lib/dracut/modules.d/50growroot',
                 'usr/share/initramfs-tools/scripts/local-bottom/growroot',
                 'usr/share/initramfs-tools/scripts/local-premount/growroot',
                 'etc/init.d/growroot', 'usr/lib/growroot'),
    'coreos-growpart': ('usr/libexec/coreos-growpart',
                        'usr/sbin/ignition-ostree-growfs',
                        'usr/lib/dracut/modules.d/40ignition-ostree'),
    'extend-filesystems': ('usr/lib/systemd/system/'
                           'extend-filesystems.service',),
    'kiwi-repart': ('usr/lib/dracut/modules.d/99kiwi-repart',
                       'usr/lib/dracut/modules.d/90kiwi-repart',
                       'usr/lib/dracut/modules.d/55kiwi-repart'),
    'init_resize': ('usr/lib/raspi-config/init_resize.sh',),
    'tiny-cloud': ('usr/libexec/tiny-cloud', 'lib/tiny-cloud'),
    'cirros-init': ('etc/cirros-init', 'usr/bin/cirros-apply'),
}
#: Of openSUSE, for mounts of which the fstab has this option.
GENERATOR = 'growpart-generator'
_GENERATORS = tuple(f'usr/lib/systemd/system-generators/{GENERATOR}{ending}'
                    for ending in ('.sh', ''))
_GROWS = 'x-growpart.grow'
_REPART = ('usr/bin/systemd-repart', 'bin/systemd-repart')
_REPART_FOLDERS = ('etc/repart.d', 'usr/lib/repart.d',
                   'usr/local/lib/repart.d')
#: Settings of cloud-init's growpart, and how it grows.
_SETTING = re.compile(r'mode|devices|ignore_growroot_disabled|-')
_MODE = re.compile(r'\bmode["\']?\s*:\s*["\']?(\w+)')
#: Where those put it who make an image, and how they call it.
_MOST = 32
_OWN_FOLDERS = ('etc/systemd/system', 'etc/init.d', 'usr/local/sbin',
                'usr/local/bin')
_OWN = re.compile(
    r'(?:.*[-_.])?(?:grow|resize|expand)(?:root|fs|part|[-_.]).*')


def read(files: _files.Files, agents: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the mechanisms that a root has.

    :param agents: for the first boot.
    """
    return tuple(dict.fromkeys(itertools.islice(
        _mechanisms(files, agents), _MOST)))


def _mechanisms(files: _files.Files, agents: tuple[str, ...]
                ) -> Iterator[str]:
    has_growpart = any(map(files.exists, _GROWPART))
    # A file of this name forbids it to cloud-init and to growroot.
    is_forbidden = files.exists('etc/growroot-disabled')
    if (first_boot.CLOUD_INIT in agents and has_growpart
            and not is_forbidden and not _is_off(files)):
        yield 'cloud-init with growpart'
    for name, paths in _PATHS.items():
        if any(map(files.exists, paths)) and not (
                is_forbidden and name == 'growroot'):
            yield name
    if any(map(files.exists, _GENERATORS)) and _GROWS in config_files.read(
            files, 'etc/fstab'):
        yield GENERATOR
    if any(map(files.exists, _REPART)) and any(
            config_files.below(files, _REPART_FOLDERS, '.conf')):
        yield 'systemd-repart'
    for folder in _OWN_FOLDERS:
        for name in files.list(folder):
            if _OWN.fullmatch(name):
                yield f'{folder}/{name}'


def _is_off(files: _files.Files) -> bool:
    """Whether cloud-init is told not to grow partitions."""
    is_off = False
    for text in first_boot.configuration(files):
        lines = list(config_files.lines(text))
        for number, line in enumerate(lines):
            if not line.startswith('growpart:'):
                continue
            settings = itertools.takewhile(
                _SETTING.match, lines[number + 1:])
            for setting in itertools.chain([line], settings):
                if match := _MODE.search(setting):
                    is_off = match[1].lower() in ('off', 'false')
    return is_off
