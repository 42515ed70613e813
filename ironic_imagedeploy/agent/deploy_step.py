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

"""The deploy step stream_image, for nodes of any deploy interface.

Whoever asks for it, as a user of ``custom-agent`` or a deploy template, gives
arguments; what is not given is taken from the node's instance_info, by the
names that it has for the deploy interface ``direct``.
"""

from collections.abc import Mapping
import dataclasses
import posixpath
import re
import typing
import urllib.parse

from oslo_config import cfg

from ironic_imagedeploy.agent import config_drive
from ironic_imagedeploy.agent import image_source
from ironic_imagedeploy.agent import order as orders
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.conf import policy as conf_policy
from ironic_imagedeploy.contract import fields
from ironic_imagedeploy.contract import names
from ironic_imagedeploy.contract import order as contract
from ironic_imagedeploy.contract import policy as contract_policy
from ironic_imagedeploy import engine
from ironic_imagedeploy.engine import checksum_list

CONF = cfg.CONF
_LONGEST = 8192
#: Characters of a config drive: Ironic keeps 64 MiB, in base64.
_LONGEST_CONFIG_DRIVE = 100 << 20
#: Bytes of a file of checksums: those of distributions have some KiB.
_LARGEST_LIST = 1 << 20
_TYPES = ('whole-disk', 'partition')
_LARGEST_SIZE = 10 ** 9
_NUMBER = re.compile('[0-9]{1,9}', re.ASCII)

#: What Ironic shows of the arguments, and refuses others.
ARGSINFO = {name: {'description': description, 'required': False}
            for name, description in (
    ('image_url', 'http, https or oci URL of the image; image_source of '
     'instance_info by default.'),
    ('checksum', 'Checksum of the image as stored: ALGORITHM:HEX, as '
     'sha512:0123..., the value alone, or the URL of a file that lists it. '
     'By default that of instance_info.'),
    ('checksum_algorithm', 'Algorithm of a checksum that is given as a value '
     'alone.'),
    ('manifest_url', 'URL of the manifest of the image, by which each chunk '
     'is verified before a byte of it is used.'),
    ('manifest_root', 'SHA-256 of the manifest, which is needed with its '
     'URL.'),
    ('disk_format', 'Format that the image must have, as raw or qcow2; '
     'image_disk_format of instance_info by default.'),
    ('image_type', 'whole-disk (the default) or partition; image_type of '
     'instance_info by default.'),
    ('configdrive', 'Config drive, compressed by gzip and encoded as base64, '
     'its URL, or an object with meta_data, network_data, user_data and '
     'vendor_data; that of the node by default.'),
    ('policy', 'Object with options of [imagedeploy] for this image, as '
     'read_back; those of the ramdisk by default.'))}
STEP = {'step': names.STREAM_STEP, 'priority': 0, 'interface': 'deploy',
        'reboot_requested': False, 'argsinfo': ARGSINFO}
#: Options of the ramdisk that an argument may state.
_POLICY = {option.dest: option for option in opts.OPTS
           if option.dest in {field.name for field in dataclasses.fields(
               contract_policy.Policy)}}


