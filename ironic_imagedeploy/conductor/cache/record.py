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

"""Records of images, kept beside their files."""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import typing

from oslo_utils import fileutils

from ironic_imagedeploy.conductor.cache import manifests
from ironic_imagedeploy import engine

_MOST_VERDICTS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """Result of an inspection, in values that can be kept.

    :ivar name: of the image, without secrets.
    :ivar format: by signature.
    :ivar virtual_size: bytes of the disk in it; None when not known.
    :ivar findings: errors and warnings.
    :ivar has_kernel: a partition image has a kernel of its own; None when
        that is not known.
    :ivar start_judged: it was looked at how the system in it starts.
    """

    name: str
    format: str | None = None
    virtual_size: int | None = None
    findings: tuple[engine.Finding, ...] = ()
    has_kernel: bool | None = None
    start_judged: bool = False

    @classmethod
    def of(cls, inspection: engine.Inspection) -> 'Verdict':
        """Verdict of an inspection."""
        return cls(name=inspection.source.name, format=inspection.format,
                   virtual_size=inspection.virtual_size,
                   findings=tuple(inspection.findings),
                   has_kernel=inspection.has_kernel,
                   start_judged=inspection.start_judged)

    @classmethod
    def from_dict(cls, kept: dict[str, typing.Any]) -> 'Verdict':
        """Verdict that :meth:`to_dict` gave.

        :raises KeyError, TypeError, ValueError: when it is something else.
        """
        findings = tuple(map(engine.Finding.from_dict, kept['findings']))
        return cls(**{**kept, 'findings': findings})

    def to_dict(self) -> dict[str, typing.Any]:
        """The verdict as JSON values."""
        return {'name': self.name, 'format': self.format,
                'virtual_size': self.virtual_size,
                'has_kernel': self.has_kernel,
                'start_judged': self.start_judged,
                'findings': [each.to_dict() for each in self.findings]}

    @property
    def errors(self) -> tuple[engine.Finding, ...]:
        """The findings that refuse the image."""
        return tuple(each for each in self.findings
                     if each.severity is engine.Severity.ERROR)


@dataclasses.dataclass(kw_only=True)
class Record:
    """Record of the bytes of one file.

    :ivar identity: device, inode, size in bytes and time of the last change
        in nanoseconds, of the file that this is about. Not the time of the
        inode's change: each hard link alters that.
    :ivar read_at: when the file was read as a whole, in seconds since 1970.
    :ivar checksums: algorithm to value of the whole file.
    :ivar manifest: of the file, beside it; None when it has none.
    :ivar disk_manifest: of the disk in the file, beside it, too.
    :ivar needs_disk_manifest: without one nobody can tell what of the image
        is on a disk; None when that was not looked at.
    :ivar verdicts: inspections by what they depend on beside the bytes.
    """

    identity: tuple[int, ...]
    read_at: float
    checksums: dict[str, str]
    manifest: manifests.KeptManifest | None = None
    disk_manifest: manifests.KeptManifest | None = None
    needs_disk_manifest: bool | None = None
    verdicts: dict[str, Verdict] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> 'Record | None':
        """Record in a file; None without a readable one."""
        try:
            with open(path, encoding='utf-8') as file:
                kept = json.load(file)
            return cls(
                identity=tuple(kept['identity']),
                read_at=float(kept['read_at']),
                checksums=dict(kept['checksums']),
                manifest=_named(kept.get('manifest')),
                disk_manifest=_named(kept.get('disk_manifest')),
                needs_disk_manifest=kept.get('needs_disk_manifest'),
                verdicts={key: Verdict.from_dict(value)
                          for key, value in kept['verdicts'].items()})
        except (OSError, AttributeError, KeyError, TypeError, ValueError):
            return None

    def save(self, path: str, part: str) -> None:
        """Keep the record in a file, at once or not at all.

        :param path: the file.
        :param part: a file beside it to write first.
        """
        for key in list(self.verdicts)[:-_MOST_VERDICTS]:
            del self.verdicts[key]
        kept = {'identity': list(self.identity), 'read_at': self.read_at,
                'checksums': self.checksums,
                'manifest': self.manifest and self.manifest.to_dict(),
                'disk_manifest': (self.disk_manifest
                                  and self.disk_manifest.to_dict()),
                'needs_disk_manifest': self.needs_disk_manifest,
                'verdicts': {key: value.to_dict()
                             for key, value in self.verdicts.items()}}
        with fileutils.remove_path_on_error(part):
            with open(part, 'w', encoding='utf-8') as file:
                json.dump(kept, file)
            os.replace(part, path)

    def is_about(self, path: str) -> bool:
        """Whether the file is the one that was read, as it was then."""
        return self.identity == identity(path)


def _named(kept: dict[str, typing.Any] | None
           ) -> manifests.KeptManifest | None:
    return manifests.KeptManifest.from_dict(kept) if kept else None


def identity(path: str) -> tuple[int, ...]:
    """Values that change when a file is written; empty without one."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def size(path: str) -> int | None:
    """Bytes in the file; None without one."""
    return next(iter(identity(path)[2:3]), None)


def verdict_key(expectation: engine.Expectation) -> str:
    """Key of a verdict: all that it depends on but the bytes."""
    return hashlib.sha256(
        f'{_version()} {expectation!r}'.encode()).hexdigest()


@functools.cache
def _version() -> str:
    """Version of the code that runs, whatever is installed meanwhile."""
    return importlib.metadata.version('ironic-imagedeploy')
