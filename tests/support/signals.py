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

"""Dispositions of signals that do not depend on who started the tests."""

from collections.abc import Callable
import signal
import types
import unittest

#: What stops a program; nohup ignores the first, a shell's & the second, and
#: programs inherit that.
STOPPING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_DEFAULT = {signal.SIGINT: signal.default_int_handler}

Handler = Callable[[int, types.FrameType | None], object]


def dispose(case: unittest.TestCase, handler: Handler | None = None) -> None:
    """Disposition of the signals that stop a program, during a test.

    Programs that the test starts get the default one.

    :param handler: for this process; by default that of Python.
    """
    for number in STOPPING:
        before = signal.signal(
            number, handler or _DEFAULT.get(number, signal.SIG_DFL))
        # None is a handler that is not Python's, and cannot be put back.
        if before is not None:
            case.addCleanup(signal.signal, number, before)