class InvalidArgument(engine.exceptions.ImageDeployError):
    """An argument of the step that cannot be used."""

    summary = 'the deploy step cannot be carried out'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    """Arguments of the step, checked, with what the node gives instead.

    :ivar image_url: of the image.
    :ivar checksum: a value, or the URL of a file that lists it.
    :ivar checksum_algorithm: of a value.
    :ivar manifest: of the image, when one is given.
    :ivar disk_format: that the image must have.
    :ivar image_type: whole-disk or partition.
    :ivar configdrive: encoded, or its URL.
    :ivar policy: of the write.
    """

    image_url: str
    checksum: str | None
    checksum_algorithm: str | None
    manifest: contract.RemoteManifest | None
    disk_format: str | None
    image_type: str
    configdrive: str | None = dataclasses.field(repr=False)
    policy: contract_policy.Policy

    @classmethod
    def read(cls, node: Mapping[str, typing.Any],
             given: Mapping[str, typing.Any]) -> 'Arguments':
        """Read the arguments that were given for a node.

        :raises InvalidArgument: for the first that cannot be used.
        """
        for name in given:
            if name not in ARGSINFO:
                raise _invalid(name, 'one of ' + ', '.join(ARGSINFO),
                               'an argument of another name')
        info = node.get('instance_info') or {}
        values = {name: value for name, value in given.items()
                  if value is not None}
        if 'checksum' not in values:
            values |= _stated_checksum(info)
        for name, key in (('image_url', 'image_source'),
                          ('disk_format', 'image_disk_format'),
                          ('image_type', 'image_type'),
                          ('configdrive', 'configdrive')):
            if name not in values and info.get(key) is not None:
                values[name] = info[key]
        return cls(
            image_url=_url('image_url', values.get('image_url'),
                           'http', 'https', 'oci'),
            checksum=_text('checksum', values.get('checksum')),
            checksum_algorithm=_text('checksum_algorithm',
                                     values.get('checksum_algorithm')),
            manifest=_manifest(values),
            disk_format=_choice('disk_format', values.get('disk_format'),
                                contract_policy.FORMATS),
            image_type=_choice('image_type', values.get('image_type'),
                               _TYPES) or _TYPES[0],
            configdrive=_config_drive(values.get('configdrive'), node),
            policy=_policy(values.get('policy')))

    def order(self, node: dict[str, typing.Any]) -> orders.WriteOrder:
        """The order that they make.

        :raises InvalidArgument: when the checksum cannot be used.
        :raises DeploymentError: when something is missing.
        """
        image_info: dict[str, typing.Any] = {
            'id': posixpath.basename(
                urllib.parse.urlsplit(self.image_url).path) or 'image',
            'urls': [self.image_url], 'disk_format': self.disk_format,
            'image_type': self.image_type, 'node_uuid': node.get('uuid'),
            **(_sizes(node.get('instance_info') or {})
               if self.image_type == 'partition' else {})}
        sent = contract.DeployOrder(policy=self.policy,
                                    manifest=self.manifest,
                                    own_boot_loader=True)
        order = orders.WriteOrder.of(sent, node, image_info,
                                     self.configdrive)
        checksum = self._parsed_checksum(order.download)
        return dataclasses.replace(
            order, checksum=checksum, download=dataclasses.replace(
                order.download, checksum_stated=bool(
                    checksum and not checksum.weak)))

    def _parsed_checksum(self, download: orders.Download
                         ) -> engine.Checksum | None:
        if not self.checksum:
            return None
        try:
            if '://' in self.checksum:
                return self._listed_checksum(download)
            if self.checksum_algorithm and ':' not in self.checksum:
                return engine.Checksum(self.checksum_algorithm,
                                       self.checksum)
            return engine.Checksum.parse(self.checksum)
        except ValueError as error:
            raise _invalid('checksum', 'a value of sha512 or sha256, or a '
                           'file that has one for the image', str(error)
                           ) from None

    def _listed_checksum(self, download: orders.Download) -> engine.Checksum:
        """Checksum that a file of checksums has for the image."""
        assert self.checksum is not None
        url = _url('checksum', self.checksum)
        with image_source.open_separate(download, url) as source:
            if source.size > _LARGEST_LIST:
                raise ValueError(f'a file of {source.size} bytes')
            text = source.read_at(0, source.size).decode('utf-8', 'replace')
        name = posixpath.basename(urllib.parse.urlsplit(self.image_url).path)
        return checksum_list.find(text, urllib.parse.unquote(name))


def _stated_checksum(info: Mapping[str, typing.Any]
                     ) -> dict[str, typing.Any]:
    """The checksum in instance_info; a multihash comes first.

    Its algorithm is empty where the baremetal operator leaves it to others.
    """
    if info.get('image_os_hash_value'):
        return {'checksum': info['image_os_hash_value'],
                'checksum_algorithm': info.get('image_os_hash_algo')}
    if info.get('image_checksum'):
        return {'checksum': info['image_checksum']}
    return {}


