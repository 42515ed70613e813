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

"""The errors of the engine.

::

    ImageDeployError                exit status 1
     |- OutOfMemory
     |- SourceError                                3
     |   |- SourceNotFound
     |   |- SourceTruncated
     |   |   `- ConnectionDropped     (Retriable)
     |   |- SourceChanged
     |   |- SourceTimeout             (Retriable)
     |   |- SourceTooSlow
     |   |- TlsTooOld
     |   |- SourceUnavailable         (Retriable)
     |   |   `- SourceUnreachable
     |   `- SourceNotSeekable
     |- ImageRefused                               4
     |- BadContent                                 4
     |- UnreadableContent                          4
     |- TooComplex                                 4
     |   `- TooFragmented
     |- TargetError                                5
     |   |- TargetBusy
     |   |- TargetReadOnly
     |   |- TargetUnreadable
     |   |- TargetTooSmall
     |   |- TargetMayBoot
     |   `- SectorSizeMismatch
     `- VerificationError                          6
         |- ChecksumMismatch
         |- ChunkMismatch
         |- InvalidBmap
         |- InvalidManifest
         |- InvalidSignature
         |- ReadBackMismatch
         `- TargetDiffers

Every error says what it is about, what was expected, what was found and
what to do; none of them holds a secret, and what came from outside is
printable and bounded.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import typing

from ironic_imagedeploy.engine import findings as _findings
from ironic_imagedeploy.engine import text


class ImageDeployError(Exception):
    """Base of all errors that the engine raises on purpose.

    :ivar subject: the source or target that the error is about.
    :ivar expected: what was expected.
    :ivar found: what was found.
    :ivar fix: what to do about it.
    :ivar retry: when another attempt may succeed, in the words of findings:
        ``never`` (not before somebody mends something), ``later`` or
        ``elsewhere``.
    """

    exit_status: typing.ClassVar[int] = 1
    retry: str = 'never'
    summary: typing.ClassVar[str] = 'the image could not be deployed'

    def __init__(self, subject: str, *, expected: str, found: str,
                 fix: str) -> None:
        self.subject = text.bounded(subject)
        self.expected = text.bounded(expected)
        self.found = text.bounded(found)
        self.fix = text.printable(fix)
        super().__init__(
            f'{self.subject}: {self.summary}: expected {self.expected}, '
            f'found {self.found}. {self.fix}'.rstrip())


class Retriable(Exception):
    """Mixin of the errors that may pass: the next attempt may succeed.

    :ivar retry_after: seconds that the other side asked to wait.
    """

    retry_after: float = 0.0


class OutOfMemory(ImageDeployError):
    """Memory was refused by the system."""

    retry = 'later'
    summary = 'memory ran out'

    @classmethod
    def here(cls) -> 'OutOfMemory':
        """The error for a MemoryError, which tells nothing."""
        return cls('this machine', expected='128 MiB that are free',
                   found='less', fix='Try again when other programs take '
                   'less, or with more memory.')


class SourceError(ImageDeployError):
    """The image cannot be read."""

    exit_status = 3
    summary = 'the image cannot be read'


class SourceNotFound(SourceError):
    """There is nothing at the image's location."""

    summary = 'the image was not found'


class SourceTruncated(SourceError):
    """The image ended before its announced size."""

    summary = 'the image is shorter than announced'


class ConnectionDropped(SourceTruncated, Retriable):
    """The connection ended before the bytes that it was to bring."""

    retry = 'later'
    summary = 'the connection ended early'


class SourceChanged(SourceError):
    """The image is not the one that was looked at first."""

    retry = 'later'
    summary = 'the image changed while it was read'


class SourceTimeout(SourceError, Retriable):
    """The source stopped answering."""

    retry = 'later'
    summary = 'the source stopped answering'


class SourceTooSlow(SourceError):
    """The source answers, but slower than is allowed."""

    retry = 'later'
    summary = 'the source is too slow'


class SourceUnavailable(SourceError, Retriable):
    """The source cannot be reached, or says that it cannot answer now."""

    retry = 'later'
    summary = 'the image cannot be read now'


class SourceUnreachable(SourceUnavailable):
    """Nobody answers at the address as a web server does."""

    summary = 'the server of the image cannot be reached'


class TlsTooOld(SourceError):
    """The server offers only older versions of TLS than are accepted."""

    summary = "the server's versions of TLS are too old"


class SourceNotSeekable(SourceError):
    """The source gives bytes in order only, and they are not enough."""

    summary = 'the source cannot be read at random offsets'


