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

"""Codes about what is wrong in the file."""

from collections.abc import Mapping

from ironic_imagedeploy.engine.catalogue import entry

Case = entry.Case
Entry = entry.Entry
Severity = entry.Severity
Topic = entry.Topic

_CONVERT = 'qemu-img convert -O qcow2 {file} NEW'
_FLATTEN = f'Make it self-contained: {_CONVERT}'
_FROM_ORIGIN = ('Make the image again from its origin and upload the whole of '
                'it.')
_BAD_TABLE = Case(
    message='The partition table in the image cannot be right.',
    fix=_FROM_ORIGIN)
_UNMOUNTABLE = Case(message='No kernel would mount the file system.',
                    fix=_FROM_ORIGIN)
_INSPECTOR = Case(
    message="OpenStack's format inspector refuses the image.",
    fix=f'Make the image again: {_CONVERT}')

ENTRIES: Mapping[str, Entry] = {
    'backing-file': Entry(
        topic=Topic.DAMAGE,
        meaning='The image names another file to read from.',
        message='The image needs another file.', fix=_FLATTEN,
        cases={'inspector': _INSPECTOR, 'parent': Case(
            fix='Make it self-contained: VBoxManage clonemedium {file} '
                'NEW')}),
    'data-file': Entry(
        topic=Topic.DAMAGE,
        meaning='The data of the image is in another file.',
        message='The data of the image is in another file.', fix=_FLATTEN,
        cases={'inspector': _INSPECTOR}),
    'external-extent': Entry(
        topic=Topic.DAMAGE,
        meaning='The VMDK is not in this one file alone.',
        message='The image is not in this one file alone.',
        fix=f'Make it one file: {_CONVERT}',
        cases={'descriptor': Case(
            message='The file is a part of an image: the descriptor is '
                    'another file.',
            fix='Make it one file, from the descriptor that names this part: '
                'qemu-img convert -O qcow2 DESCRIPTOR NEW')}),
    'encrypted': Entry(
        topic=Topic.DAMAGE, meaning='The image is encrypted.',
        message='The image is encrypted.',
        fix='Decrypt it: qemu-img convert --object '
            'secret,id=key,file=PASSPHRASE --image-opts '
            'driver=qcow2,encrypt.key-secret=key,file.filename={file} '
            '-O qcow2 NEW'),
    'unknown-feature': Entry(
        topic=Topic.DAMAGE,
        meaning='The image needs a feature, or a compression, that is not '
                'known here.',
        message='The image needs a feature that is unknown.',
        fix='Convert it with the QEMU that made it: qemu-img convert -O qcow2 '
            '-o compat=1.1 {file} NEW',
        cases={'inspector': _INSPECTOR, 'compression': Case(
            message='The compression of the image is unknown.',
            fix='Convert it: qemu-img convert -c -O qcow2 {file} NEW')}),
    'corrupt': Entry(
        topic=Topic.DAMAGE,
        meaning='The file, or the partition table or file system in it, '
                'contradicts itself.',
        unless='Linux and firmware tolerate it in a GPT, or it is in a file '
               'system and no image type is declared',
        message='The {format} file is damaged.',
        fix='Make the image again from its origin and upload that.',
        cases={
            'compressed': Case(fix='Compress the image again and upload '
                                   'that.'),
            'file-size': Case(
                message='The {format} file is far larger than its disk.',
                fix='If its server states the wrong length, mend that. Else '
                    f'make the image again: {_CONVERT}'),
            'partition-table': _BAD_TABLE, 'file-system': _UNMOUNTABLE,
            'gpt': Case(message=_BAD_TABLE.message,
                        fix='Repair it in the raw image, and upload that: '
                            'ironic-imagedeploy repair-gpt {file}.'),
            'tolerated': Case(
                message='The partition table in the image has a flaw that '
                        'firmware and Linux tolerate.',
                fix='Repair it in the raw image, and upload that: '
                    'ironic-imagedeploy repair-gpt {file}.'),
            'outside': Case(
                message='A partition in the image lies where its GPT has '
                        'no room for one.',
                fix='Make the partition table anew in the raw image, with '
                    'sfdisk or sgdisk, and upload that.'),
            'cut': Case(
                message='The image ends before the disk that its partition '
                        'table is for.',
                fix='Nothing: on a disk of {size} bytes or more the table is '
                    'completed by the deployment, or by ironic-imagedeploy '
                    'repair-gpt DISK.'),
            'inspector': Case(
                message=_INSPECTOR.message,
                fix=f'Repair the partition table, then make the image again: '
                    f'{_CONVERT}')}),
    'truncated': Entry(
        topic=Topic.DAMAGE,
        meaning='The file ends before what its tables name, or the disk in '
                'it before what its partition table or file system says.',
        message='The {format} file ends too early.',
        fix='Upload the whole file again.',
        cases={
            'partition-table': _BAD_TABLE, 'file-system': _UNMOUNTABLE,
            'disk': Case(message='The disk in the image ends too early.',
                         fix=_FROM_ORIGIN),
            'initramfs': Case(message='The initramfs is not complete.',
                              fix='Make it again, or copy the whole of it.'),
            'kernel': Case(message='The kernel is not complete.',
                           fix='Use the kernel as the distribution has it in '
                               '/boot, and the whole of it.'),
            'store': Case(message='The store has another number of bytes '
                                  'than Glance states.',
                          fix='Upload the image again.')}),
    'decompression-bomb': Entry(
        topic=Topic.DAMAGE,
        meaning='The compressed file unpacks to far more than an image '
                'would, and nothing but the file itself says how large the '
                'target may become.',
        message='The file unpacks to far more than an image would.',
        fix='If it is right, write it to a disk, or to a file that was made '
            'with its size: truncate -s SIZE FILE'),
    'too-complex': Entry(
        topic=Topic.DAMAGE,
        meaning='A look at the image takes more work than any look may: its '
                'tables or directories are too many, or name each other '
                'again and again.',
        message='A look at the image takes more work than any should.',
        fix='Make the image again from its origin; qcow2 with larger '
            'clusters has smaller tables: qemu-img convert -O qcow2 -o '
            'cluster_size=2M {file} NEW',
        cases={'service': Case(
            message='The image can be written from here, but a service that '
                    'looks at images for many machines refuses it: that '
                    'takes too much work.')}),
    'too-fragmented': Entry(
        topic=Topic.DAMAGE,
        meaning='The image is in more pieces than the memory for its map is '
                'bounded for.',
        message='The image is in too many pieces.',
        fix='Convert it with larger clusters: qemu-img convert -O qcow2 -o '
            'cluster_size=2M {file} NEW'),
    'bytes-left-out': Entry(
        topic=Topic.DAMAGE, severity=Severity.WARNING,
        meaning='Bytes after the end of a gzip or bzip2 file are not '
                'deployed. Its own tools leave them out, too. A large file '
                'shows them only while it is written.',
        message='Bytes after the end of the {format} file are left out.',
        fix='Nothing, if they belong there, as the signature of a build '
            'does. To cut them off, unpack the file and compress it again.'),
    'internal-snapshot': Entry(
        topic=Topic.DAMAGE, severity=Severity.WARNING,
        meaning='Snapshots in the image are not deployed.',
        message='Snapshots in the image are not deployed.',
        fix='To make it smaller: qemu-img snapshot -d NAME {file}'),
    'dirty': Entry(
        topic=Topic.DAMAGE, severity=Severity.WARNING,
        meaning='The image was not closed after its last use.',
        message='The image was not closed after its last use.',
        fix='Its machine may have been running: qemu-img check -r all '
            '{file}'),
}
