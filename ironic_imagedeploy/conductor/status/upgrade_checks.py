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

"""Checks of what deployments on this conductor depend on."""

from collections.abc import Iterator
import importlib
from importlib import metadata
import sys
import typing

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
from oslo_utils import versionutils

# First: it chooses the threading backend that Ironic's modules expect.
from ironic import command  # noqa: F401
from ironic.common import driver_factory
from ironic.common import exception
from ironic.conf import CONF
from ironic.drivers import base

from ironic_imagedeploy.conductor.status import option_checks
from ironic_imagedeploy.conf import opts
from ironic_imagedeploy.contract import names

NAME = names.DEPLOY_INTERFACE
#: The oldest Ironic that the package is tested with.
OLDEST_IRONIC = '38.0.0'
_INSPECTOR = 'oslo_utils.imageutils.format_inspector'

Code = upgradecheck.Code
Problem = option_checks.Problem


class Checks(upgradecheck.UpgradeCommands):
    """The checks of ``ironic-imagedeploy-status upgrade check``."""

    def _check_configuration_files(self) -> upgradecheck.Result:
        return result(_configuration_files())

    def _check_ironic(self) -> upgradecheck.Result:
        return result(_ironic())

    def _check_deploy_interfaces(self) -> upgradecheck.Result:
        return result(_deploy_interfaces())

    def _check_hardware_types(self) -> upgradecheck.Result:
        return result(_hardware_types())

    def _check_options(self) -> upgradecheck.Result:
        return result(option_checks.problems(CONF))

    def _check_codecs(self) -> upgradecheck.Result:
        return result(_codecs())

    _upgrade_checks = (
        ('Configuration files', _check_configuration_files),
        ('Version of Ironic', _check_ironic),
        ('Deploy interfaces', _check_deploy_interfaces),
        ('Hardware types', _check_hardware_types),
        ('Options', _check_options),
        ('Codecs', _check_codecs),
    )


def result(problems: Iterator[Problem]) -> upgradecheck.Result:
    """Result of all problems of a check; an unreadable value is one."""
    found: list[Problem] = []
    try:
        found.extend(problems)
    except (cfg.Error, ValueError) as error:
        found.append((Code.FAILURE, f'{error}. Correct the value.'))
    return upgradecheck.Result(
        max((code for code, _ in found), default=Code.SUCCESS),
        ' '.join(text for _, text in found) or None)


def _configuration_files() -> Iterator[Problem]:
    if not (CONF.config_file or CONF.config_dir):
        yield (Code.FAILURE,
               'No ironic.conf was found, so these are the results for '
               "Ironic's defaults. Run the command on the conductor's "
               'machine, or name the files that ironic-conductor reads with '
               '--config-file and --config-dir.')


def _ironic() -> Iterator[Problem]:
    installed = metadata.version('ironic')
    if not versionutils.is_compatible(OLDEST_IRONIC, installed,
                                      same_major=False):
        yield (Code.FAILURE,
               f'Ironic {installed} is installed, {OLDEST_IRONIC} or later '
               'is needed: upgrade Ironic, or remove imagedeploy from '
               '[DEFAULT]enabled_deploy_interfaces.')


def _deploy_interfaces() -> Iterator[Problem]:
    problems = [*_names()]
    yield from problems
    if any(code == Code.FAILURE for code, _ in problems):
        return
    try:
        interfaces = driver_factory.interfaces('deploy')
    except exception.IronicException as error:
        yield Code.FAILURE, _not_loaded(error)
        return
    if 'autodetect' in interfaces:
        yield from _before_imagedeploy(interfaces)


