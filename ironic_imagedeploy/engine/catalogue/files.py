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

"""Codes about the file: its origin and its format."""

from collections.abc import Mapping

from ironic_imagedeploy.engine.catalogue import entry

Case = entry.Case
Entry = entry.Entry
Retry = entry.Retry
Severity = entry.Severity
Topic = entry.Topic

_CONVERT = 'qemu-img convert -O qcow2 {file} NEW'

ENTRIES: Mapping[str, Entry] = {
    'image-not-found': Entry(
        topic=Topic.ORIGIN,
        meaning='The image store has no such active image, or the server or '
                'the directory no such file.',
        message='The image was not found.',
        fix='Check the address of the image.',
        cases={'store': Case(message='Glance has no such image.')}),
    'image-unreadable': Entry(
        topic=Topic.ORIGIN, retry=Retry.LATER,
        meaning='The image store, the web server or the file does not give '
                'the image: no connection, no permission, or an answer that '
                'cannot be right.',
        message='The image cannot be read.',
        fix='Check the server and the network, and try again.',
        cases={'source': Case(message='{reason}.'),
               'store': Case(
                   message='Glance does not tell about the image.'),
               'address': Case(message='The address is not a URL.')}),
    'container-format': Entry(
        topic=Topic.ORIGIN,
        meaning='The image store calls the file an archive, a container '
                'image or a kernel.',
        message='The file is declared not to be an image of a disk.',
        fix='Upload the image of the disk, as a bare file.'),
    'refused-by-glance': Entry(
        topic=Topic.ORIGIN, severity=Severity.WARNING,
        meaning='The protective MBR of the disk is not as the letter of the '
                'specification has it, as that of some tools and of hybrid '
                'MBRs. It boots; but Glance, where it checks what is '
                'uploaded, does not take it.',
        message='Glance may refuse to take this image.',
        fix='Serve it from a web server; or let the operator of Glance set '
            '[image_format]gpt_safety_checks_nonfatal = mbr.'),

    'not-an-image': Entry(
        topic=Topic.KIND,
        meaning='The file is not a disk image: an HTML page, an archive, a '
                'kernel or EFI program, text, an empty file, or nothing that '
                'is known.',
        message='The file is not a disk image.',
        fix='Check what was uploaded, and its address; declare the format '
            'raw only for a disk byte for byte.'),
    'format-mismatch': Entry(
        topic=Topic.KIND,
        meaning='The format by signature is not the declared one.',
        message='The file is of another format than declared.',
        fix='Declare its real format, {format}.'),
    'format-not-permitted': Entry(
        topic=Topic.KIND,
        meaning='The operator does not permit the format.',
        message='The operator does not permit this format.',
        fix=f'Convert it: {_CONVERT}; or have {{format}} permitted.'),
    'format-unsupported': Entry(
        topic=Topic.KIND,
        meaning='A known format that cannot be deployed, for example ISO '
                '(also one that boots from a USB stick), UDF, QED, VHD, VHDX, '
                'LUKS, DMG or Parallels; or a compression that is not known, '
                'has no decoder here, or takes too much memory.',
        message='Images of this format cannot be deployed.',
        fix=f'Convert it and upload the result: {_CONVERT}',
        cases={
            'medium': Case(fix='An installation medium is never written to a '
                               'disk; use an image of an installed disk.'),
            'luks': Case(
                message='The disk in the file is encrypted.',
                fix='Decrypt it: qemu-img convert --object '
                    'secret,id=key,file=PASSPHRASE --image-opts '
                    'driver=luks,key-secret=key,file.filename={file} '
                    '-O qcow2 NEW'),
            'compressed': Case(
                message='Files that are compressed like this cannot be '
                        'deployed.',
                fix='Decompress the file before it is uploaded.'),
            'unpacker': Case(
                message='This machine cannot decompress {compression}.',
                fix='Run pip install backports.zstd, in the Python '
                    'environment of ironic-imagedeploy; the extra fast has '
                    'it. Or decompress the file before it is uploaded.'),
            'memory': Case(
                message='The {format} file takes too much memory to unpack.',
                fix='Compress it again: zstd -19, or xz -9, at most.'),
            'version': Case(message='This version of {format} is unknown.',
                            fix=f'Convert it: {_CONVERT}'),
            'decoder': Case(
                message='This machine cannot decompress {compression}.',
                fix='Run pip install backports.zstd, in the Python '
                    'environment of ironic-imagedeploy; the extra fast has '
                    'it. Or convert the image: '
                    'qemu-img convert -c -O qcow2 -o compression_type=zlib '
                    '{file} NEW')}),
    'format-ambiguous': Entry(
        topic=Topic.KIND,
        meaning='The file has the signatures of several formats, as in some '
                'attacks. What lies inside of a partition or a file system '
                'is its content, and does not count.',
        message='The file is several formats at once.',
        fix='Make the image again from its origin.'),
}
