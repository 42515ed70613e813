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

"""Refusals of images before their bytes are looked at."""

from ironic.common import exception

from ironic_imagedeploy import engine


def refused(code: str, name: str, *, message: str, expected: str,
            found: str, fix: str) -> exception.InvalidParameterValue:
    """Error that Ironic's users see of an image that is not acceptable.

    :param name: of the image, without secrets.
    """
    return exception.InvalidParameterValue(str(
        engine.exceptions.ImageRefused(
            name, [engine.Finding(code=code, message=message,
                                  expected=expected, found=found,
                                  fix=fix)])))
