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

"""A kernel and an initramfs that come beside a partition image."""

import argparse
from collections.abc import Iterator
import dataclasses
import typing

from ironic_imagedeploy.cmd import remedies
from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

#: Options that name them, by the types of such files.
ROLES = ('kernel', 'ramdisk')
_LABELS = {'kernel': 'kernel', 'ramdisk': 'initramfs'}


@dataclasses.dataclass(frozen=True)
class BootFiles:
    """Inspections of both, by their types; none where none is named."""

    inspections: dict[str, engine.Inspection]

    @classmethod
    def inspect(cls, args: argparse.Namespace) -> 'BootFiles':
        """Look at those that the options name.

        :raises SourceError: when one cannot be read.
        """
        stated = {role: getattr(args, role) for role in ROLES}
        if not any(stated.values()):
            return cls({})
        if not all(stated.values()):
            args.parser.error('--kernel and --ramdisk go together')
        if args.image_type in ROLES:
            args.parser.error('--kernel and --ramdisk come beside an image')
        found = {}
        for role, path in stated.items():
            with engine.open_source(path) as source:
                found[role] = remedies.with_remedies(engine.inspect(
                    source, engine.Expectation(
                        image_type=role, arch=args.arch, contents=True),
                    engine.Budget.before_write()), path, args)
        return cls(found)

    def expected(self, expectation: engine.Expectation) -> engine.Expectation:
        """The expectation of the image that they come with."""
        if not self.inspections:
            return expectation
        return dataclasses.replace(
            expectation, has_kernel=True,
            kernel_version=self.inspections['kernel'].kernel_version)

    def judged_with(self, inspection: engine.Inspection) -> engine.Inspection:
        """The inspection of the image, with what was found about them."""
        return dataclasses.replace(inspection, findings=(
            *inspection.findings, *(
                finding for each in self.inspections.values()
                for finding in each.findings)))

    def rows(self) -> Iterator[tuple[str, str]]:
        """Labels and values of both, for people."""
        for role, each in self.inspections.items():
            words = (each.format, each.compression, each.kernel_version,
                     text.size(each.stored_size))
            yield _LABELS[role], text.printable(', '.join(filter(None, words)))

    def to_dict(self) -> dict[str, typing.Any] | None:
        """Both files as JSON values."""
        return {role: {'format': each.format, 'compression': each.compression,
                       'size': each.stored_size,
                       'version': each.kernel_version}
                for role, each in self.inspections.items()} or None
