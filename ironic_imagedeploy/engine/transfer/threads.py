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

"""The threads that work on bytes."""

import os
import threading

from ironic_imagedeploy.engine import exceptions

#: While one waits for the disk another decodes, or hashes.
_MOST = 16


def count(each: int) -> int:
    """So many for each processor that this program may use, 16 at most."""
    return min(each * len(os.sched_getaffinity(0)), _MOST)


def start(thread: threading.Thread) -> None:
    """Start a thread that was not started yet.

    :raises OutOfMemory: when the system gives no memory for one more.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise exceptions.OutOfMemory.here() from error
