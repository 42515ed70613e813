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

"""Network of the benchmark: a switch, and links with a speed.

The server of the image is on this side of the switch. All of it is in the
network namespace of this process, or in those of the nodes.
"""

import itertools
import json
import pathlib

from tests.support import commands

BRIDGE = 'switch'
SERVER = '10.77.0.1'
#: Bytes that a link sends at once, and that wait for it: more are dropped.
_BURST, _LIMIT = '128k', '512k'
_PORTS = itertools.count()


def create(rate: float) -> None:
    """Make the switch, and the link of the server.

    :param rate: bits per second of what the server sends.
    """
    _use_default_of_kernels()
    _ip('link', 'set', 'lo', 'up')
    _ip('link', 'add', BRIDGE, 'type', 'bridge')
    _ip('address', 'add', f'{SERVER}/16', 'dev', BRIDGE)
    _ip('link', 'set', BRIDGE, 'up')
    _shape(BRIDGE, rate)


def address(number: int) -> str:
    """Address of a node."""
    return f'10.77.{1 + number // 200}.{1 + number % 200}'


def connect(number: int, pid: int, rate: float) -> None:
    """Plug a node into the switch.

    :param pid: of its process, which has a network namespace.
    :param rate: bits per second, in each direction.
    """
    # That of a process that has just ended may still be there.
    port = f'port{next(_PORTS)}'
    enter = ('nsenter', '--target', str(pid), '--net')
    _ip('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0',
        'netns', str(pid))
    _ip('link', 'set', port, 'master', BRIDGE, 'up')
    _shape(port, rate)
    _use_default_of_kernels(*enter)
    commands.run(*enter, 'ip', 'link', 'set', 'lo', 'up')
    commands.run(*enter, 'ip', 'address', 'add', f'{address(number)}/16',
                 'dev', 'eth0')
    commands.run(*enter, 'ip', 'link', 'set', 'eth0', 'up')
    _shape('eth0', rate, *enter)


def set_rate(rate: float) -> None:
    """Change the link of the server.

    :param rate: bits per second.
    """
    _shape(BRIDGE, rate)


def sent() -> int:
    """Bytes that the server has sent until now, headers included."""
    links = json.loads(commands.run(
        'ip', '-json', '-stats', 'link', 'show', 'dev', BRIDGE))
    found: int = links[0]['stats64']['tx']['bytes']
    return found


def congestion_control() -> str:
    """Congestion control of TCP that connections have by default."""
    return pathlib.Path('/proc/sys/net/ipv4/tcp_congestion_control'
                        ).read_text().strip()


def _use_default_of_kernels(*enter: str) -> None:
    """Have the congestion control of most kernels, whatever this one has.

    A namespace may use only what the machine allows to everybody; reno, which
    every kernel has, is the nearest to cubic.
    """
    for name in ('cubic', 'reno'):
        try:
            commands.run(*enter, 'sysctl', '-qw',
                         f'net.ipv4.tcp_congestion_control={name}')
            return
        except commands.CommandFailed:
            continue


def _shape(device: str, rate: float, *enter: str) -> None:
    """Limit what a device sends."""
    commands.run(*enter, 'tc', 'qdisc', 'replace', 'dev', device, 'root',
                 'tbf', 'rate', f'{rate:.0f}bit', 'burst', _BURST,
                 'limit', _LIMIT)


def _ip(*arguments: str) -> None:
    commands.run('ip', *arguments)
