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

"""Failures of the libraries underneath, in words.

What these say themselves may hold a URL, and so a secret; the names of their
classes say nothing to who reads them.
"""

from collections.abc import Iterator
import errno
import http.client
import json
import socket
import ssl
import typing

import requests
import urllib3

from ironic_imagedeploy.engine.sources import heads
from ironic_imagedeploy.engine import text

#: The failure of a kind that says most comes first.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (http.client.RemoteDisconnected, 'the end of the connection instead of '
     'an answer'),
    (http.client.BadStatusLine, 'an answer that is not HTTP'),
    (heads.EndlessHeadError, 'a head without an end, as that of a server '
     'that says 100 Continue again and again'),
    (http.client.LineTooLong, 'a header without an end'),
    (http.client.IncompleteRead, 'the end of the connection in the middle of '
     'an answer'),
    (urllib3.exceptions.IncompleteRead, 'the end of the connection in the '
     'middle of an answer'),
    (urllib3.exceptions.InvalidChunkLength, 'a chunk of no usable length'),
    (heads.ChunkSizeError, 'a chunk of no usable length'),
    (requests.exceptions.TooManyRedirects, 'too many redirects'),
    (requests.exceptions.JSONDecodeError, 'an answer that is not JSON'),
    (json.JSONDecodeError, 'an answer that is not JSON'),
    (urllib3.exceptions.LocationValueError, 'an address that is not valid'),
    (requests.exceptions.InvalidURL, 'an address that is not valid'),
    (requests.exceptions.InvalidSchema, 'an address that is not one of the '
     'web'),
    (requests.exceptions.MissingSchema, 'an address without http: or https:'),
    (requests.exceptions.InvalidHeader, 'a header that is not valid'),
    (urllib3.exceptions.InvalidHeader, 'a header that is not valid'),
    (http.client.HTTPException, 'an answer that HTTP does not allow'),
    (urllib3.exceptions.DecodeError, 'an answer that cannot be decompressed'),
    (urllib3.exceptions.TimeoutError, 'silence'),
    (requests.exceptions.Timeout, 'silence'),
    (TimeoutError, 'silence'),
    (requests.exceptions.ProxyError, 'a proxy that does not connect'),
    (urllib3.exceptions.ProxyError, 'a proxy that does not connect'),
    (UnicodeError, 'characters that do not belong there'),
    (urllib3.exceptions.ProtocolError, 'an answer that HTTP does not allow'),
    (ValueError, 'a value that is not valid'),
    (requests.exceptions.ConnectionError, 'no connection'),
    (urllib3.exceptions.HTTPError, 'no connection'))
_NOT_TLS = ('WRONG_VERSION_NUMBER', 'HTTP_REQUEST', 'UNKNOWN_PROTOCOL',
            'RECORD_LAYER_FAILURE', 'PACKET_LENGTH_TOO_LONG')
_OLD_TLS = ('TLSV1_ALERT_PROTOCOL_VERSION', 'UNSUPPORTED_PROTOCOL',
            'VERSION_TOO_LOW', 'WRONG_SSL_VERSION')
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH)


def reason(error: BaseException) -> str:
    """Reason of a failure, without secrets."""
    found = list(parts(error))
    for part in found:
        if isinstance(part, ssl.SSLError):
            return _of_tls(part)
    for part in reversed(found):
        if isinstance(part, OSError) and part.strerror and not isinstance(
                part, requests.RequestException):
            return text.printable(part.strerror)
    for kind, words in _WORDS:
        if any(isinstance(part, kind) for part in found):
            return words
    return 'a failure that gives no reason'


def is_unreachable(error: BaseException) -> bool:
    """Whether nobody answers there as a web server does.

    That may pass, as when a server starts; but seldom within seconds.
    """
    return any(
        isinstance(part, (ConnectionRefusedError,
                          ssl.SSLCertVerificationError))
        or getattr(part, 'reason', None) in _NOT_TLS
        or (isinstance(part, socket.gaierror)
            and part.errno != socket.EAI_AGAIN)
        or (isinstance(part, http.client.BadStatusLine)
            and not isinstance(part, http.client.RemoteDisconnected))
        or (isinstance(part, OSError) and part.errno in _NO_ROUTE)
        for part in parts(error))


def is_not_tls(error: BaseException) -> bool:
    """Whether a server answers, but not by TLS."""
    return any(getattr(part, 'reason', None) in _NOT_TLS
               for part in parts(error))


def is_tls_too_old(error: BaseException) -> bool:
    """Whether both sides have no version of TLS in common."""
    return any(isinstance(part, ssl.SSLError)
               and getattr(part, 'reason', None) in _OLD_TLS
               for part in parts(error))


def parts(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it wraps, from the outermost in."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        part = todo.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += [inner for inner in (
            *part.args, getattr(part, 'reason', None), part.__cause__,
            part.__context__) if isinstance(inner, BaseException)]


def _of_tls(error: ssl.SSLError) -> str:
    # What is made by hand lacks both.
    name: typing.Any = getattr(error, 'reason', None)
    if isinstance(error, ssl.SSLCertVerificationError):
        why = getattr(error, 'verify_message', None)
        return 'a certificate that is not trusted' + (f': {why}' if why
                                                      else '')
    if name in _NOT_TLS:
        return 'an answer that is not TLS'
    if name in _OLD_TLS:
        return 'a server without a version of TLS that is accepted here'
    if not isinstance(name, str):
        return 'a failure of TLS'
    return f'a failure of TLS: {name.replace("_", " ").lower()}'
