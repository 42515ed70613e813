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

"""Options that are misspelt, or that contradict each other."""

from collections.abc import Iterator
import contextlib
import difflib
import os
import pathlib
import re

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from ironic_imagedeploy.conf import opts

Code = upgradecheck.Code
_NOT_VALID = (cfg.ConfigFileValueError, cfg.ConfigSourceValueError,
              ValueError)
#: How bad it is, and sentences that say what it is and what to do.
Problem = tuple[upgradecheck.Code, str]
#: Options of Ironic that the checks below read, by group.
_OF_IRONIC = {
    'DEFAULT': ('force_raw_images',),
    'agent': ('allow_md5_checksum', 'image_download_source'),
    'conductor': ('disable_deep_image_inspection', 'permitted_image_formats'),
    'deploy': ('http_root', 'http_url')}


def problems(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    """Problems of the options that deployments depend on.

    :raises cfg.Error: when a file cannot be parsed.
    """
    yield from _misspelt(conf)
    yield from _invalid(conf)
    for check in (_formats, _checksums, _ramdisks, _download, _neighbours,
                  _start_findings, _without_effect):
        # What is not valid was told already, and says nothing more.
        with contextlib.suppress(*_NOT_VALID):
            yield from check(conf)


def _misspelt(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    """Names of options and groups that oslo.config does not know.

    It ignores them.
    """
    groups = [group.name for group, _ in opts.list_opts()]
    for path in _files(conf):
        for name in _sections(path):
            if name.lower() in {*groups, *map(str.lower, conf)}:
                continue
            if near := difflib.get_close_matches(
                    name.lower(), groups, cutoff=0.75):
                yield (Code.WARNING,
                       f'{path}: nobody reads the group [{name}], and what '
                       f'it says is ignored: is it [{near[0]}]? Correct or '
                       'remove it.')
    for group, options in opts.list_opts():
        known = {option.dest for option in options}
        for path in _files(conf):
            for name in _sections(path).get(group.name, {}):
                if name in known:
                    continue
                near = difflib.get_close_matches(name, known)
                meant = f'is it {near[0]}? ' if near else ''
                yield (Code.WARNING,
                       f'{path}: [{group.name}] has no option {name}, and it '
                       f'is ignored: {meant}Correct or remove it.')


def _invalid(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    """Options whose values oslo.config does not take.

    It reads an option when somebody asks for it, which may be a deployment.
    """
    names = [*_OF_IRONIC.items(), *(
        (group.name, [option.dest for option in options])
        for group, options in opts.list_opts())]
    for group, options in names:
        for name in options:
            try:
                conf.get(name) if group == 'DEFAULT' else conf[group][name]
            except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
                # Of a hardware type that is not enabled.
                continue
            except _NOT_VALID as error:
                yield (Code.FAILURE,
                       f'{_setting(conf, group, name)} is not valid: '
                       f'{_reason(error)}. Correct the value.')


def _reason(error: Exception) -> str:
    # The text of oslo.config has its own objects in it; what the type said
    # is the reason, but for Python's own words about numbers.
    reason = str(error.__context__ or error)
    if match := re.search('^(?:invalid literal for int|could not convert '
                          "string to float).*('.*')$", reason):
        return f'{match[1]} is not a number'
    return reason


def _setting(conf: cfg.ConfigOpts, group: str, name: str) -> str:
    """Setting of an option, with the file and the value where one has it."""
    setting = f'[{group}]{name}'
    for path in _files(conf):
        if values := _sections(path).get(group, {}).get(name):
            setting = f'{path}: [{group}]{name} = {values[-1]}'
    return setting


def _sections(path: pathlib.Path) -> dict[str, dict[str, list[str]]]:
    """Values in a file, by group and option.

    The case of a group does not count, as oslo.config reads them.
    """
    read: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(str(path), read).parse()
    sections: dict[str, dict[str, list[str]]] = {}
    for group, options in read.items():
        name = group if group == 'DEFAULT' else group.lower()
        for option, values in options.items():
            sections.setdefault(name, {}).setdefault(option, []).extend(values)
    return sections


def _files(conf: cfg.ConfigOpts) -> Iterator[pathlib.Path]:
    for name in conf.config_file or ():
        yield pathlib.Path(name)
    for name in conf.config_dir or ():
        yield from sorted(pathlib.Path(name).glob('*.conf'))


def _formats(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    permitted = conf.imagedeploy.permitted_formats
    if not permitted:
        yield (Code.FAILURE,
               '[imagedeploy]permitted_formats is empty, so every image is '
               'refused: name the formats, for instance raw,qcow2.')
    by_ironic = conf.conductor.permitted_image_formats
    lacking = [name for name in permitted if name not in by_ironic]
    if (lacking and not conf.imagedeploy.require_agent
            and not conf.conductor.disable_deep_image_inspection):
        yield (Code.WARNING,
               f'[imagedeploy]permitted_formats has {", ".join(lacking)}, '
               'but a deploy ramdisk without the agent side holds images '
               'against [conductor]permitted_image_formats, which has not: '
               'add it there, or remove it here.')


def _checksums(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    if not conf.imagedeploy.insecure_checksums_permitted:
        return
    yield (Code.WARNING,
           '[imagedeploy]insecure_checksums_permitted is True: an image that '
           'only md5 or sha1 vouches for may have been replaced by another. '
           'Give the images a sha256 or sha512, then set it to False.')
    if not conf.agent.allow_md5_checksum:
        yield (Code.WARNING,
               'Images with an md5 fail all the same, because '
               '[agent]allow_md5_checksum is False: set both alike.')


def _ramdisks(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    if conf.imagedeploy.require_agent:
        return
    read_back = conf.imagedeploy.read_back
    lost = ('nor reads anything back as [imagedeploy]read_back = '
            f'{read_back} asks' if read_back != 'none'
            else 'nor resumes a download')
    yield (Code.WARNING,
           '[imagedeploy]require_agent is False: a deploy ramdisk without '
           'the agent side writes images as direct does; it neither proves '
           f'them before they are bootable {lost}. Set it to True once all '
           'deploy ramdisks carry the agent side.')


def _download(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    source = conf.agent.image_download_source
    if source == 'swift':
        return
    if not conf.deploy.http_url:
        yield (Code.FAILURE if source == 'local' else Code.WARNING,
               f'[agent]image_download_source is {source}, so the conductor '
               f'serves {"all" if source == "local" else "Glance"} images, '
               'but [deploy]http_url is not set: set it to the URL of the '
               'web server that serves [deploy]http_root, or set '
               '[agent]image_download_source to '
               f'{"http or " if source == "local" else ""}swift.')
    elif not os.path.isdir(conf.deploy.http_root):
        yield (Code.WARNING,
               f'[deploy]http_root is {conf.deploy.http_root}, which is '
               'not a folder on this machine: make it, and let the web server '
               'of [deploy]http_url serve it.')


def _neighbours(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    if not conf.imagedeploy.neighbours:
        return
    if conf.imagedeploy.verify == 'file':
        yield (Code.WARNING,
               '[imagedeploy]neighbours has no effect, since '
               '[imagedeploy]verify = file has nodes verify no chunks: set '
               'that to chunks or both, or neighbours to False.')
    if conf.agent.image_download_source == 'swift':
        yield (Code.WARNING,
               '[imagedeploy]neighbours has no effect on images of Glance, '
               'since [agent]image_download_source = swift has nodes fetch '
               'them from there: set that to http, or neighbours to False.')


def _start_findings(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    raised = conf.imagedeploy.start_findings_raised
    muted = conf.imagedeploy.start_findings_muted
    if both := sorted({*raised} & {*muted}):
        yield (Code.WARNING,
               f'[imagedeploy]start_findings_muted has {", ".join(both)}, '
               'which [imagedeploy]start_findings_raised has, too: images '
               'are refused for it. Remove it from one of them.')
    if conf.imagedeploy.start_findings == 'off' and raised:
        yield (Code.WARNING,
               '[imagedeploy]start_findings_raised has no effect, since '
               '[imagedeploy]start_findings = off has nobody look at how the '
               'system in an image starts: set that to warn.')


def _without_effect(conf: cfg.ConfigOpts) -> Iterator[Problem]:
    """Options without an effect, on which an operator may count."""
    set_at = conf.get_location('force_raw_images')
    if (conf.force_raw_images and set_at
            and set_at.location.is_user_controlled):
        yield (Code.SUCCESS,
               '[DEFAULT]force_raw_images has no effect on imagedeploy, '
               'which never converts an image.')