def _sizes(info: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Sizes of the partitions of the node, by the names of image_info."""
    def size(name: str, unit: int = 1) -> int | None:
        value = info.get(name)
        if value in (None, ''):
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = int(value)
        if type(value) is not int or not 0 <= value < _LARGEST_SIZE:
            raise _invalid(name, 'a whole number in instance_info',
                           'something else')
        return value * unit

    return {'root_mb': size('root_gb', 1024), 'swap_mb': size('swap_mb'),
            'ephemeral_mb': size('ephemeral_gb', 1024),
            'ephemeral_format': _text('ephemeral_format',
                                      info.get('ephemeral_format')),
            'preserve_ephemeral': info.get('preserve_ephemeral') in (
                True, 'True', 'true', '1')}


def _policy(given: typing.Any) -> contract_policy.Policy:
    """The policy of the ramdisk, with what is given instead."""
    policy = conf_policy.from_conf(CONF)
    if given is None:
        return policy
    if not isinstance(given, Mapping):
        raise _invalid('policy', 'an object', 'something else')
    values = {}
    for name, value in given.items():
        option = _POLICY.get(name)
        if option is None:
            raise _invalid('policy', 'some of ' + ', '.join(_POLICY),
                           f'{str(name)[:40]!r}')
        try:
            values[name] = option.type(
                ','.join(value) if isinstance(value, list) else value)
        except (TypeError, ValueError) as error:
            raise _invalid(f'policy.{name}', 'a value that the option of '
                           'this name takes', str(error)) from None
    return policy.updated(values)


def _manifest(values: Mapping[str, typing.Any]
              ) -> contract.RemoteManifest | None:
    url, root = values.get('manifest_url'), values.get('manifest_root')
    if url is None and root is None:
        return None
    try:
        root = engine.Checksum('sha256', root or '').value
    except (AttributeError, ValueError):
        raise _invalid('manifest_root', '64 hexadecimal digits, with '
                       'manifest_url', 'something else') from None
    return contract.RemoteManifest(url=_url('manifest_url', url), root=root,
                                   size=None)


def _url(name: str, value: typing.Any, *schemes: str) -> str:
    schemes = schemes or ('http', 'https')
    expected = f'a URL that begins with {" or ".join(schemes)}'
    url = _text(name, value)
    if not url:
        raise _invalid(name, expected, 'none')
    scheme = url.partition(':')[0].lower() if '://' in url else ''
    if scheme not in schemes:
        # It may be the UUID of an image in Glance, or have a login in it.
        raise _invalid(name, expected + ', which the node can read',
                       f'the scheme {scheme[:20]!r}' if scheme
                       else 'something else')
    engine.redact(url)
    return url


def _config_drive(value: typing.Any, node: Mapping[str, typing.Any]
                  ) -> str | None:
    """The config drive: as it is, or made of the parts that Ironic has."""
    if not value:
        return None
    if isinstance(value, Mapping) and set(value) <= set(config_drive.FILES):
        return config_drive.build(value, node)
    if (not isinstance(value, str) or not value.isascii()
            or len(value) > _LONGEST_CONFIG_DRIVE):
        raise _invalid('configdrive', 'base64, a URL, or an object with some '
                       'of ' + ', '.join(config_drive.FILES),
                       'something else')
    return value


def _text(name: str, value: typing.Any) -> str | None:
    if value is None:
        return None
    if (not isinstance(value, str) or len(value) > _LONGEST
            or not value.isprintable()):
        raise _invalid(name, f'{_LONGEST} printable characters at most',
                       'something else')
    return value


def _choice(name: str, value: typing.Any, choices: tuple[str, ...]
            ) -> str | None:
    found = _text(name, value)
    if found and found not in choices:
        raise _invalid(name, 'one of ' + ', '.join(choices),
                       repr(fields.printable(found, fields.WORD)))
    return found


def _invalid(name: str, expected: str, found: str) -> InvalidArgument:
    return InvalidArgument(
        f'{names.STREAM_STEP}: {name}', expected=expected, found=found,
        fix='Correct the argument of the deploy step, or the field of the '
            'node that it is taken from. The disk was not touched.')
