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


"""The command that puts an image into Glance."""

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import hashlib
import time
import typing
import uuid

from ironic_imagedeploy.cmd import boot_files
from ironic_imagedeploy.cmd import console
from ironic_imagedeploy.cmd.images import inspected
from ironic_imagedeploy.cmd.images import metadata
from ironic_imagedeploy.cmd.images import openstack_commands
from ironic_imagedeploy.cmd.images import plan as plans
from ironic_imagedeploy.cmd.images import sending
from ironic_imagedeploy.cmd.images import service as services
from ironic_imagedeploy.cmd.images import summary
from ironic_imagedeploy.cmd import progress_bar
from ironic_imagedeploy.cmd import retries
from ironic_imagedeploy.cmd import sources
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest_builder

#: Other images it takes of one project only.
_SEEN_BY_IRONIC = ('public', 'community')


def upload(args: argparse.Namespace) -> int:
    """Check an image, then put it into Glance, with all that belongs to it."""
    plans.check_usage(args)
    began = time.monotonic()
    beside = boot_files.BootFiles.inspect(args)
    with sources.open_source(args) as source:
        glance = None if args.print else services.ImageService(args.os_cloud)
        # What could not start is refused when it is told what it shall be.
        args.image_type = args.image_type or inspected.look(
            source, args, beside=beside, contents=False).image_type
        inspection = inspected.look(source, args, beside=beside)
        inspection.raise_if_refused()
        plan = plans.make(args, inspection)
        if glance is None:
            console.show(f'{line}\n' for line in openstack_commands.lines(
                plan, args.source, args.os_cloud))
            return 0
        for finding in inspection.findings:
            console.say(f'{finding.severity}: {finding}')
        with (retries.display(args) as display,
              _all_or_nothing(glance) as made):
            result = _Upload(glance, made, display).run(
                plan, source, inspection)
    if args.visibility not in _SEEN_BY_IRONIC:
        console.say('note: Ironic deploys an image that is public or '
                    'community: openstack image set --community '
                    f'{result["image"]}')
    result['seconds'] = round(time.monotonic() - began, 3)
    console.show([console.to_json(result)] if args.json else
                 (f'{line}\n' for line in summary.upload(
                     result, source.name)))
    return 0


class _Upload:
    """An upload, whose images are noted before they are made.

    :param made: identifiers and names of all images so far.
    """

    def __init__(self, glance: services.ImageService, made: dict[str, str],
                 display: progress_bar.Display) -> None:
        self._glance = glance
        self._made = made
        self._display = display

    def run(self, plan: plans.Plan, source: engine.Source,
            inspection: engine.Inspection) -> dict[str, typing.Any]:
        """Make all images of the plan.

        :param inspection: of the image, whose bytes must agree with it.
        :returns: what was made, as JSON values.
        """
        boot_files = {file.role: self._boot_file(file)
                      for file in plan.boot_files}
        disk = plan.disk.extended(**{
            f'{role}_id': identifier
            for role, identifier in boot_files.items()})
        with contextlib.ExitStack() as stack:
            builder = stack.enter_context(manifest_builder.Builder(
                source.size)) if plan.manifest else None
            body = sending.Body(
                source, self._display, inspection.expectation.checksum,
                builder, inspection)
            identifier, checksum = self._send(disk, source, body)
            manifest = (self._manifest(plan.manifest, body, identifier)
                        if plan.manifest else None)
        if manifest:
            disk = disk.extended(**{metadata.MANIFEST: manifest['image']})
        return {
            'image': identifier, 'name': disk.name,
            'disk_format': disk.disk_format,
            'container_format': disk.container_format,
            'min_disk': disk.min_disk, 'properties': dict(disk.properties),
            'kernel': boot_files.get('kernel'),
            'ramdisk': boot_files.get('ramdisk'), 'manifest': manifest,
            'size': source.size,
            'checksum': {'algorithm': checksum.algorithm,
                         'value': checksum.value}}

    def _boot_file(self, file: plans.BootFile) -> str:
        with engine.open_source(file.path) as source:
            body = sending.Body(source, self._display)
            return self._send(file.metadata, source, body)[0]

    def _manifest(self, values: metadata.Metadata, body: sending.Body,
                  disk: str) -> dict[str, str]:
        """Put the manifest beside its image, which then names it."""
        made = body.manifest()
        content = made.encode()
        identifier = self._create(values)
        self._glance.send(identifier, content)
        _check(self._glance.show(identifier), len(content),
               lambda algorithm: engine.Checksum(
                   algorithm, hashlib.new(algorithm, content).hexdigest()),
               values.name)
        self._glance.change(disk, [{'op': 'add', 'value': identifier,
                                    'path': f'/{metadata.MANIFEST}'}])
        return {'image': identifier, 'root': made.root}

    def _send(self, values: metadata.Metadata, source: engine.Source,
              body: sending.Body) -> tuple[str, engine.Checksum]:
        """Identifier of a new image, and its checksum as Glance has it."""
        identifier = self._create(values)
        self._glance.send(identifier, body)

        def computed(algorithm: str) -> engine.Checksum:
            known = body.checksum
            return (known if known.algorithm == algorithm
                    else sending.checksum(source, algorithm))

        return identifier, _check(self._glance.show(identifier), source.size,
                                  computed, values.name)

    def _create(self, values: metadata.Metadata) -> str:
        identifier = str(uuid.uuid4())
        self._made[identifier] = values.name
        self._glance.create(identifier, values.to_dict())
        return identifier


def _check(record: Mapping[str, typing.Any], size: int,
           computed: Callable[[str], engine.Checksum], name: str
           ) -> engine.Checksum:
    """The checksum of an image, which Glance and we agree on.

    :param computed: gives ours, by an algorithm.
    :raises VerificationError: when Glance has something else.
    """
    algorithm, value = record.get('os_hash_algo'), record.get('os_hash_value')
    found = f'{record.get("size")} bytes, status {record.get("status")}'
    if record.get('status') != 'active' or record.get('size') != size:
        raise engine.exceptions.VerificationError(
            name, expected=f'{size} bytes, status active', found=found,
            fix='Upload the image again.')
    try:
        stored = engine.Checksum(str(algorithm), str(value))
    except ValueError:
        raise engine.exceptions.VerificationError(
            name, expected='os_hash_algo and os_hash_value, which Ironic '
            'takes, too', found='no usable checksum in Glance',
            fix='Check the option hashing_algorithm of Glance.') from None
    computed(stored.algorithm).check(name, stored.value)
    return stored


@contextlib.contextmanager
def _all_or_nothing(glance: services.ImageService
                    ) -> Iterator[dict[str, str]]:
    """Delete what was made when anything goes wrong, and say what is left.

    Of an image whose creation failed nobody knows whether it is there.
    """
    made: dict[str, str] = {}
    try:
        yield made
    except BaseException as error:
        left = []
        for identifier, name in reversed(made.items()):
            try:
                glance.delete(identifier)
            except Exception as failure:
                left.append(f'{name} is left in Glance, since it could not '
                            f'be deleted ({_reason(failure)}): openstack '
                            f'image delete {identifier}')
        error.add_note('; '.join(left) or 'nothing is left of it in Glance')
        raise


def _reason(failure: Exception) -> str:
    return getattr(failure, 'found', '') or type(failure).__name__
