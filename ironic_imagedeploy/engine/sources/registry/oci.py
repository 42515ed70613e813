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

"""Disk images in OCI registries."""

import platform
import typing

import requests

from ironic_imagedeploy.engine import exceptions
from ironic_imagedeploy.engine.sources import answer
from ironic_imagedeploy.engine.sources import http
from ironic_imagedeploy.engine.sources import mirrors
from ironic_imagedeploy.engine.sources.registry import artifact
from ironic_imagedeploy.engine.sources.registry import client
from ironic_imagedeploy.engine.sources.registry import credentials
from ironic_imagedeploy.engine.sources.registry import reference


class OciSource(http.HttpSource):
    """File in a registry, read by ranges, which its digest is verified for.

    :param location: ``oci://REGISTRY/NAME``, with ``:TAG`` or ``@DIGEST``.
    :param arch: processor that it is to be for, where there are images for
        several; that of this machine by default.
    :param disk_format: that is preferred, where there are several.
    :param verify: as of :class:`HttpSource`.
    :param timeout: as of :class:`HttpSource`; for a whole manifest, too.
    :param look_timeout: as of :class:`HttpSource`.
    :param retries: as of :class:`HttpSource`.
    :param first_retries: as of :class:`HttpSource`.
    :param notice: as of :class:`HttpSource`.
    :param session: with which the registry is asked; closed with the source.
    :param options: those of :class:`HttpSource`.
    """

    def __init__(self, location: str, *, arch: str | None = None,
                 disk_format: str | None = None, verify: bool | str = True,
                 timeout: float = answer.TIMEOUT,
                 look_timeout: float | None = http.LOOK_TIMEOUT,
                 retries: int = mirrors.RETRIES,
                 first_retries: int | None = None,
                 notice: mirrors.Notice | None = None,
                 session: requests.Session | None = None,
                 **options: typing.Any) -> None:
        image = reference.Reference.parse(location)
        limits = answer.Limits(timeout=timeout,
                               deadline=answer.Deadline(look_timeout))
        self._registry = client.Registry(
            image, credentials.find(image), limits=limits, verify=verify,
            session=session,
            patience=lambda: mirrors.Patience(
                retries, limits.deadline, unreachable=first_retries,
                notice=notice))
        try:
            blob = artifact.find(self._registry, image,
                                 arch=arch or platform.machine(),
                                 disk_format=disk_format)
            self.declared_format = blob.disk_format
            self.declared_checksum = blob.digest
            options['checksum_stated'] = True
            super().__init__(
                location, request=self._registry.blob_request(
                    location, blob.digest),
                timeout=timeout, look_timeout=look_timeout, retries=retries,
                first_retries=first_retries, notice=notice, **options)
            self.name = location
            if self.size != blob.size:
                super().close()
                raise exceptions.SourceChanged(
                    location, expected=f'a file of {blob.size} bytes, as the '
                    'manifest states', found=f'{self.size} bytes',
                    fix='Push the image again, or check the registry.')
        except BaseException:
            self._registry.close()
            raise

    def close(self) -> None:
        super().close()
        self._registry.close()
