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

"""Neighbours: nodes that write the same image, as an order names them.

All of it is optional. An order without neighbours, or with some that cannot
be used, is carried out from the conductor alone.
"""

import base64
from collections.abc import Mapping
import dataclasses
import hmac
import re
import secrets
import typing
import urllib.parse

#: Peers that an order may name.
MOST_PEERS = 3
#: Seconds that tickets may be good for: the longest write, and no more.
MOST_SECONDS = 24 * 3600
#: Characters of a certificate. One of 4096 bits RSA has some 2000.
MOST_CERTIFICATE = 8192
#: Characters of a URL.
MOST_URL = 255
# Names of what is secret. Ironic masks the values of keys with token in their
# name also in what it sends to the agent.
_TICKET, _TICKET_KEY = 'ticket', 'ticket_key'
#: What secrets.token_urlsafe gives, of 24 bytes at least.
_KEY = re.compile(r'[A-Za-z0-9_-]{32,128}', re.ASCII)
#: Its holder, and the proof that the key was known to who made it.
_TICKET_FORM = re.compile(r'([A-Za-z0-9_-]{16})\.([0-9a-f]{64})', re.ASCII)
_HOST = re.compile(r'[A-Za-z0-9.:_-]{1,253}', re.ASCII)
_CERTIFICATE = re.compile(
    r'\s*-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)'
    r'-----END CERTIFICATE-----\s*', re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """A node that may have chunks of the image.

    :ivar url: ``https://HOST:PORT`` and nothing else.
    :ivar certificate: PEM of the one certificate that it must show.
    :ivar ticket: lets the node in that was told of this peer; empty where
        nobody is let in.
    """

    url: str
    certificate: str = dataclasses.field(repr=False)
    ticket: str = dataclasses.field(default='', repr=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urllib.parse.urlsplit(self.url)
        return parts.hostname or '', parts.port or 0

    @property
    def der(self) -> bytes:
        """The certificate, as a server shows it."""
        return _der(self.certificate)

    @classmethod
    def from_dict(cls, sent: typing.Any) -> 'Peer | None':
        """The peer that :meth:`to_dict` gave; None when it is not one."""
        if not isinstance(sent, Mapping):
            return None
        url, certificate = sent.get('url'), sent.get('certificate')
        admission = sent.get(_TICKET, '')
        if not (_is_url(url) and _is_certificate(certificate)
                and isinstance(admission, str) and (
                    not admission or _TICKET_FORM.fullmatch(admission))):
            return None
        return cls(url=url, certificate=certificate, ticket=admission)

    def to_dict(self) -> dict[str, typing.Any]:
        """The peer as JSON values."""
        sent = {'url': self.url, 'certificate': self.certificate}
        return {**sent, _TICKET: self.ticket} if self.ticket else sent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Chunks that a node takes from others of its image, and gives them.

    :ivar ticket_key: by which the node knows the tickets of others; the
        conductor has it, too, and nobody else.
    :ivar seconds: that they are good for from the receipt of the order: clocks
        of ramdisks may be wrong.
    :ivar port: on which the node offers its chunks.
    :ivar max_served: bytes that it gives at most; None for no bound but its
        time.
    :ivar peers: to take chunks from; the conductor has all of them.
    """

    ticket_key: str = dataclasses.field(repr=False)
    seconds: int
    port: int
    max_served: int | None = None
    peers: tuple[Peer, ...] = ()

    @classmethod
    def from_dict(cls, sent: typing.Any) -> 'Neighbours | None':
        """The neighbours that :meth:`to_dict` gave.

        Peers that cannot be used are left out.

        :returns: None when another field is not as it must be.
        """
        if not isinstance(sent, Mapping):
            return None
        key, most = sent.get(_TICKET_KEY), sent.get('max_served')
        seconds, port = sent.get('seconds'), sent.get('port')
        if not (isinstance(key, str) and _KEY.fullmatch(key)
                and _is_number(seconds, MOST_SECONDS)
                and _is_number(port, 65535)
                and (most is None or _is_number(most, 1 << 62))):
            return None
        peers = sent.get('peers')
        if not isinstance(peers, list):
            return None
        checked = map(Peer.from_dict, peers[:MOST_PEERS])
        return cls(ticket_key=key, seconds=seconds, port=port,
                   max_served=most, peers=tuple(
                       peer for peer in checked if peer and peer.ticket))

    def to_dict(self) -> dict[str, typing.Any]:
        """The neighbours as JSON values."""
        return {_TICKET_KEY: self.ticket_key, 'seconds': self.seconds,
                'port': self.port, 'max_served': self.max_served,
                'peers': [peer.to_dict() for peer in self.peers]}


def ticket(key: str) -> str:
    """Ticket for one more node, which nobody else is given.

    It names its holder by a number that says nothing of the node.

    :param key: of the node that it lets in to.
    """
    name = secrets.token_urlsafe(12)
    return f'{name}.{_proof(key, name)}'


def holder(shown: str, key: str) -> str | None:
    """Holder of a ticket; None when it was not made with the key."""
    match = _TICKET_FORM.fullmatch(shown)
    if not match or not hmac.compare_digest(match[2], _proof(key, match[1])):
        return None
    return match[1]


def _proof(key: str, name: str) -> str:
    return hmac.new(key.encode(), name.encode(), 'sha256').hexdigest()


def _is_number(value: typing.Any, most: int) -> typing.TypeGuard[int]:
    return type(value) is int and 1 <= value <= most


def _is_url(url: typing.Any) -> typing.TypeGuard[str]:
    """Whether it is https, a host and a port, and has nothing besides."""
    if not isinstance(url, str) or len(url) > MOST_URL:
        return False
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or not port or not _HOST.fullmatch(host):
        return False
    shown = f'[{host}]' if ':' in host else host
    return url.lower() == f'https://{shown}:{port}'


def _is_certificate(pem: typing.Any) -> typing.TypeGuard[str]:
    if not isinstance(pem, str) or len(pem) > MOST_CERTIFICATE:
        return False
    try:
        return _der(pem)[:1] == b'\x30'
    except ValueError:
        return False


def _der(pem: str) -> bytes:
    """The one certificate in a PEM (RFC 7468).

    :raises ValueError: when there is none, or another one.
    """
    match = _CERTIFICATE.fullmatch(pem)
    if not match:
        raise ValueError('not one certificate')
    return base64.b64decode(''.join(match[1].split()), validate=True)
