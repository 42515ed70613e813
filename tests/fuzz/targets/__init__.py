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


"""Every reader of bytes that nobody vouches for, by its name."""

import logging

from tests.fuzz import target
from tests.fuzz.targets import boot
from tests.fuzz.targets import disks
from tests.fuzz.targets import messages
from tests.fuzz.targets import network
from tests.fuzz.targets import streams
from tests.fuzz.targets import texts
from tests.fuzz.targets import writes

TARGETS: dict[str, target.Target] = {
    found.name: found for module in (
        disks, streams, texts, messages, boot, network, writes)
    for found in module.TARGETS}

# What readers say of thousands of odd files is not to be read.
logging.disable(logging.CRITICAL)
