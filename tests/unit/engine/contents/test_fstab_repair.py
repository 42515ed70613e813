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


import time
import unittest

from ironic_imagedeploy.engine.contents import fstab_repair

BIOS = fstab_repair.Disk(root_uuid='58d5-2f60', root_label='cloudimg-rootfs',
                  swap_uuid='5a-b1')
UEFI = fstab_repair.Disk(root_uuid='58d5-2f60', root_label='cloudimg-rootfs',
                  esp_uuid='7B77-95E7', swap_uuid='5a-b1')
NOTHING = fstab_repair.Disk(root_uuid='58d5-2f60')
ROOT = b'LABEL=cloudimg-rootfs / ext4 discard,errors=remount-ro 0 1\n'
ESP = b'UUID=7B77-95E7\t/boot/efi\tvfat\tumask=0077,nofail\t0\t1\n'


class FstabTestCase(unittest.TestCase):

    def assert_adapted(self, expected, line, disk=BIOS):
        """A line becomes another, and no line around it changes."""
        before, after = b'# by hand\n' + ROOT, b'tmpfs /tmp tmpfs x 0 0'
        self.assertEqual(before + expected + after,
                         fstab_repair.adapted(before + line + after, disk))

    def assert_kept(self, *lines):
        for line in lines:
            self.assert_adapted(line, line)


class ForeignTest(unittest.TestCase):
    """What is said of a table beforehand is what is done to it."""

    def test_lines_that_change_and_no_others(self):
        for line, role, blocks in (
                (b'LABEL=BOOT /boot ext4 defaults 0 2', '', True),
                (b'/dev/vda1 /boot/efi vfat', 'esp', True),
                (b'UUID=AAAA-BBBB /efi/ vfat umask=0077,nofail', 'esp', False),
                (b'UUID=1b none swap sw 0 0', 'swap', True),
                (b'LABEL=data /srv xfs noauto,ro', '', False)):
            found, = fstab_repair.foreign(ROOT + line + b' # x', BIOS)
            self.assertEqual((role, blocks, line.decode().split()[:2]), (
                found.role, found.blocks, [found.device, found.mount]))
            # That it has an ESP of its own is seen in what is added.
            adapted = fstab_repair.adapted(ROOT + line, BIOS)
            self.assertEqual(blocks or role == 'swap',
                             adapted != ROOT + line)
        for line in (b'', b'# LABEL=x /x ext4', b'tmpfs /tmp tmpfs',
                     b'UUID="58d5-2f60" /home btrfs subvol=home',
                     b'LABEL=cloudimg-rootfs /srv btrfs', b'/swapfile none '
                     b'swap', b'LABEL=other / ext4'):
            self.assertEqual([], list(fstab_repair.foreign(line, BIOS)))


class OriginTest(FstabTestCase):
    """Devices of the disk that the image was made of."""

    def test_they_do_not_stop_the_boot(self):
        for line, expected in (
                (b'LABEL=BOOT /boot ext4 defaults 0 2\n',
                 b'LABEL=BOOT /boot ext4 defaults,nofail 0 2\n'),
                (b' UUID=1b-1 \t/home  xfs rw\t0 2 # data\n',
                 b' UUID=1b-1 \t/home  xfs rw,nofail\t0 2 # data\n'),
                (b'/dev/vda1 /boot vfat\n',
                 b'/dev/vda1 /boot vfat\tdefaults,nofail\n'),
                (b'/dev/mapper/vg-srv /srv ext4 nofailure 0 0\n',
                 b'/dev/mapper/vg-srv /srv ext4 nofailure,nofail 0 0\n'),
                (b'PARTLABEL=x /x\\040y auto ro 0 0\n',
                 b'PARTLABEL=x /x\\040y auto ro,nofail 0 0\n'),
                (b'/dev/disk/by-id/x /x ext4 ro 0 0\r\n',
                 b'/dev/disk/by-id/x /x ext4 ro,nofail 0 0\r\n')):
            self.assert_adapted(expected, line)

    def test_an_esp_that_is_not_needed(self):
        self.assert_adapted(
            b'LABEL=UEFI /boot/efi vfat umask=0077,nofail 0 1\n',
            b'LABEL=UEFI /boot/efi vfat umask=0077 0 1\n')

    def test_swap(self):
        line = b'UUID=01d none swap sw 0 0\n'
        self.assert_adapted(b'UUID=5a-b1 none swap sw,nofail 0 0\n', line)
        self.assertEqual(b'UUID=01d none swap sw,nofail 0 0\n',
                         fstab_repair.adapted(line, NOTHING))


