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

"""Agents that set a system up when it first starts, and where they look."""

from collections.abc import Iterator
import dataclasses
import re

from ironic_imagedeploy.engine.contents.system import config_files
from ironic_imagedeploy.engine.contents.system import files as _files
from ironic_imagedeploy.engine import exceptions

CLOUD_INIT = 'cloud-init'
#: Paths of which one shows that an agent is there.
_AGENTS = {
    CLOUD_INIT: ('usr/bin/cloud-init', 'usr/local/bin/cloud-init',
                 'usr/lib/python3/dist-packages/cloudinit',
                 'etc/cloud/cloud.cfg', 'usr/libexec/cloud-init',
                 'opt/cloud-init'),
    'glean': ('usr/local/bin/glean', 'usr/bin/glean', 'usr/bin/glean.sh',
              'usr/local/bin/glean.sh', 'opt/glean/bin/glean',
              *(f'{folder}/systemd/system/glean{name}.service'
                for folder in ('etc', 'usr/lib', 'lib')
                for name in ('', '@', '@eth0'))),
    'ignition': ('usr/bin/ignition', 'usr/libexec/ignition',
                 'usr/lib/ignition', 'usr/lib/dracut/modules.d/30ignition',
                 'usr/share/ignition', 'usr/lib64/ignition'),
    'combustion': ('usr/lib/dracut/modules.d/35combustion',),
    'afterburn': ('usr/bin/afterburn', 'usr/libexec/afterburn'),
    'coreos-cloudinit': ('usr/bin/coreos-cloudinit',),
    'tiny-cloud': ('usr/libexec/tiny-cloud', 'lib/tiny-cloud',
                   'usr/lib/tiny-cloud', 'etc/tiny-cloud.conf'),
    'cirros-init': ('usr/bin/cirros-apply', 'etc/cirros-init'),
    'cloudbase-init': ('usr/bin/cloudbase-init',
                       'usr/local/bin/cloudbase-init'),
}
#: Where systems keep programs under names that change (NixOS, Guix).
_STORES = ('nix/store', 'gnu/store')
_DISABLED = 'etc/cloud/cloud-init.disabled'
_CONFIG = 'etc/cloud/cloud.cfg'
_CONFIG_FOLDERS = ('etc/cloud/cloud.cfg.d',)
_LIST = 'datasource_list'
#: Characters of a list, and lines of one.
_LIST_BYTES = 4096
_NAME = re.compile(r'[A-Za-z0-9]+')
_DELETES_KEYS = re.compile(r'ssh_deletekeys\s*:\s*["\']?(\w+)')
_NO = frozenset({'false', '0', 'no', 'off'})
_MOST_LIST = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstBoot:
    """Agents for the first boot.

    :ivar agents: by name; those that are disabled are left out.
    :ivar data_sources: where cloud-init looks; None when it may look
        everywhere.
    :ivar deletes_host_keys: cloud-init makes new keys for each machine.
    """

    agents: tuple[str, ...] = ()
    data_sources: tuple[str, ...] | None = None
    deletes_host_keys: bool = False


def read(files: _files.Files, options: tuple[str, ...] = ()) -> FirstBoot:
    """The agents of a root.

    :param options: values of the kernel option ``cloud-init``.
    :raises UnreadableContent: when it cannot be told.
    """
    for store in _STORES:
        if files.exists(store):
            raise exceptions.UnreadableContent(f'programs in /{store}')
    agents = [name for name, paths in _AGENTS.items()
              if any(map(files.exists, paths))]
    if CLOUD_INIT in agents and (
            'disabled' in options or files.exists(_DISABLED)):
        agents.remove(CLOUD_INIT)
    if CLOUD_INIT not in agents:
        return FirstBoot(agents=tuple(agents))
    sources: tuple[str, ...] | None = None
    deletes = True
    for text in configuration(files):
        # The last one counts.
        listed = _listed(text)
        sources = sources if listed is None else listed
        for line in config_files.lines(text):
            if match := _DELETES_KEYS.match(line):
                deletes = match[1].lower() not in _NO
    return FirstBoot(agents=tuple(agents), data_sources=sources,
                     deletes_host_keys=deletes)


def configuration(files: _files.Files) -> Iterator[str]:
    """The texts of cloud-init's configuration; the last one counts."""
    for path in (_CONFIG, *config_files.below(
            files, _CONFIG_FOLDERS, '.cfg')):
        yield config_files.read(files, path)


def _listed(text: str) -> tuple[str, ...] | None:
    """The last list of data sources in a file of YAML, in either style."""
    lines = list(config_files.lines(text))
    number = next((number for number in reversed(range(len(lines)))
                   if lines[number].startswith(_LIST)), None)
    if number is None:
        return None
    written = lines[number][len(_LIST):].lstrip(' \t:').partition('#')[0]
    following = lines[number + 1:number + 1 + _MOST_LIST]
    if not written.strip():
        written = ' '.join(_items(following))
    elif written.startswith('[') and ']' not in written:
        written += ' '.join(line.partition('#')[0] for line in following)
    return tuple(_NAME.findall(written.partition(']')[0][:_LIST_BYTES]))


def _items(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith('-'):
            return
        yield line[1:].partition('#')[0]
