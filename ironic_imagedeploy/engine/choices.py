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

"""Choices that callers have, by name."""

#: Formats that are permitted where nobody says otherwise: few need the
#: others, and each is one more parser of foreign bytes.
PERMITTED_FORMATS = ('raw', 'qcow2')
#: Formats that can be permitted besides.
OTHER_FORMATS = ('vmdk', 'vdi')
#: How much is read back from the disk; the first is the default.
READ_BACKS = ('none', 'sample', 'full')
#: What proves the bytes of a file that has a manifest: its chunks, its
#: checksum, or each of them; the first is the default.
PROOFS = ('chunks', 'file', 'both')
