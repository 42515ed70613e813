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


"""Manifest of the disk in a compressed image, which rebuilds ask for."""

import time

from oslo_log import log

from ironic.common import metrics_utils

from ironic_imagedeploy.conductor.cache import entry as entries
from ironic_imagedeploy.conductor.cache import record
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import manifest
from ironic_imagedeploy.engine.transfer import disk_manifest

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)


def add(entry: entries.Entry, known: record.Record,
        expectation: engine.Expectation) -> None:
    """Make the manifest where one is wanted, of use and not there.

    Without it a rebuild fetches all of the image: no deployment fails here.

    :param entry: locked by the caller.
    :param known: record of its file, which learns of the manifest.
    :param expectation: by which the image was accepted.
    """
    if not entry.lacks_disk_manifest(known) or known.manifest is None:
        return
    start = time.monotonic()
    try:
        made = _make(entry.path, expectation, known.manifest.checksum)
    except (OSError, engine.exceptions.ImageDeployError) as error:
        LOG.warning('Rebuilds with image %(path)s fetch all of it: the disk '
                    'in it cannot be hashed: %(error)s',
                    {'path': entry.path, 'error': error})
        return
    if made and not known.is_about(entry.path):
        # Somebody writes to it, which the node will see by its manifest.
        return
    known.needs_disk_manifest = made is not None
    known.disk_manifest = entry.keep_manifest(made) if made else None
    entry.save(known)
    if made:
        LOG.info('Hashed the disk of %(size)d bytes in image %(path)s in '
                 '%(seconds).1f s', {
                     'size': made.size, 'path': entry.path,
                     'seconds': time.monotonic() - start})


@METRICS.timer('ImageDeploy.hash_disk')
def _make(path: str, expectation: engine.Expectation,
          checksum: engine.Checksum) -> manifest.Manifest | None:
    """The manifest; None for an image with which it is of no use."""
    with engine.open_source(path) as source:
        image = engine.inspect(source, expectation).accepted()
        if not disk_manifest.is_of_use(image):
            return None
        return disk_manifest.make(image, source, checksum)
