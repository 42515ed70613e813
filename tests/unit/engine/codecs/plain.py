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

"""A machine without some of the libraries of codecs."""

import importlib.util
import sys
import typing
import unittest
from unittest import mock

from ironic_imagedeploy.engine.codecs import libraries

NAMES = ('deflate', 'isal', 'zstd', 'zstandard')


def without(*packages: str) -> typing.Any:
    """The libraries of a machine that does not have these packages."""
    spec = importlib.util.spec_from_file_location('plain', libraries.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, dict.fromkeys(packages)):
        spec.loader.exec_module(module)
    return module


def remove(case: unittest.TestCase, *packages: str) -> None:
    """Let a test run without these packages."""
    found = without(*packages)
    for name in NAMES:
        case.enterContext(mock.patch.object(
            libraries, name, getattr(found, name)))
