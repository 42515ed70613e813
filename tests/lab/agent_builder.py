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

"""The deploy ramdisk of ironic-python-agent-builder, with our element.

It is built as the guide says. What this machine cannot reach comes from
elsewhere: the sources from releases in the package index, the constraints from
the versions that the tests use.
"""

import importlib.metadata
import os
import pathlib
import shutil
import ssl
import sys
from typing import Any

from tests.lab import machine
from tests.lab import ramdisk
from tests.lab import scenario
from tests.support import cache
from tests.support import commands
from tests.support import debian

#: The release that operators get.
_BUILDER = ('ironic-python-agent-builder==7.4.0', 'diskimage-builder==3.43.0')
_GLEAN = 'glean'
_FILES = pathlib.Path(__file__).parent / 'files'
#: Name of an element that lets pip in there use the index of this machine.
ELEMENT = 'machine-index'
_HOOK = 'element-machine-index'
_LONGEST = 2400
#: It has all of Debian's modules, and is unpacked in memory.
MEMORY_MIB = 4096


class AgentBuilderJob(scenario.MainJob):
    """The main job, with this ramdisk."""

    def build_ramdisk(self) -> None:
        self._ramdisk = build(self._checkout)

    def _new_machine(self, **traits: Any) -> machine.Machine:
        return super()._new_machine(memory_mib=MEMORY_MIB, **traits)


def build(checkout: pathlib.Path) -> ramdisk.Ramdisk:
    """The ramdisk with the agent side of the checkout's commit, kept."""
    commit = commands.run('git', '-C', checkout, 'rev-parse', 'HEAD')
    folder = cache.get(
        'agent-builder', [commit, pathlib.Path(__file__), _FILES / _HOOK,
                          pathlib.Path(debian.__file__),
                          importlib.metadata.version('ironic-python-agent')],
        lambda place: _build(checkout, place))
    return ramdisk.Ramdisk(folder / 'kernel', folder / 'initramfs')


def _build(checkout: pathlib.Path, folder: pathlib.Path) -> None:
    work = folder / 'work'
    work.mkdir()
    lent_variables = lent(work)
    programs = _programs(work / 'venv')
    output = work / 'ironic-python-agent'
    commands.run(
        programs / 'ironic-python-agent-builder', '--element', 'imagedeploy',
        '--element', ELEMENT, '--output', output,
        '--extra-args', f'--image-cache {work / "cache"}', 'debian',
        timeout=_LONGEST, cwd=work, env={
            'PATH': f'{programs}:{os.environ["PATH"]}',
            'PYTHONPATH': '',
            'ELEMENTS_PATH': f'{checkout / "dib"}:{work / "elements"}',
            **lent_variables})
    for suffix in ('kernel', 'initramfs'):
        shutil.move(f'{output}.{suffix}', folder / suffix)
    shutil.rmtree(work)


def lent(work: pathlib.Path) -> dict[str, str]:
    """Variables for a builder that reaches no more than this machine does.

    :param work: gets the sources, and :data:`ELEMENT` in ``elements``.
    """
    _write_element(work / 'elements' / ELEMENT)
    return {
        **_origins(work / 'origins'), **_mirror(),
        # Without the firmware of hardware that is not there.
        'DIB_DEBIAN_COMPONENTS': 'main',
        # Inside and outside a file for pip says which ones to trust.
        **dict.fromkeys(('PIP_CERT', 'PIP_FIND_LINKS', 'CURL_CA_BUNDLE',
                         'REQUESTS_CA_BUNDLE'), '')}


def _programs(folder: pathlib.Path) -> pathlib.Path:
    """The folder with the programs of the builder, in their environment."""
    commands.run(sys.executable, '-m', 'venv', folder)
    commands.run(folder / 'bin/python', '-m', 'pip', 'install', '-q',
                 'setuptools', *_BUILDER, timeout=900)
    return folder / 'bin'


def _origins(folder: pathlib.Path) -> dict[str, str]:
    """Where the builder finds what it would clone, as its variables."""
    agent = importlib.metadata.version('ironic-python-agent')
    repositories = {
        'ironic_python_agent': _release(
            folder / 'agent', f'ironic-python-agent=={agent}'),
        'glean': _release(folder / 'glean', _GLEAN)}
    requirements = folder / 'requirements'
    requirements.mkdir()
    (requirements / 'upper-constraints.txt').write_text(''.join(
        f'{package.name}==={package.version}\n'
        for package in importlib.metadata.distributions()
        if package.name != 'ironic-imagedeploy'))
    repositories['requirements'] = requirements
    for path in repositories.values():
        git = ['git', '-C', path, '-c', 'user.name=lab', '-c',
               'user.email=lab@localhost']
        commands.run(*git, 'init', '-q', '-b', 'master')
        commands.run(*git, 'add', '--force', '--all')
        commands.run(*git, 'commit', '-q', '-m', 'As it was released')
    return {f'DIB_REPOLOCATION_{name}': str(path)
            for name, path in repositories.items()}


def _release(folder: pathlib.Path, requirement: str) -> pathlib.Path:
    """The source of a release, as the package index has it."""
    folder.mkdir(parents=True)
    commands.run(
        sys.executable, '-m', 'pip', 'download', '-q', '--no-deps',
        '--no-binary', ':all:', '--dest', folder, requirement)
    tree = folder / 'tree'
    tree.mkdir()
    commands.run('tar', '-C', tree, '--strip-components=1', '-xf',
                 next(folder.glob('*.tar.gz')))
    return tree


def _mirror() -> dict[str, str]:
    """The archives that apt uses, as the builder's variables."""
    sources = debian.sources()
    return {
        'DIB_RELEASE': debian.RELEASE,
        'DIB_DISTRIBUTION_MIRROR': sources[debian.RELEASE],
        'DIB_APT_SOURCES_CONF': '\n'.join(
            f'{name}:deb {address} {name} main'
            for name, address in sources.items())}


def _write_element(element: pathlib.Path) -> None:
    """An element that lets pip in there use the index of this machine."""
    hooks = element / 'pre-install.d'
    hooks.mkdir(parents=True)
    shutil.copy(_FILES / _HOOK, hooks / '00-machine-index')
    (hooks / '00-machine-index').chmod(0o755)
    certificates = (os.environ.get('PIP_CERT')
                    or ssl.get_default_verify_paths().cafile)
    shutil.copy(certificates, hooks / 'certificates.pem')
