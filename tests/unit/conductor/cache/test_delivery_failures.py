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

import errno
import os
import signal
import subprocess
import threading
import time
from unittest import mock


from ironic.common import exception
from ironic.drivers.modules import deploy_utils

from ironic_imagedeploy.conductor.cache import delivery
from ironic_imagedeploy.conductor.cache import entry
from ironic_imagedeploy.conductor import declared
from ironic_imagedeploy import engine
from tests.support import images
from tests.unit.conductor import base
from tests.unit.conductor.cache import cached

fork = cached.fork
MIB = 1 << 20


class FailuresTest(cached.CacheTestCase):

    def test_no_image_is_evicted(self):
        self.provide()
        self.glance.register(self.qcow2, os_hash_value='0' * 128)
        error = self.assertRaises(exception.InvalidParameterValue,
                                  self.provide, self.another_node())
        for word in ('checksum-mismatch', 'Expected sha512 000',
                     'openstack image create'):
            self.assertIn(word, str(error))
        self.assert_provided()
        self.glance.register(self.qcow2)
        sent = self.transferred(self.glance)
        self.provide(self.another_node())
        self.assertEqual([], sent)

    def test_killed_in_the_middle(self):
        self.large()
        self.glance.answer = lambda exchange: exchange.serve(
            stop_after=3 * MIB, how='stall')
        with self.task() as task:
            image = declared.image(task)
        child = fork(lambda: delivery.provide(
            image, engine.Expectation(checksum=image.checksum)))
        deadline = time.monotonic() + 60
        while not (self.workshop() and self.workshop()[0].stat().st_size):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        part, = self.workshop()
        self.assertEqual([], self.masters())
        self.glance.answer = base.web.Exchange.serve
        self.provide()
        self.assert_provided(content=self.content)
        self.assertEqual([part], self.workshop())
        # Nobody writes to it any more.
        os.utime(part, (0, 0))
        next(self.master.glob('*.json')).unlink()
        self.masters()[0].unlink()
        self.provide()
        self.assertEqual([], self.workshop())

    def test_a_clock_that_jumps_while_another_process_downloads(self):
        self.large()
        ahead = self.directory / 'ahead'
        ahead.write_text('0')
        clock, release = time.time, threading.Event()
        self.addCleanup(release.set)

        def jumping():
            return clock() + int(ahead.read_text())

        def slowly(exchange):
            write = exchange.wfile.write

            def wait_and_write(content):
                if len(content) >= MIB // 4:
                    release.wait(0.2)
                return write(content)

            exchange.wfile.write = wait_and_write
            exchange.serve()

        self.glance.answer = slowly
        with self.task() as task:
            image = declared.image(task)
        self.enterContext(mock.patch.object(time, 'time', jumping))
        child = fork(lambda: delivery.provide(
            image, engine.Expectation(checksum=image.checksum)))
        for seconds in (7200, -7200, 0):
            size = self.downloaded(0)
            ahead.write_text(str(seconds))
            # What conductors do to the files of each other.
            entry.tidy()
            with entry.Entry.of(image).part(1):
                self.downloaded(size)
        release.set()
        self.assertEqual(0, os.waitpid(child, 0)[1])
        sent = self.transferred(self.glance)
        self.provide()
        self.assertEqual([], sent)
        self.assert_provided(content=self.content)

    def downloaded(self, size):
        """Bytes of a download, once these are more than before."""
        deadline = time.monotonic() + 60
        while True:
            found = max((file.stat().st_size for file in self.workshop()),
                        default=0)
            if found > size:
                return found
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def large(self):
        noise = self.directory / 'noise'
        noise.write_bytes(self.guest.read_bytes()[:MIB] + os.urandom(7 * MIB))
        large = images.convert(noise, self.directory / 'large.qcow2')
        self.content = large.read_bytes()
        self.glance.register(large)

    def test_connection_that_drops(self):
        self.large()
        self.glance.answer = base.web.in_turn(
            *[base.web.Exchange.serve] * 4,
            lambda exchange: exchange.serve(stop_after=2 * MIB, how='reset'))
        self.provide()
        self.assert_provided(content=self.content)

    def test_not_enough_space(self):
        full = mock.Mock(f_frsize=1, f_bavail=1000)
        with mock.patch.object(os, 'statvfs', autospec=True,
                               return_value=full):
            error = self.assertRaises(exception.InsufficientDiskSpace,
                                      self.provide)
        for word in (str(self.master), f'room for {len(self.image)} bytes',
                     'found 1000 bytes', '[pxe]image_cache_size'):
            self.assertIn(word, str(error))
        self.assertEqual([], self.masters() + self.workshop())

    def test_space_that_runs_out(self):
        with mock.patch.object(os, 'fsync', autospec=True, side_effect=OSError(
                errno.ENOSPC, 'No space left on device')):
            self.assertRaises(exception.InsufficientDiskSpace, self.provide)
        self.assertEqual([], self.masters() + self.workshop())

    def test_cache_and_instances_on_two_file_systems(self):
        with mock.patch.object(os, 'link', autospec=True, side_effect=OSError(
                errno.EXDEV, 'Invalid cross-device link')):
            error = self.assertRaises(exception.ImageDownloadFailed,
                                      self.provide)
        self.assertIn('must be on one file system', str(error))

    def test_master_cleaned_away_before_it_is_linked(self):
        self.provide()
        link, lost = os.link, []

        def lose_once(source, target):
            if not lost:
                lost.append(os.unlink(source))
            link(source, target)

        node = self.another_node()
        with mock.patch.object(os, 'link', autospec=True,
                               side_effect=lose_once):
            self.provide(node)
        self.assert_provided(node)

    def test_ironics_clean_up(self):
        self.provide()
        cleaned = deploy_utils.InstanceImageCache()
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual(1, len(self.masters()))
        deploy_utils.destroy_http_instance_images(self.node)
        cleaned.clean_up(amount=1 << 40)
        self.assertEqual([], self.masters())
        self.provide()
        self.assert_provided()

    def test_image_that_cannot_be_inspected_first(self):
        # A qcow2 that grew has its tables at its end.
        self.large()
        grown = self.directory / 'large.qcow2'
        subprocess.run(['qemu-img', 'resize', '-q', grown, '1T'],
                       check=True)
        grown_content = grown.read_bytes()
        self.glance.register(grown)
        self.glance.answer = lambda exchange: (
            exchange.refuse(400) if 'Range' in exchange.headers
            else exchange.serve())
        with self.task() as task:
            task.driver.deploy.validate(task)
        self.provide()
        self.assert_provided(content=grown_content)