def _names() -> Iterator[Problem]:
    """Whether each name stands for something that is installed or enabled."""
    enabled = CONF.enabled_deploy_interfaces
    installed = metadata.entry_points(
        group='ironic.hardware.interfaces.deploy').names
    unknown = [name for name in enabled if name not in installed]
    if unknown:
        yield (Code.FAILURE,
               '[DEFAULT]enabled_deploy_interfaces has names that no '
               f'installed package provides: {", ".join(unknown)}. '
               'ironic-conductor will not start. Correct them, or install '
               'their package; installed are '
               f'{", ".join(sorted(installed))}.')
    if NAME not in enabled:
        yield (Code.WARNING,
               'No node can be deployed with imagedeploy: add it to '
               '[DEFAULT]enabled_deploy_interfaces and restart '
               'ironic-conductor.')
    default = CONF.default_deploy_interface
    if default and default not in enabled:
        yield (Code.FAILURE,
               f'[DEFAULT]default_deploy_interface is {default}, which is '
               'not in [DEFAULT]enabled_deploy_interfaces: add it there.')
    lacking = [name for name in CONF.autodetect_deploy_interfaces
               if name not in enabled]
    if 'autodetect' in enabled and lacking:
        yield (Code.FAILURE,
               '[DEFAULT]autodetect_deploy_interfaces has names that '
               '[DEFAULT]enabled_deploy_interfaces has not: '
               f'{", ".join(lacking)}. ironic-conductor will not start. Add '
               'them there, or remove them here.')


def _before_imagedeploy(interfaces: dict[str, base.DeployInterface]
                        ) -> Iterator[Problem]:
    """Whether autodetect asks imagedeploy at all."""
    asked = CONF.autodetect_deploy_interfaces
    if NAME not in asked:
        return
    for name in asked[:asked.index(NAME)]:
        if (type(interfaces[name]).supports_deploy
                is base.DeployInterface.supports_deploy):
            yield (Code.WARNING,
                   f'autodetect never chooses imagedeploy, because {name} '
                   'takes every image and stands before it in '
                   '[DEFAULT]autodetect_deploy_interfaces: put imagedeploy '
                   f'before {name}.')
            return


def _not_loaded(error: Exception) -> str:
    return (f'{str(error).rstrip(".")}. ironic-conductor will not start '
            'before this is mended.')


def _hardware_types() -> Iterator[Problem]:
    try:
        types = driver_factory.hardware_types()
    except exception.IronicException as error:
        yield Code.FAILURE, _not_loaded(error)
        return
    if any(code == Code.FAILURE for code, _ in _deploy_interfaces()):
        yield (Code.WARNING,
               'Not known before the deploy interfaces load, see there.')
        return
    if NAME not in CONF.enabled_deploy_interfaces:
        return
    refusing = sorted(name for name, kind in types.items()
                      if not _accepts(kind))
    if not refusing:
        return
    remedy = ('Its class does not list what it inherits; use another '
              'hardware type: ')
    if not CONF.imagedeploy.extend_hardware_types:
        remedy = ('Set [imagedeploy]extend_hardware_types to True, or use '
                  'another hardware type: ')
    yield (Code.WARNING if len(refusing) < len(types) else Code.FAILURE,
           f'Nodes of hardware type {", ".join(refusing)} cannot use '
           f'imagedeploy. {remedy}imagedeploy-redfish and imagedeploy-ipmi '
           'name it themselves.')


def _accepts(kind: typing.Any) -> bool:
    try:
        driver_factory.get_interface(kind, 'deploy', NAME)
    except exception.IncompatibleInterface:
        return False
    return True


def _codecs() -> Iterator[Problem]:
    zstd = ('compression.zstd' if sys.version_info >= (3, 14)
            else 'backports.zstd')
    lost = []
    for module, consequence in (
            ('isal.isal_zlib', 'images are decompressed more slowly'),
            (zstd, 'images compressed with Zstandard are refused'),
            (_INSPECTOR, "OpenStack's own inspector has no say")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            lost.append(f'{consequence} ({error})')
    if lost:
        yield (Code.WARNING,
               f'Libraries are missing: {", and ".join(lost)}. Install '
               'the wheel again, with the extras [conductor,fast]; the deploy '
               'ramdisk needs the like: [agent,fast].')


def main(arguments: list[str]) -> int:
    """Run the command with Ironic's configuration.

    :param arguments: those of the command line.
    :returns: the exit status.
    """
    opts.register_opts(CONF)
    try:
        return upgradecheck.main(
            CONF, 'ironic', Checks(), argv=arguments,
            default_config_files=cfg.find_config_files(
                'ironic', 'ironic-conductor'))
    except cfg.Error as error:
        print(f'Error: {error}', file=sys.stderr)
        return 255
