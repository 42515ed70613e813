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

"""Images onto disks: the engine, without anything of Ironic.

::

    with engine.open_source('https://example.com/disk.qcow2') as source:
        inspection = engine.inspect(source, engine.Expectation(...))
        inspection.raise_if_refused()
        with engine.open_target('/dev/sdb') as target:
            report = engine.transfer(inspection, target)
"""

import importlib
import typing

from ironic_imagedeploy.engine.budget import Budget
from ironic_imagedeploy.engine.checksum import Checksum
from ironic_imagedeploy.engine.contents.partitions import Partition
from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.extent import Extent
from ironic_imagedeploy.engine.extent import ExtentKind
from ironic_imagedeploy.engine.findings import Finding
from ironic_imagedeploy.engine.findings import Severity
from ironic_imagedeploy.engine.inspection.expectation import Expectation
from ironic_imagedeploy.engine.inspection.inspect import inspect
from ironic_imagedeploy.engine.inspection.result import Inspection
from ironic_imagedeploy.engine.sources.base import may_know_secrets
from ironic_imagedeploy.engine.sources.base import origin
from ironic_imagedeploy.engine.sources.base import redact
from ironic_imagedeploy.engine.sources.base import Source
from ironic_imagedeploy.engine.sources.chunked import ChunkAbsent
from ironic_imagedeploy.engine.sources.chunked import ChunkedSource
from ironic_imagedeploy.engine.sources.chunked import Supplier
from ironic_imagedeploy.engine.sources import open_source
from ironic_imagedeploy.engine.sources.verified import VerifiedStream
from ironic_imagedeploy.engine.targets.base import Target
from ironic_imagedeploy.engine.targets import open_target
from ironic_imagedeploy.engine.transfer.fit import require_fit
from ironic_imagedeploy.engine.transfer.gpt import repair_gpt
from ironic_imagedeploy.engine.transfer.image_target import ImageTarget
from ironic_imagedeploy.engine.transfer.listed import transfer_listed
from ironic_imagedeploy.engine.transfer.meter import Progress
from ironic_imagedeploy.engine.transfer.report import Report
from ironic_imagedeploy.engine.transfer.transfer import compare
from ironic_imagedeploy.engine.transfer.transfer import transfer

if typing.TYPE_CHECKING:
    from ironic_imagedeploy.engine.sources.authorization import Authorization
    from ironic_imagedeploy.engine.sources.clouds import cloud_failure
    from ironic_imagedeploy.engine.sources.clouds import limit_service
    from ironic_imagedeploy.engine.sources.clouds import require_sdk
    from ironic_imagedeploy.engine.sources.glance import glance_request
    from ironic_imagedeploy.engine.sources.heads import limit_heads
    from ironic_imagedeploy.engine.sources.http import LOOK_TIMEOUT
    from ironic_imagedeploy.engine.sources.reasons import reason

__all__ = [
    'Authorization', 'Budget', 'Checksum', 'ChunkAbsent', 'ChunkedSource',
    'Expectation', 'Extent', 'ExtentKind', 'Finding', 'ImageTarget',
    'Inspection', 'LOOK_TIMEOUT', 'Partition', 'Progress', 'Report',
    'Severity', 'Source', 'Supplier', 'Target', 'VerifiedStream',
    'cloud_failure', 'compare', 'exceptions', 'glance_request', 'inspect',
    'limit_heads', 'limit_service', 'may_know_secrets', 'open_source',
    'open_target', 'origin', 'reason', 'redact', 'repair_gpt', 'require_fit',
    'require_sdk', 'transfer', 'transfer_listed',
]

#: Names that need a client of the web, and the modules of sources that have
#: them. Its import takes a fifth of the time until a command begins.
_OF_THE_WEB = {
    'Authorization': 'authorization', 'LOOK_TIMEOUT': 'http',
    'cloud_failure': 'clouds', 'glance_request': 'glance',
    'limit_heads': 'heads', 'limit_service': 'clouds', 'reason': 'reasons',
    'require_sdk': 'clouds',
}

if not typing.TYPE_CHECKING:
    def __getattr__(name: str) -> typing.Any:
        """Name of the web, whose module is imported at its first use."""
        if name not in _OF_THE_WEB:
            raise AttributeError(
                f'module {__name__!r} has no attribute {name!r}')
        return getattr(importlib.import_module(
            f'{__name__}.sources.{_OF_THE_WEB[name]}'), name)
