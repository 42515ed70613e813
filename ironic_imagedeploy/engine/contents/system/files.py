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

"""Files by their paths, whatever they lie in."""

from collections.abc import Iterator
import typing


class Files(typing.Protocol):
    """A look into a file system, or into several as they are mounted.

    Each of the methods raises UnreadableContent when it cannot be told, and
    TooComplex when it takes too much work.
    """

    @property
    def is_dirty(self) -> bool:
        """Whether changes wait in a journal, so that files may be missing."""

    def draw(self, steps: int) -> None:
        """Take steps of work with what was read from the look's budget."""

    def list(self, path: str) -> list[str]:
        """Sorted names in a directory; none in anything else."""

    def exists(self, path: str) -> bool:
        """Whether it is there, at the end of all symbolic links."""

    def front(self, path: str, length: int) -> bytes | None:
        """Bytes at the beginning of a file; None without such a file."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """A large file in its sequence; none without such a file."""
