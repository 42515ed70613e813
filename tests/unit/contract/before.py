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

"""Messages that the release before sent, recorded from its own code.

It had no version in its order.
"""

SHA512 = 'sha512:' + '0a' * 64

ORDER = {
    'permitted_formats': ['raw', 'qcow2', 'vmdk'], 'read_back': 'sample',
    'insecure_checksums_permitted': True, 'workers': 3,
    'disk_format': 'qcow2', 'checksum': SHA512, 'checksum_is_ours': False,
    'boot_files': {
        'options': 'console=ttyS0 nofb',
        'kernel': {'url': 'http://192.0.2.1/agent_images/node-kernel',
                   'checksum': 'sha256:' + '1b' * 32},
        'ramdisk': {'url': 'http://192.0.2.1/agent_images/node-ramdisk',
                    'checksum': 'sha256:' + '2c' * 32}}}

#: Result of a command that runs.
PROGRESS = {'imagedeploy': {'progress': {
    'phase': 'write', 'done': 1048576, 'total': 8388608,
    'bytes_per_second': 524288.0, 'bottleneck': 'network'}}}

#: Result of a command that is done.
REPORT = {'deploy_step': {'step': 'write_image'}, 'deploy_result': {
    'result': 'prepare_image: image (the-image) written to device /dev/sda '
              'root_uuid=0xb6413e74',
    'imagedeploy': {
        'source': 'http://192.0.2.1/agent_images/node', 'format': 'qcow2',
        'virtual_size': 8388608, 'bytes_read': 1769472,
        'bytes_written': 4718592, 'bytes_zeroed': 3670016,
        'zeroes_written': 0, 'resumes': 0, 'seconds': 0.101,
        'checksum': {'algorithm': 'sha512', 'value': '0a' * 64,
                     'verified': True},
        'read_back': 'sample', 'bottleneck': 'network',
        'peak_rss': 109162496,
        'bootloader': {
            'platform': 'x86_64-efi', 'menu': '/boot/grub/grub.cfg',
            'origin': 'image', 'kernel_origin': 'image',
            'kernels': ['/boot/vmlinuz-6.1.0-10-amd64']}}}}

#: Record that a node shows.
RECORD = {
    'phase': 'write', 'done': 1048576, 'total': 8388608, 'percent': 12.5,
    'bytes_per_second': 524288, 'bottleneck': 'network',
    'estimated_end': '2026-11-23T01:00:14+00:00',
    'updated_at': '2026-11-23T01:00:30+00:00',
    'moved_at': '2026-11-23T01:00:00+00:00',
    'stalled': {'since': '2026-11-23T01:00:00+00:00',
                'waiting_for': 'network'}}
