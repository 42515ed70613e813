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

"""Errors of the decoders, which readers of formats make findings of.

::

    DecodeError
     |- IncompleteError
     `- WindowTooLarge
"""

from ironic_imagedeploy.engine import exceptions


class DecodeError(exceptions.ImageDeployError):
    """Compressed bytes that are not what the compression writes."""

    exit_status = 4
    summary = 'the compressed bytes are damaged'

    def __init__(self, found: str, *,
                 expected: str = 'what the compression writes') -> None:
        super().__init__('image', expected=expected, found=found, fix='')


class IncompleteError(DecodeError):
    """Compressed bytes that end before what they hold does."""

    summary = 'the compressed bytes end too early'


class WindowTooLarge(DecodeError):
    """Compressed bytes that take more memory to decode than is allowed."""

    summary = 'the compressed bytes take too much memory to decode'
