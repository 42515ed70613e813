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

"""Contents of an image as JSON values.

Text from the image is printable and bounded. Kernel options and options of
mounts may have a password in them, and are left out.
"""

from collections.abc import Callable
import typing

from ironic_imagedeploy.engine.contents.system import contents as _contents
from ironic_imagedeploy.engine.contents.system import fstab
from ironic_imagedeploy.engine.contents.system import installed_kernels
from ironic_imagedeploy.engine.contents.system import unified_kernels
from ironic_imagedeploy.engine.contents.system import volumes as _volumes
from ironic_imagedeploy.engine import text

Values = dict[str, typing.Any]


def to_dict(contents: _contents.Contents) -> Values:
    """The contents; null for what could not be told."""
    first_boot, network = contents.first_boot, contents.network
    system = contents.system
    return {
        'system': system and {
            'id': _shown(system.id), 'version': _shown(system.version),
            'name': _shown(system.name)},
        'root': contents.root and {
            'partition': contents.root.number,
            'logical_volume': _logical(contents.root),
            'file_system': contents.root.kind,
            'named': _all_shown(contents.root_names)},
        'kernels': _listed(contents.kernels, _kernel),
        'unified_kernels': _listed(contents.unified_kernels, _unified),
        'loaders': _listed(contents.loaders, _shown),
        'consoles': (None if contents.command_lines is None
                     else _all_shown(contents.consoles)),
        'fstab': _listed(contents.table, _mount),
        'first_boot': first_boot and {
            'agents': list(first_boot.agents),
            'data_sources': _listed(first_boot.data_sources, _shown)},
        'network': network and {'kinds': list(network.kinds),
                                'pinned': _all_shown(network.pinned)},
        'left': contents.leftovers and {
            'host_keys': _all_shown(contents.leftovers.host_keys),
            'machine_id': contents.leftovers.machine_id,
            'seeds': _all_shown(contents.leftovers.seeds),
            'leases': _all_shown(contents.leftovers.leases),
            'histories': _all_shown(contents.leftovers.histories)},
        'can_log_in': contents.can_log_in,
        'growth': _listed(contents.growth, _shown),
        'volumes': [_volume(volume) for volume in contents.volumes],
        'unread': _all_shown(contents.unread)}


def _kernel(kernel: installed_kernels.InstalledKernel) -> Values:
    return {'version': _shown(kernel.version), 'arch': kernel.arch,
            'path': _shown(kernel.path),
            'initramfs': _shown(kernel.initramfs) or None,
            'modules': _shown(kernel.modules) or None,
            'drivers': (None if kernel.drivers is None
                        else len(kernel.drivers))}


def _unified(kernel: unified_kernels.UnifiedKernel) -> Values:
    return {'path': _shown(kernel.path), 'version': _shown(kernel.version),
            'arch': kernel.arch}


def _mount(mount: fstab.Mount) -> Values:
    # Other devices may be servers, with a name and a password.
    is_device = mount.device.tag or mount.device.name.startswith('/dev/')
    return {'device': _shown(mount.device.name) if is_device else None,
            'mount_point': _shown(mount.point), 'type': _shown(mount.kind)}


def _logical(volume: _volumes.Volume) -> str | None:
    return _shown('/'.join(volume.logical)) or None


def _volume(volume: _volumes.Volume) -> Values:
    return {'partition': volume.number, 'size': volume.length,
            'logical_volume': _logical(volume),
            'file_system': volume.kind, 'uuid': volume.uuid or None,
            'label': _shown(volume.label) or None}


def _listed(values: tuple[typing.Any, ...] | None,
            shown: Callable[[typing.Any], typing.Any]
            ) -> list[typing.Any] | None:
    return None if values is None else [shown(value) for value in values]


def _all_shown(values: tuple[str, ...]) -> list[str]:
    return [_shown(value) for value in values]


def _shown(value: str) -> str:
    return text.bounded(value)
