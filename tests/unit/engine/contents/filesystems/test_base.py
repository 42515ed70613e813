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

from collections.abc import Iterator
import stat

from ironic_imagedeploy.engine import budget
from ironic_imagedeploy.engine.contents.filesystems import base
from ironic_imagedeploy.engine import exceptions
from tests.unit.engine import base as engine_base

KIB = engine_base.KIB
MIB = engine_base.MIB


class BlocksTest(engine_base.EngineTestCase):

    def setUp(self) -> None:
        super().setUp()
        self.reads: list[tuple[int, int]] = []

    def blocks(self, content: bytes) -> base.Blocks:
        def read(offset: int, length: int) -> bytes:
            self.reads.append((offset, length))
            return content[offset:offset + length]
        return base.Blocks(read, budget.Budget())

    def test_any_part(self) -> None:
        content = bytes(range(251)) * 1000
        blocks = self.blocks(content)
        for offset, length in ((0, 1), (32767, 2), (100, 100_000),
                               (len(content) - 1, 1)):
            self.assertEqual(content[offset:offset + length],
                             blocks.at(offset, length))

    def test_each_block_is_read_once(self) -> None:
        blocks = self.blocks(bytes(MIB))
        for offset in range(0, MIB, 512):
            blocks.at(offset, 512)
        self.assertEqual(MIB // (32 * KIB), len(self.reads))

    def test_behind_the_end(self) -> None:
        blocks = self.blocks(bytes(1000))
        for offset, length in ((0, 1001), (999, 2), (1000, 1), (1 << 60, 1)):
            with self.assertRaises(exceptions.UnreadableContent):
                blocks.at(offset, length)

    def test_too_many_places(self) -> None:
        blocks = self.blocks(bytes(20 * MIB))
        with self.assertRaises(exceptions.UnreadableContent):
            for offset in range(0, 20 * MIB, 32 * KIB):
                blocks.at(offset, 1)
        self.assertEqual(16 * MIB, sum(length for _, length in self.reads))

    def test_a_loop(self) -> None:
        blocks = self.blocks(bytes(MIB))
        with self.assertRaises(exceptions.UnreadableContent):
            while True:
                blocks.at(0, 1)
        blocks = self.blocks(bytes(MIB))
        with self.assertRaises(exceptions.UnreadableContent):
            while True:
                blocks.at(0, MIB)


class Toy(base.FileSystem):
    """Directories, links (str) and files (bytes) in dictionaries."""

    kind = 'toy'

    def __init__(self, *trees: dict[str, object]) -> None:
        super().__init__(base.Blocks(
            lambda offset, length: b'', budget.Budget()), None)
        self._objects: list[object] = list(trees)
        self._trees = len(trees)

    def find_roots(self) -> Iterator[base.Node]:
        for number in range(self._trees):
            yield self._node(number)

    def lookup(self, directory: base.Node, name: bytes) -> base.Node | None:
        number = self._numbers(directory).get(name)
        return None if number is None else self._node(number)

    def entries(self, directory: base.Node) -> Iterator[tuple[bytes, int]]:
        within = self._objects[directory.number]
        assert isinstance(within, dict)
        for name, value in within.items():
            self._objects.append(value)
            yield name.encode(), len(self._objects) - 1

    def read_link(self, link: base.Node) -> bytes:
        return str(self._objects[link.number]).encode()

    def read_front(self, file: base.Node, length: int) -> bytes:
        content = self._objects[file.number]
        return content[:length] if isinstance(content, bytes) else b''

    def read_pieces(self, file: base.Node) -> Iterator[bytes]:
        yield self.read_front(file, 1 << 20)

    def _node(self, number: int) -> base.Node:
        kinds = {dict: stat.S_IFDIR, str: stat.S_IFLNK}
        return base.Node(number, kinds.get(type(self._objects[number]),
                                           stat.S_IFREG))


class PathTest(engine_base.EngineTestCase):

    def test_several_roots(self) -> None:
        files = Toy({'a': None}, {'b': {'c': None}})
        self.assertEqual(['a', 'b'], files.list(''))
        self.assertTrue(files.exists('a') and files.exists('b/c'))
        self.assertFalse(files.exists('a/c') or files.exists('c'))

    def test_front_of_a_file(self) -> None:
        files = Toy({'empty': {}}, {'a': {'file': b'content', 'to': 'file'},
                                    'link': 'a/to'})
        for path in ('a/file', 'link'):
            self.assertEqual(b'cont', files.front(path, 4))
            self.assertEqual(b'content', files.front(path, 4096))
        for path in ('a', 'empty', 'none'):
            self.assertIsNone(files.front(path, 4))

    def test_links_stay_beneath_the_root(self) -> None:
        files = Toy({'etc': {'up': '../../../etc', 'abs': '/etc/x'},
                     'a': {'b': {'c': '..'}, 'x': None}, 'top': '..'})
        for path in ('etc/up/up/up', 'top/etc', '../..', 'a/b/c/x'):
            self.assertTrue(files.exists(path), path)
        for path in ('etc/abs', 'a/b/x', 'a/b/c/b/x', 'etc/passwd'):
            self.assertFalse(files.exists(path), path)

    def test_links_in_circles(self) -> None:
        files = Toy({'a': 'b', 'b': 'a', 'self': 'self/self', 'n': ''})
        for path in ('a', 'b', 'self'):
            self.assertFalse(files.exists(path))
        self.assertTrue(files.exists('n'))

    def test_as_many_links_as_linux_follows(self) -> None:
        links: dict[str, object] = {
            f'l{number}': f'l{number + 1}' for number in range(60)}
        files = Toy({**links, 'l60': {}})
        self.assertTrue(files.exists('l20'))
        self.assertFalse(files.exists('l19'))

    def test_links_that_are_too_long(self) -> None:
        files = Toy({'a': {}, 'long': './' * 2100 + 'a',
                     'fits': './' * 2000 + 'a'})
        self.assertFalse(files.exists('long'))
        self.assertTrue(files.exists('fits'))

    def test_lists(self) -> None:
        files = Toy({'.': {}, '..': {}, 'z': None, 'ä': None, 'a': None})
        self.assertEqual(['a', 'z', 'ä'], files.list('/'))
        self.assertEqual([], files.list('a'))
        self.assertEqual([], files.list('none'))

    def test_names_that_are_no_text(self) -> None:
        class Odd(Toy):
            def entries(self, directory: base.Node
                        ) -> Iterator[tuple[bytes, int]]:
                yield b'\xff\xfe', 0
        self.assertEqual(['\ufffd\ufffd'], Odd({}).list(''))

    def test_too_many_names(self) -> None:
        class Full(Toy):
            def entries(self, directory: base.Node
                        ) -> Iterator[tuple[bytes, int]]:
                for number in range(1 << 20):
                    yield str(number).encode(), 0
        self.assertRaises(exceptions.UnreadableContent, Full({}).list, '')

    def test_long_names_cost_what_they_take(self) -> None:
        class Long(Toy):
            def entries(self, directory: base.Node
                        ) -> Iterator[tuple[bytes, int]]:
                for number in range(1 << 20):
                    yield str(number).encode().rjust(255, b'x'), 0
        # Of a whole budget; a look has half of it for all its file systems.
        drawn = budget.Budget(entries=budget.ENTRIES // 2)
        files = Long({})
        files._blocks.draw = drawn.draw
        self.assertRaises(exceptions.TooComplex, files.list, '')
