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

"""The commands of OpenStack's client that do what an upload does."""

from collections.abc import Iterator
import shlex

from ironic_imagedeploy.cmd.images import metadata
from ironic_imagedeploy.cmd.images import plan as plans
from ironic_imagedeploy.cmd import output_files

_ID = '-f value -c id'


def lines(plan: plans.Plan, source: str, cloud: str | None) -> Iterator[str]:
    """Commands for a shell, each on a line.

    :param source: path of the image.
    :param cloud: name in clouds.yaml.
    """
    client = _client(cloud)
    for file in plan.boot_files:
        yield (f'{file.role}_id=$({client} image create '
               f'{_create(file.metadata, file.path)} {_ID})')
    beside = ''.join(f' --property {file.role}_id="${file.role}_id"'
                     for file in plan.boot_files)
    create = (f'{client} image create {_create(plan.disk, source)}{beside}')
    if plan.manifest is None:
        yield create
        return
    name = shlex.quote(plan.manifest.name)
    yield f'ironic-imagedeploy manifest {_path(source)} -o {name}'
    yield (f'manifest_id=$({client} image create '
           f'{_create(plan.manifest, plan.manifest.name)} {_ID})')
    yield f'{create} --property {metadata.MANIFEST}="$manifest_id"'


def image_set(identifier: str, arguments: str, cloud: str | None) -> str:
    """The command that changes an image.

    :param arguments: as a shell takes them.
    """
    return f'{_client(cloud)} image set {arguments} {shlex.quote(identifier)}'


def _client(cloud: str | None) -> str:
    return 'openstack' + (f' --os-cloud {shlex.quote(cloud)}' if cloud
                          else '')


def _create(values: metadata.Metadata, path: str) -> str:
    words = ['--disk-format', values.disk_format,
             '--container-format', values.container_format]
    if values.min_disk:
        words += ['--min-disk', str(values.min_disk)]
    if values.visibility:
        words.append(f'--{values.visibility}')
    for name, value in values.properties.items():
        words += ['--property', f'{name}={value}']
    return f'{shlex.join(words)} --file {_path(path)} ' + shlex.quote(
        values.name)


def _path(location: str) -> str:
    path = output_files.local_path(location)
    # Nothing that begins like an option is a file.
    return shlex.quote(f'./{path}' if path.startswith('-') else path)
