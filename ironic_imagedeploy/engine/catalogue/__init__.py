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

"""Codes of findings: what each one means, and what to do about it.

A code never changes its meaning. The texts speak of images, disks and
machines; who knows more of them (the file on the command line, the node and
the image in Ironic) has remedies of its own for the codes.
"""

from collections.abc import Mapping

from ironic_imagedeploy.engine.catalogue import damage
from ironic_imagedeploy.engine.catalogue import entry
from ironic_imagedeploy.engine.catalogue import files
from ironic_imagedeploy.engine.catalogue import machine
from ironic_imagedeploy.engine.catalogue import start

Entry = entry.Entry
Retry = entry.Retry
Severity = entry.Severity
Topic = entry.Topic

ENTRIES: Mapping[str, entry.Entry] = {
    **files.ENTRIES, **damage.ENTRIES, **machine.ENTRIES, **start.ENTRIES}