class KeptTest(FstabTestCase):

    def test_what_waits_for_no_device(self):
        self.assert_kept(
            b'\n', b'#UUID=1b-1 /home ext4 rw 0 2\n', b'  # /dev/sda1 / x\n',
            b'proc /proc proc defaults 0 0\n', b'/swapfile none swap sw 0 0\n',
            b'/srv/a /srv/b none bind 0 0\n', b'nas:/x /x nfs _netdev 0 0\n',
            b'//nas/x /x cifs guest 0 0\n', b'nonsense\n', b'UUID=1 /x\n',
            b'/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n',
            b'UUID=1b-1 /home ext4 nofail,rw 0 2\n', b'\xff\x00\n')

    def test_the_root(self):
        self.assert_kept(
            b'UUID=01d / ext4 defaults 0 1\n', b'/dev/vda1 / xfs rw 0 0\n')

    def test_the_root_file_system_itself(self):
        self.assert_kept(
            b'UUID=58d5-2f60 / btrfs subvol=root 0 0\n',
            b'UUID="58d5-2f60" /home btrfs subvol=home 0 0\n',
            b'LABEL=cloudimg-rootfs /var btrfs subvol=var 0 0\n',
            b'/dev/disk/by-uuid/58d5-2f60 /home btrfs subvol=home 0 0\n',
            b'/dev/disk/by-label/cloudimg-rootfs /srv btrfs ro 0 0\n')


class EspTest(unittest.TestCase):

    def test_it_is_mentioned(self):
        for table in (b'', ROOT, b'# nothing\n'):
            self.assertEqual(table + ESP, fstab_repair.adapted(table, UEFI))
        self.assertEqual(ROOT + ESP, fstab_repair.adapted(ROOT[:-1], UEFI))

    def test_it_takes_the_place_of_the_one_of_the_origin(self):
        for line, expected in (
                (b'LABEL=UEFI /boot/efi vfat umask=0077 0 1\n',
                 b'UUID=7B77-95E7 /boot/efi vfat umask=0077,nofail 0 1\n'),
                (b'UUID=AAAA-BBBB /efi/ vfat ro,nofail 0 2\n',
                 b'UUID=7B77-95E7 /efi/ vfat ro,nofail 0 2\n')):
            self.assertEqual(ROOT + expected,
                             fstab_repair.adapted(ROOT + line, UEFI))

    def test_the_same_again(self):
        once = fstab_repair.adapted(ROOT, UEFI)
        self.assertEqual(once, fstab_repair.adapted(once, UEFI))

    def test_where_it_is_mounted(self):
        self.assertEqual(['boot/efi', 'efi'], list(fstab_repair.esp_mounts(
            ESP + b'# /efi\nLABEL=x /efi/ vfat ro 0 0\n' + ROOT)))


