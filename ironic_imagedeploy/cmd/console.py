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

"""The edge of a command: output, signals, errors and exit statuses."""

import argparse
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import json
import logging
import os
import pathlib
import signal
import sys
import traceback
import types
import typing

from ironic_imagedeploy.cmd import text
from ironic_imagedeploy import engine

EXIT_BUG = 1
#: Standard output as a file. What a shell opened for it is not replaced.
STDOUT = pathlib.Path('/dev/stdout')
_OURS = 'ironic_imagedeploy'
#: Log of the chunks that were wrong. The report counts them, and the error
#: says of one that nobody had right.
_CHUNKS = 'ironic_imagedeploy.engine.sources.chunked'
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked to stop; no ``except Exception`` may catch it.

    :ivar number: the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def run(command: Callable[[argparse.Namespace], int],
        args: argparse.Namespace) -> int:
    """The exit status of a command, with one sentence about its failure."""
    _replace_closed_streams()
    _log(args.debug)
    try:
        with _interruptible():
            return command(args)
    except Interrupted as stop:
        _fail(args, f'stopped by {stop}', stop)
        return 128 + stop.number
    except engine.exceptions.ImageDeployError as error:
        _fail(args, str(error), error, status=error.exit_status)
        return error.exit_status
    except MemoryError:
        shortage = engine.exceptions.OutOfMemory.here()
        _fail(args, str(shortage), shortage, status=shortage.exit_status)
        return shortage.exit_status
    except Exception as error:
        _fail(args, 'sorry, this is a bug of this program '
              f'({type(error).__name__}); --debug shows where', error,
              status=EXIT_BUG)
        return EXIT_BUG


def show(pieces: Iterable[str]) -> None:
    """Print on standard output; a reader that went away is not an error.

    :raises TargetError: when it cannot be printed.
    """
    try:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise _not_printed(error) from error


def say(words: str) -> None:
    """Print a line on standard error."""
    with contextlib.suppress(OSError):
        print(f'ironic-imagedeploy: {text.printable(words)}',
              file=sys.stderr, flush=True)


def show_error(words: str, status: int) -> None:
    """Print what tells of a wrong usage in JSON, if it can be printed."""
    _replace_closed_streams()
    _show_failure(_failure(words, status))


def new_file(words: str) -> pathlib.Path:
    """Path of a file that can be made; found out before hours of work.

    :returns: :data:`STDOUT` for standard output, whatever that is.
    :raises ValueError: when it cannot.
    """
    if words == '-' or _is_standard(words, sys.stdout):
        return STDOUT
    if _is_standard(words, sys.stderr):
        raise ValueError(f'cannot write {words!r}: expected another file '
                         'than that of standard error')
    # What a link names is replaced, not the link.
    path = pathlib.Path(words).resolve()
    if (path.exists() and not path.is_file()
            or not os.access(path.parent, os.W_OK | os.X_OK)):
        raise ValueError(
            f'cannot write {words!r}: expected a regular file in a directory '
            'that exists and can be written')
    return path


def _is_standard(words: str, stream: typing.TextIO) -> bool:
    """Whether a file is the one that a standard stream goes to."""
    try:
        return os.path.samestat(os.stat(words), os.fstat(stream.fileno()))
    except (OSError, ValueError, AttributeError):
        return False


def save(path: pathlib.Path, content: str | bytes) -> None:
    """Write a file: the whole of it or nothing.

    :param path: :data:`STDOUT` for standard output, where it is printed.
    :raises TargetError: when it cannot be written.
    """
    if path == STDOUT:
        show([content.decode() if isinstance(content, bytes) else content])
        return
    part = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        try:
            part.write_bytes(content if isinstance(content, bytes)
                             else content.encode())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise engine.exceptions.TargetError(
            str(path), expected='a file that can be written',
            found=error.strerror or 'a failure that gives no reason',
            fix='Check the directory and its free space.') from error


def _not_printed(error: OSError) -> engine.exceptions.TargetError:
    return engine.exceptions.TargetError(
        'standard output', expected='room for what is printed',
        found=error.strerror or 'a failure that gives no reason',
        fix='Print it somewhere else.')


def to_json(value: typing.Mapping[str, typing.Any]) -> str:
    """JSON object in lines that people can read."""
    return json.dumps(value, indent=2) + '\n'


def _fail(args: argparse.Namespace, words: str, error: BaseException, *,
          status: int | None = None) -> None:
    """Tell of a failure on standard error, in JSON and in the report."""
    if args.debug:
        # Errors of the libraries underneath hold whole URLs.
        sys.stderr.write(text.without_secrets(
            ''.join(traceback.format_exception(error))))
    words = '; '.join([words, *getattr(error, '__notes__', ())])
    say(words)
    failure = _failure(words, status, **_details(error))
    if args.json:
        _show_failure(failure)
    if report := getattr(args, 'report', None):
        with contextlib.suppress(engine.exceptions.TargetError):
            save(report, to_json(failure))


def _failure(words: str, status: int | None, **details: typing.Any
             ) -> dict[str, typing.Any]:
    return {'error': {'message': words, 'exit_status': status, **details}}


def _show_failure(failure: dict[str, typing.Any]) -> None:
    with contextlib.suppress(engine.exceptions.TargetError):
        show([to_json(failure)])


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Turn signals into :class:`Interrupted`, once.

    A signal that the caller chose to ignore (nohup) stays ignored.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number in _SIGNALS
            if before[number] != signal.SIG_IGN]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    # The clean-up may take long; a second signal ends it at once.
    for each in _SIGNALS:
        if signal.getsignal(each) == _interrupt:
            signal.signal(each, signal.SIG_DFL)
    raise Interrupted(number)


def _replace_closed_streams() -> None:
    """Let nothing else become a standard stream that the shell closed.

    The next file that is opened, as the disk, would have its descriptor.
    """
    while (spare := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(spare)
    if sys.stdout is None:
        # It cannot be written, as show() finds out.
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), 'w')
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), 'w')


def _log(debug: bool) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    output = logging.StreamHandler()
    output.setFormatter(_Formatter('%(asctime)s %(name)s: %(message)s'))
    if not debug:
        output.setFormatter(_LineFormatter())
        # What libraries say is not for the user: it is no error of ours.
        output.addFilter(logging.Filter(_OURS))
        output.addFilter(lambda record: record.name != _CHUNKS)
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING,
                        handlers=[output])


class _Formatter(logging.Formatter):
    """Keeps the secrets in URLs out of the log."""

    def format(self, record: logging.LogRecord) -> str:
        return text.without_secrets(super().format(record))


class _LineFormatter(_Formatter):
    """Makes a line of each record, as :func:`say` does."""

    def format(self, record: logging.LogRecord) -> str:
        kind = 'error' if record.levelno >= logging.ERROR else 'warning'
        return text.printable(
            f'ironic-imagedeploy: {kind}: {super().format(record)}')


def _details(error: BaseException) -> dict[str, typing.Any]:
    """Parts of an error as JSON values, as far as it has them."""
    if not isinstance(error, engine.exceptions.ImageDeployError):
        return {}
    details: dict[str, typing.Any] = {
        name: getattr(error, name)
        for name in ('subject', 'expected', 'found', 'fix', 'retry')}
    if isinstance(error, engine.exceptions.ImageRefused):
        details['findings'] = [finding.to_dict()
                               for finding in error.findings]
        # All of them have to go: the one that lasts decides.
        details['retry'] = next(
            retry for retry in ('never', 'elsewhere', 'later')
            if any(finding.retry == retry for finding in error.findings))
    return details
