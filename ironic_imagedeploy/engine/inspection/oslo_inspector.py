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

"""Opinion of OpenStack's own format inspector on an image.

Glance and Ironic judge images with it. Its opinion is the first, that of our
readers the second, and an image must pass both, but for a few good disks
that the inspector is known to refuse.

Ironic and its agent have oslo.utils. Who has the command line alone may do
without: an inspection then says that the inspector was not asked.
"""

from collections.abc import Iterator

try:
    from oslo_utils.imageutils import format_inspector
except ImportError:
    format_inspector = None  # type: ignore[assignment]

from ironic_imagedeploy.engine import findings

#: Whether it is installed.
PRESENT = format_inspector is not None
#: The inspector calls any disk with a boot sector by this name.
_BOOT_SECTOR = 'gpt'
_NAMES = ('qcow2', 'vhd', 'vhdx', 'vmdk', 'vdi', 'qed', 'iso', 'luks',
          _BOOT_SECTOR)
_FEATURES = 'check_unknown_features'
_DATA_FILE = 'check_data_file'
_VERSION_2 = b'\0\0\0\2'
#: For each format the inspector's class, and the codes of its checks.
_CHECKS = {
    'raw': (_BOOT_SECTOR, {'check_mbr_partitions': 'corrupt'}),
    'qcow2': ('qcow2', {'check_backing_file': 'backing-file',
                        _DATA_FILE: 'data-file',
                        _FEATURES: 'unknown-feature'}),
}
#: Checks of header fields that version 2 of qcow2 has not got: other bytes
#: are there, which the inspector takes for them.
_OF_VERSION_3 = (_FEATURES, _DATA_FILE)
#: What it refuses without need. Tools of good repute write other CHS values
#: into a protective MBR, and hybrid MBRs boot.
_TOO_STRICT = ('GPT MBR has invalid start CHS',
               'GPT MBR defines invalid extra partitions')


def formats(head: bytes) -> set[str]:
    """Names of the formats that the inspector sees, but for ``raw``.

    :param head: the front of the file.
    """
    if not PRESENT:
        return set()
    return {name for name in _NAMES
            if name != _BOOT_SECTOR and _matches(_look(name, head))}


def violations(head: bytes, image_format: str, *, has_table: bool,
               has_subclusters: bool) -> Iterator[findings.Finding]:
    """Findings of the inspector about an image that our readers accept.

    :param head: the front of the file.
    :param image_format: ``raw`` or ``qcow2``; it has no checks of vdi, and
        for a vmdk needs the end of the file.
    :param has_table: our reader found a partition table. Without one the
        boot sector is that of a file system (NTFS, exFAT and others), which
        the inspector takes for a damaged partition table.
    :param has_subclusters: a qcow2 with extended level 2 entries, a feature
        that the inspector does not know.
    """
    if not PRESENT or image_format == 'raw' and not has_table:
        return
    if image_format not in _CHECKS:
        return
    name, checks = _CHECKS[image_format]
    inspector = _look(name, head)
    if not _matches(inspector):
        return
    is_version_2 = name == 'qcow2' and head.startswith(_VERSION_2, 4)
    # One by one: safety_check() logs a warning also for what is accepted.
    for check, code in checks.items():
        if has_subclusters and check == _FEATURES or (
                is_version_2 and check in _OF_VERSION_3):
            continue
        try:
            getattr(inspector, check)()
        except format_inspector.SafetyViolation as reason:
            if str(reason) in _TOO_STRICT:
                yield findings.Finding(
                    code='refused-by-glance', found=str(reason),
                    expected='an image that passes the check of Glance')
            else:
                yield findings.Finding(
                    code=code, case='inspector',
                    expected=f'an image that passes its {check}()',
                    found=str(reason))


def _look(name: str, head: bytes) -> 'format_inspector.FileInspector':
    kind = format_inspector.get_inspector(name)
    assert kind is not None
    inspector = kind()
    try:
        inspector.eat_chunk(head)
    except format_inspector.ImageFormatError:
        # It is of another format, or damaged, which our reader reports.
        pass
    return inspector


def _matches(inspector: 'format_inspector.FileInspector') -> bool:
    try:
        return bool(inspector.format_match)
    except format_inspector.ImageFormatError:
        return False
