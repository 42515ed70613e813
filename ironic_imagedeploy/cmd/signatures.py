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

"""Detached signatures, verified by the programs that made them trusted."""

import base64
import os
import re
import shutil
import subprocess  # nosec B404
import tempfile

from ironic_imagedeploy.cmd import small_files
from ironic_imagedeploy import engine

#: Bytes of a signature or of a key.
_MOST = 1 << 20
_MINISIGN = b'untrusted comment:'
_ARMOR = (b'-----BEGIN PGP PUBLIC KEY BLOCK-----',
          b'-----END PGP PUBLIC KEY BLOCK-----')
#: Seconds that a verification may take.
_PATIENCE = 60
#: What gpgv says of a signature that is not good now, in words.
_BAD = {'BADSIG': 'a signature of another file',
        'EXPSIG': 'a signature that has expired',
        'EXPKEYSIG': 'a signature by a key that has expired',
        'REVKEYSIG': 'a signature by a key that was revoked',
        'NO_PUBKEY': 'a signature by another key',
        'ERRSIG': ''}
#: What minisign says, in words that make sense by themselves.
_MINISIGN_SAYS = {'but the key id in': 'a signature by another key',
                  'Signature verification failed':
                  'a signature of another file'}


def verify(signed: small_files.SmallFile, *, signature: str, key: str) -> int:
    """Hold the signature of a file against the only key that is trusted.

    Other keys may have signed it as well: those signatures prove nothing.

    :param signed: the file.
    :param signature: path or URL of its signature: by OpenPGP, or by minisign.
    :param key: path or URL of the public key.
    :returns: how many signatures by other keys are beside it.
    :raises InvalidSignature: when it is not that of the file, by that key.
    """
    by = small_files.read(signature, most=_MOST, expected='a signature',
                          fix='Give the detached signature of the manifest.',
                          too_large=engine.exceptions.InvalidSignature)
    trusted = small_files.read(key, most=_MOST, expected='a public key',
                               fix='Give the public key of the signer.',
                               too_large=engine.exceptions.InvalidSignature)
    kinds = {file.content.startswith(_MINISIGN) for file in (by, trusted)}
    if len(kinds) == 2:
        raise _invalid(by.name, 'a signature and a key of one kind',
                       'one of minisign, and one of OpenPGP')
    program = _minisign if kinds.pop() else _gpgv
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (('file', signed.content), ('sig', by.content),
                              ('key', _binary(trusted))):
            with open(os.path.join(folder, name), 'wb') as file:
                file.write(content)
        return program(folder, by.name)


def _gpgv(folder: str, name: str) -> int:
    run = _run(
        'gpgv', '--homedir', folder, '--keyring', os.path.join(folder, 'key'),
        '--weak-digest', 'SHA1', '--status-fd', '1', '--', 'sig', 'file',
        folder=folder, name=name)
    before, *each = [
        {*re.findall(r'^\[GNUPG:\] (\w+)', said, re.MULTILINE)}
        for said in _text(run.stdout).split('[GNUPG:] NEWSIG')]
    good = [said for said in each if 'VALIDSIG' in said
            and 'GOODSIG' in said and not said & _BAD.keys()]
    others = [said for said in each if 'NO_PUBKEY' in said
              and 'VALIDSIG' not in said]
    wrong = [said for said in each if said not in good + others]
    if before or wrong or not good or run.returncode and not others:
        raise _invalid(name, 'a good signature by the key', _found(
            before.union(*(wrong or each)), run))
    return len(others)


def _found(said: set[str], run: subprocess.CompletedProcess[bytes]) -> str:
    """Words for what gpgv found instead of a good signature."""
    if 'NODATA' in said:
        return 'none' if 'VALIDSIG' not in said else 'other data beside it'
    if 'keydb_search failed' in _text(run.stderr):
        return 'a key that cannot be read'
    return next((words for word, words in _BAD.items()
                 if words and word in said), _reason(_text(run.stderr)))


def _minisign(folder: str, name: str) -> int:
    run = _run('minisign', '-V', '-p', 'key', '-x', 'sig', '-m', 'file',
               folder=folder, name=name)
    if run.returncode:
        reason = _reason(_text(run.stderr))
        raise _invalid(name, 'a good signature by the key', next(
            (words for start, words in _MINISIGN_SAYS.items()
             if reason.startswith(start)), reason))
    return 0


def _run(program: str, *arguments: str, folder: str, name: str
         ) -> subprocess.CompletedProcess[bytes]:
    """A program that has ended, and what it said."""
    path = shutil.which(program)
    if path is None:
        raise engine.exceptions.InvalidSignature(
            name, expected=f'the program {program}', found='none',
            fix=f'Install it: apt install {program}, or the like.')
    try:
        # No shell, and every file under a name of ours.
        return subprocess.run(  # nosec B603
            [path, *arguments], cwd=folder, timeout=_PATIENCE, check=False,
            env={**os.environ, 'LC_ALL': 'C', 'GNUPGHOME': folder},
            stdin=subprocess.DEVNULL, capture_output=True)
    except subprocess.TimeoutExpired:
        raise _invalid(name, f'an answer of {program} in {_PATIENCE} seconds',
                       'none') from None


def _text(output: bytes) -> str:
    return output.decode('utf-8', 'replace')


def _reason(output: str) -> str:
    """Last sentence for a person in what a program said."""
    lines = [line.removeprefix('gpgv:').strip()
             for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else 'none'


def _binary(key: small_files.SmallFile) -> bytes:
    """The key without its armor (RFC 9580, 6.2), which gpgv does not take."""
    lines = [line.strip() for line in key.content.splitlines()]
    if _ARMOR[0] not in lines:
        return key.content
    try:
        armored = lines[lines.index(_ARMOR[0]):lines.index(_ARMOR[1])]
        body = armored[armored.index(b'') + 1:]
        return base64.b64decode(b''.join(
            line for line in body if not line.startswith(b'=')))
    except ValueError:
        raise _invalid(key.name, 'a public key', 'broken armor') from None


def _invalid(name: str, expected: str, found: str
             ) -> engine.exceptions.InvalidSignature:
    return engine.exceptions.InvalidSignature(
        name, expected=expected, found=found,
        fix='Take manifest, signature and key from whoever built the image, '
            'and the key by a way that can be trusted.')
