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

import typing

from ironic_imagedeploy.engine import exceptions
from tests.support import registry
from tests.unit.engine.sources.registry import served

RAW, QCOW2, ARM = b'raw' * 999, b'qcow2' * 999, b'arm' * 999
CONTAINER = {'config': {'mediaType': 'application/vnd.oci.image.config.'
                                     'v1+json'}}
TAR = 'application/vnd.oci.image.layer.v1.tar+gzip'


class IndexTest(served.RegistryTestCase):

    def read(self, **options: typing.Any) -> bytes:
        return self.streamed(self.opened(**{'arch': 'x86_64', **options}))

    def test_processor(self) -> None:
        self.registry.push_index((ARM, 'arm64', 'qcow2'),
                                 (QCOW2, 'amd64', 'qcow2'))
        self.assertEqual(QCOW2, self.read())
        self.assertEqual(ARM, self.read(arch='aarch64'))
        with self.assertRaises(exceptions.SourceNotFound) as caught:
            self.read(arch='ppc64le')
        self.assertIn('aarch64/qcow2, x86_64/qcow2', str(caught.exception))

    def test_the_only_processor_is_taken(self) -> None:
        self.registry.push_index((ARM, 'arm64', 'qcow2'))
        self.assertEqual(ARM, self.read())

    def test_names_of_processors(self) -> None:
        self.registry.push_index((QCOW2, 'x86_64', None),
                                 (ARM, 'aarch64', None))
        self.assertEqual(QCOW2, self.read())

    def test_kind_of_disk(self) -> None:
        self.registry.push_index(
            (b'?' * 9, 'amd64', None), (b'x' * 9, 'amd64', 'hyperv'),
            (RAW, 'amd64', 'raw'), (QCOW2, 'amd64', 'qemu'))
        self.assertEqual(QCOW2, self.read())
        self.assertEqual(RAW, self.read(disk_format='raw'))
        self.assertEqual('raw', self.opened(
            arch='x86_64', disk_format='raw').declared_format)

    def test_what_attests_is_no_image(self) -> None:
        self.registry.push_index((b'x', 'unknown', None),
                                 (QCOW2, 'amd64', None))
        self.assertEqual(QCOW2, self.read())

    def test_an_index_in_an_index(self) -> None:
        digest = self.registry.push_index((QCOW2, 'amd64', 'qcow2'))
        self.registry.tag('12', {'manifests': [{'digest': digest}]})
        self.assert_invalid('a manifest without layers')

    def test_indexes_that_are_none(self) -> None:
        for manifests in (None, 7, {}, ['x'], [{}], [{'digest': 7}],
                          [{'digest': 'md5:' + '0' * 32}],
                          [{'digest': 'sha256:../../x'}],
                          [{'digest': 'x'}] * 2000):
            self.registry.tag('12', {'manifests': manifests})
            with self.subTest(str(manifests)[:40]):
                self.assert_invalid()
        self.registry.tag('12', {'manifests': []})
        with self.assertRaises(exceptions.SourceNotFound):
            self.opened()

    def test_so_many_manifests(self) -> None:
        digest = self.registry.push(self.content, 'other')
        for count in (999, 1000):
            self.registry.tag('12', {'manifests': [
                {'digest': digest}] * count})
            self.opened()
        self.registry.tag('12', {'manifests': [{'digest': digest}] * 1001})
        self.assert_invalid('1000 manifests at most')

    def test_many_processors(self) -> None:
        """What is told of them is bounded."""
        digest = registry.digest_of(b'x')
        for length, cut in ((100, False), (101, True)):
            self.registry.tag('12', {'manifests': [
                {'digest': digest, 'platform': {'architecture': name}}
                for name in ('a' * (length - 1), 'b' * 95)]})
            with self.assertRaises(exceptions.SourceNotFound) as caught:
                self.opened()
            found = caught.exception.found
            self.assertLessEqual(len(found), 200)
            self.assertEqual(cut, not found.endswith('b/?'), found)

    def assert_invalid(self, *words: str) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            self.opened()
        self.assert_complete(caught.exception)
        for word in words:
            self.assertIn(word, str(caught.exception))


class LayerTest(served.RegistryTestCase):

    def test_containers(self) -> None:
        layer = {'mediaType': TAR, 'size': 9,
                 'digest': registry.digest_of(b'x')}
        for layers in ([layer], [layer] * 3):
            self.registry.push(self.content, layers=layers, **CONTAINER)
            self.assert_refused('container-format', 'archives of files')

    def test_several_files(self) -> None:
        layer = {'mediaType': 'application/octet-stream', 'size': 9,
                 'digest': registry.digest_of(b'x')}
        self.registry.push(self.content, layers=[layer] * 2)
        self.assert_refused('container-format', '2 files', 'oras push')

    def test_manifests_that_are_none(self) -> None:
        for manifest in (b'', b'{', b'[' * 100000, b'[]', b'7', b'\xff',
                         b'{"layers": 7}', b'{"layers": [7]}', b'{}'):
            self.registry.manifests['12'] = manifest
            with self.subTest(manifest[:40]):
                self.assert_invalid()

    def test_layers_that_are_none(self) -> None:
        good = {'mediaType': 'x', 'size': 9,
                'digest': registry.digest_of(b'x')}
        for change in ({'size': -1}, {'size': '9'}, {'size': True},
                       {'size': 1 << 62}, {'digest': 'x'}, {'digest': None},
                       {'digest': 'sha256:' + 'g' * 64}):
            self.registry.push(self.content, layers=[{**good, **change}])
            with self.subTest(change):
                self.assert_invalid()

    def test_sizes_that_may_be(self) -> None:
        """Those of a file here, also when it is not the one that is there."""
        for size in (0, (1 << 62) - 1):
            self.registry.push(self.content, layers=[{
                'mediaType': 'x', 'size': size,
                'digest': registry.digest_of(self.content)}])
            with self.assertRaises(exceptions.SourceChanged) as caught:
                self.opened()
            self.assertIn(f'a file of {size} bytes', str(caught.exception))

    def test_annotations_that_are_none(self) -> None:
        self.registry.push(self.content, annotations=['disktype'])
        self.assertIsNone(self.opened().declared_format)
        self.registry.push(self.content, annotations={'disktype': ['raw']})
        self.assertIsNone(self.opened().declared_format)

    def assert_invalid(self) -> None:
        with self.assertRaises(exceptions.SourceError) as caught:
            self.opened()
        self.assert_complete(caught.exception)

    def assert_refused(self, code: str, *words: str) -> None:
        with self.assertRaises(exceptions.ImageRefused) as caught:
            self.opened()
        self.assertEqual([code], [each.code
                                  for each in caught.exception.findings])
        for word in words:
            self.assertIn(word, str(caught.exception))
