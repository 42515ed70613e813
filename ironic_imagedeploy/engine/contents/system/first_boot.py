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
#: It settles the data sources before cloud-init starts.
_IDENTIFIERS = ('usr/lib/cloud-init/ds-identify',
                'usr/libexec/cloud-init/ds-identify')
_IDENTIFIER_CONFIG = 'etc/cloud/ds-identify.cfg'
_NAMED = re.compile(r'datasource\s*:\s*["\']?([A-Za-z0-9]+)')
_NAMING_OPTIONS = frozenset({'ds', 'ci.ds', 'ci.datasource'})
_UNITS = 'etc/systemd/system'
#: Units without which cloud-init does nothing, whatever others do.
_NEEDED = ('cloud-init.target', 'cloud-init-main.service',
           'cloud-init-network.service')
#: The old name of the last of them.
_OLD_UNIT = 'cloud-init.service'
_UNIT_FOLDERS = ('usr/lib/systemd/system', 'lib/systemd/system')
_LIST = re.compile(r'datasource_list\s*:')
#: The same in a mapping of YAML's flow style, as in JSON.
_FLOW_LIST = re.compile(
    r'(?:\{(?:.*,)?\s*)?(["\']?)datasource_list\1\s*:')
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

    :param options: of the kernel.
    :raises UnreadableContent: when it cannot be told.
    """
    for store in _STORES:
        if files.exists(store):
            raise exceptions.UnreadableContent(f'programs in /{store}')
    agents = [name for name, paths in _AGENTS.items()
              if any(map(files.exists, paths))]
    if CLOUD_INIT in agents and (
            'cloud-init=disabled' in options or files.exists(_DISABLED)
            or _is_masked(files)):
        agents.remove(CLOUD_INIT)
    if CLOUD_INIT not in agents:
        return FirstBoot(agents=tuple(agents))
    is_identified = any(map(files.exists, _IDENTIFIERS))
    named = _named(files, options) if is_identified else None
    sources: tuple[str, ...] | None = None
    deletes = True
    for text in configuration(files):
        # The last one counts. ds-identify, whose choice overrides those of
        # all files, reads no flow style.
        listed = _listed(text, _LIST if is_identified else _FLOW_LIST)
        sources = sources if listed is None else listed
        for line in config_files.lines(text):
            if match := _DELETES_KEYS.match(line):
                deletes = match[1].lower() not in _NO
    return FirstBoot(
        agents=tuple(agents), deletes_host_keys=deletes,
        data_sources=(named,) if named else sources)


def configuration(files: _files.Files) -> Iterator[str]:
    """The texts of cloud-init's configuration; the last one counts."""
    for path in (_CONFIG, *config_files.below(
            files, _CONFIG_FOLDERS, '.cfg')):
        yield config_files.read(files, path)


def _is_masked(files: _files.Files) -> bool:
    """Whether systemd is told to leave cloud-init alone."""
    masked = {name for name in (*_NEEDED, _OLD_UNIT)
              if config_files.is_masked(files, _UNITS, name)}
    if masked == {_OLD_UNIT}:
        return not any(files.exists(f'{folder}/{_NEEDED[-1]}')
                       for folder in _UNIT_FOLDERS)
    return bool(masked)


def _named(files: _files.Files, options: tuple[str, ...]) -> str | None:
    """The one data source that ds-identify is told to take."""
    name = None
    for line in config_files.lines(
            config_files.read(files, _IDENTIFIER_CONFIG)):
        if match := _NAMED.match(line):
            name = match[1]
    for option in options:
        key, _, value = option.partition('=')
        if key in _NAMING_OPTIONS:
            match = _NAME.match(value)
            name = match[0] if match else None
    return name


def _listed(text: str, start: re.Pattern[str]) -> tuple[str, ...] | None:
    """The last list of data sources in a file of YAML, in either style."""
    lines = list(config_files.lines(text))
    number, match = next((
        (number, match) for number in reversed(range(len(lines)))
        if (match := start.match(lines[number]))), (0, None))
    if match is None:
        return None
    written = lines[number][match.end():].lstrip().partition('#')[0]
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
