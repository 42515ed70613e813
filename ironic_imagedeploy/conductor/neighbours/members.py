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
"""Nodes that write the same image, and which of them are named to the next.

An order shows its node to whatever conductor asks the database: conductors
tell each other nothing.
"""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import typing

from ironic_imagedeploy.contract import neighbours


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """A node that writes an image, as other nodes may come to know it.

    :ivar root: of the manifest of the image.
    :ivar scope: nodes of another one are no neighbours.
    :ivar peer: where the node has its chunks.
    :ivar switches: that the node is connected to.
    :ivar since: when it began, in seconds since 1970.
    :ivar until: when tickets to it expire, in seconds since 1970.
    :ivar order: what it was told itself.
    """

    root: str
    scope: str
    peer: neighbours.Peer
    switches: frozenset[str]
    since: float
    until: float
    order: neighbours.Neighbours

    @classmethod
    def from_dict(cls, kept: typing.Any, sent: typing.Any
                  ) -> 'Member | None':
        """The member that :meth:`to_dict` gave; None without one.

        :param sent: the neighbours in its order.
        """
        order = neighbours.Neighbours.from_dict(sent)
        if order is None or not isinstance(kept, Mapping):
            return None
        peer = neighbours.Peer.from_dict(kept.get('peer'))
        try:
            return None if peer is None else cls(
                root=str(kept['root']), scope=str(kept['scope']), peer=peer,
                switches=frozenset(map(str, kept['switches'])),
                since=float(kept['since']), until=float(kept['until']),
                order=order)
        except (KeyError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, typing.Any]:
        """The member as JSON values, without what it was told."""
        return {'root': self.root, 'scope': self.scope,
                'peer': self.peer.to_dict(),
                'switches': sorted(self.switches),
                'since': self.since, 'until': self.until}


def chosen(group: Iterable[Member], switches: frozenset[str], seeds: int
           ) -> tuple[neighbours.Peer, ...]:
    """Peers to name to the next node, with tickets; none to the first few.

    Those at the same switch come first, then those that are named to the
    fewest nodes, then those that began first.

    :param group: all members of one image that the node may share with.
    :param switches: of the node.
    :param seeds: how many the first few are.
    """
    known = list(group)
    if len(known) < seeds:
        return ()
    named = collections.Counter(
        peer.url for each in known for peer in each.order.peers)
    known.sort(key=lambda each: (switches.isdisjoint(each.switches),
                                 named[each.peer.url], each.since))
    return tuple(dataclasses.replace(
        each.peer, ticket=neighbours.ticket(each.order.ticket_key))
        for each in known[:neighbours.MOST_PEERS])