class ImageRefused(ImageDeployError):
    """The image must not be written, for the reasons in its findings.

    :ivar findings: the findings of severity ``error``.
    """

    exit_status = 4
    summary = 'the image is refused'

    def __init__(self, subject: str,
                 findings: Sequence[_findings.Finding]) -> None:
        self.findings = tuple(findings)
        first = self.findings[0]
        super().__init__(subject, expected=first.expected,
                         found=first.found, fix=first.fix)

    def __str__(self) -> str:
        reasons = ' '.join(str(finding) for finding in self.findings)
        return f'{self.subject}: {self.summary}: {reasons}'


class BadContent(ImageDeployError):
    """A table or a file system on the disk that nobody could use.

    Readers of contents raise it, and an inspection makes a finding of it.

    :ivar code: of that finding, ``corrupt`` or ``truncated``.
    :ivar fix: what to do about it; empty when it is the usual.
    """

    exit_status = 4
    summary = 'the content of the disk cannot be right'

    def __init__(self, code: str, expected: str, found: str,
                 fix: str = '') -> None:
        self.code = code
        super().__init__('image', expected=expected, found=found, fix=fix)


class UnreadableContent(ImageDeployError):
    """A file system that cannot be looked into, good as it may be.

    It has a feature that is not known here, is damaged, or is too large to
    be looked at.
    """

    exit_status = 4
    summary = 'the content of the disk cannot be told'

    def __init__(self, found: str) -> None:
        super().__init__('image', expected='content that is known', fix='',
                         found=found)

    def __str__(self) -> str:
        return self.found


class TooComplex(ImageDeployError):
    """A look at the image would take more work than any look may take.

    :ivar code: of the finding that an inspection makes of it.
    """

    exit_status = 4
    summary = 'the image takes too much work to be looked at'
    code: typing.ClassVar[str] = 'too-complex'

    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__('image', expected=expected, found=found, fix='')


class TooFragmented(TooComplex):
    """An image in more pieces than the memory is bounded for."""

    summary = 'the image is in too many pieces'
    code = 'too-fragmented'


class TargetError(ImageDeployError):
    """The target cannot be written."""

    retry = 'elsewhere'
    exit_status = 5
    summary = 'the target cannot be written'


class TargetBusy(TargetError):
    """Somebody else uses the target."""

    summary = 'the target is in use'


class TargetReadOnly(TargetError):
    """The target is write-protected."""

    summary = 'the target is read-only'


class TargetUnreadable(TargetError):
    """The target, of which nothing is written, cannot be read."""

    summary = 'the target cannot be read'


class TargetTooSmall(TargetError):
    """The image does not fit on the target."""

    summary = 'the target is too small'


class TargetMayBoot(TargetError):
    """The ends of the target could not be wiped."""

    summary = 'the disk could not be wiped and MAY BOOT'

    @classmethod
    def after(cls, failures: Iterable[BaseException], *, subject: str,
              cause: BaseException | None = None) -> typing.Self:
        """The error for ends that could not be wiped.

        :param failures: what went wrong while they were wiped.
        :param subject: the disk.
        :param cause: the error that they were to be wiped for. It comes
            first: a disk that fails gives many reasons, and the end of a
            long text is cut off.
        """
        found = '; '.join(map(_reason, failures))
        if cause is not None:
            found = (f'{str(cause) or type(cause).__name__}; and, when it was '
                     f'wiped: {found}')
        return cls(
            subject, expected='zeroes in its first and its last MiB',
            found=found, fix='Do not start the machine from this disk: wipe '
            'it by other means, or replace it, before that.')


def _reason(failure: BaseException) -> str:
    if isinstance(failure, TargetMayBoot):
        return failure.found
    if isinstance(failure, ImageDeployError):
        return f'{failure.found} instead of {failure.expected}'
    return type(failure).__name__


class SectorSizeMismatch(TargetError):
    """The image was made for another sector size."""

    summary = "the target's sectors have another size"


class VerificationError(ImageDeployError):
    """Bytes that were written are not what they should be."""

    exit_status = 6
    summary = 'the verification failed'


class ChecksumMismatch(VerificationError):
    """The bytes of the image do not have the expected checksum."""

    summary = 'the checksum does not match'


class ChunkMismatch(VerificationError):
    """A chunk of the image is not the one that its manifest names."""

    summary = 'a chunk is not that of the manifest'


class InvalidBmap(VerificationError):
    """The block map is not one, or not that of the disk."""

    summary = 'the block map cannot be used'


class InvalidManifest(VerificationError):
    """The manifest is not one, or not that of the image."""

    summary = 'the manifest cannot be used'


class InvalidSignature(VerificationError):
    """The signature is not a good one by the trusted key."""

    summary = 'the signature cannot be trusted'


class ReadBackMismatch(VerificationError):
    """The target gives back other bytes than the image's."""

    retry = 'elsewhere'
    summary = 'the target does not hold what was written'


class TargetDiffers(VerificationError):
    """The target, of which nothing was written, does not hold the image."""

    summary = 'the target does not hold the image'