class NeedsTest(FstabTestCase):
    """Lines that need what is not here fail with it."""

    def test_a_requirement(self):
        for name in (b'/dev/sdb1', b'UUID=1b-1', b'/dev/disk/by-uuid/1b-1',
                     b'dev-sdb1.device'):
            option = b'x-systemd.requires=' + name
            self.assert_adapted(
                b'tmpfs /tmp tmpfs size=1G,' + option + b',nofail 0 0\n',
                b'tmpfs /tmp tmpfs size=1G,' + option + b' 0 0\n')
            self.assert_adapted(
                b'/dev/vda1 / ext4 rw,noatime 0 1\n',
                b'/dev/vda1 / ext4 rw,' + option + b',noatime 0 1\n')
            self.assert_adapted(
                b'LABEL=x / ext4 defaults 0 1\n',
                b'LABEL=x / ext4 ' + option + b' 0 1\n')

    def test_a_mount_point_that_is_not_there(self):
        for line, added in (
                (b'tmpfs /data/cache tmpfs rw', b',nofail'),
                (b'/data/home /home none bind', b',nofail'),
                (b'nas:/x /x nfs x-systemd.requires=/data', b',nofail'),
                (b'overlay /y overlay x-systemd.requires-mounts-for=/data/y',
                 b',nofail'),
                (b'overlay /y overlay ro,lowerdir=/x:/data/y', b',nofail'),
                (b'overlay /y overlay lowerdir=/x:/database', b''),
                (b'tmpfs /data/cache tmpfs rw,nofail', b''),
                (b'tmpfs /database tmpfs rw', b''),
                (b'/srv/home /home none bind', b'')):
            for data in (b'/dev/sdb1 /data ext4 nofail 0 2\n',
                         b'LABEL=data /data/ xfs noauto 0 2\n'):
                with self.subTest(line=line, data=data):
                    self.assert_adapted(data + line + added + b' 0 0\n',
                                        data + line + b' 0 0\n')
                    self.assert_adapted(line + added + b' 0 0\n' + data,
                                        line + b' 0 0\n' + data)

    def test_swap_in_a_file_that_is_not_there(self):
        data = b'LABEL=data /data ext4 nofail 0 2\n'
        line = b'/data/swap none swap sw 0 0\n'
        self.assert_adapted(
            data + b'UUID=5a-b1 none swap sw,nofail 0 0\n', data + line)
        self.assertEqual(data + b'/data/swap none swap sw,nofail 0 0\n',
                         fstab_repair.adapted(data + line, NOTHING))

    def test_one_after_the_other(self):
        self.assert_adapted(
            b'/b /c none bind,nofail\n/a /b none bind,nofail\n'
            b'LABEL=a /a ext4 rw,nofail\n',
            b'/b /c none bind\n/a /b none bind\nLABEL=a /a ext4 rw\n')

    def test_what_is_there(self):
        self.assert_kept(
            b'tmpfs /tmp tmpfs x-systemd.requires=UUID=58d5-2f60 0 0\n',
            b'tmpfs /tmp tmpfs x-systemd.requires=/home,rw 0 0\n',
            b'tmpfs /tmp tmpfs x-systemd.after=/dev/sdb1 0 0\n',
            b'LABEL=x / ext4 x-systemd.requires=network.target 0 0\n')

    def test_a_mount_on_the_esp(self):
        line = b'tmpfs /efi/x tmpfs rw 0 0\n'
        esp = b'UUID=AAAA-BBBB /efi vfat ro,nofail 0 2\n'
        self.assertEqual(
            (line + esp).replace(b'AAAA-BBBB', b'7B77-95E7'),
            fstab_repair.adapted(line + esp, UEFI))

    def test_quotes(self):
        self.assert_kept(
            b"UUID='58d5-2f60' /home btrfs subvol=home 0 0\n",
            b'LABEL="cloudimg-rootfs" /var btrfs subvol=var 0 0\n')
        self.assert_adapted(b"UUID='1b' /home ext4 rw,nofail 0 0\n",
                            b"UUID='1b' /home ext4 rw 0 0\n")

    def test_it_is_said_beforehand(self):
        table = (b'LABEL=a /a ext4 nofail 0 2\ntmpfs /a/b tmpfs rw 0 0\n'
                 b'LABEL=x / ext4 x-systemd.requires=/a 0 1\n')
        self.assertEqual(
            [('/a', '', False), ('/a/b', '', True), ('/', 'root', True)],
            [(found.mount, found.role, found.blocks)
             for found in fstab_repair.foreign(table, BIOS)])

    def test_a_table_that_goes_on_and_on(self):
        lines = [b'/%d /%d none bind\n' % (number + 1, number)
                 for number in range(20_000)]
        table = b''.join(lines) + b'LABEL=x /20000 ext4 rw\n'
        begin = time.thread_time()
        fstab_repair.adapted(table, BIOS)
        self.assertLess(time.thread_time() - begin, 5)
