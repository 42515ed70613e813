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


"""An image that a command takes, if it may be deployed."""

import argparse
import typing

from ironic_imagedeploy.cmd import boot_files
from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import choices

#: Options of a command that say what the image must be.
_STATED = ('disk_format', 'image_type', 'checksum', 'boot_mode', 'arch')
_NONE = boot_files.BootFiles({})


def look(source: engine.Source, args: argparse.Namespace, *,
         beside: boot_files.BootFiles = _NONE, contents: bool = True
         ) -> engine.Inspection:
    """The inspection of an image, with remedies for the command line.

    :param beside: a kernel and an initramfs that come with it.
    :param contents: look at the system in it, too.
    :raises SourceError: when it cannot be read.
    """
    stated: dict[str, typing.Any] = {
        name: getattr(args, name, None) for name in _STATED}
    return beside.judged_with(remedies.with_remedies(engine.inspect(
        source, beside.expected(engine.Expectation(
            permitted=(*choices.PERMITTED_FORMATS, *args.permit),
            contents=contents, **stated)),
        engine.Budget.before_write()), source.name, args))
