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

"""Support of the deploy interface by every hardware type."""

import threading
import typing

from ironic.drivers import generic

_LOCK = threading.Lock()


def support_everywhere(interface: type) -> None:
    """Let every hardware type accept a deploy interface.

    A hardware type accepts the classes in its supported_deploy_interfaces,
    which all inherit from GenericHardware: that property is extended, once.
    The class comes last, so what a hardware type does by default stays.

    :param interface: the class of the interface.
    """
    with _LOCK:
        stock = generic.GenericHardware.supported_deploy_interfaces
        if interface not in getattr(stock, 'added', ()):
            generic.GenericHardware.supported_deploy_interfaces = (
                _Extended(stock, interface))


class _Extended(property):
    """A property that lists classes, with one more at its end."""

    def __init__(self, stock: typing.Any, interface: type) -> None:
        super().__init__(
            lambda hardware_type: [*stock.fget(hardware_type), interface],
            doc=stock.__doc__)
        self.added: tuple[type, ...] = (
            *getattr(stock, 'added', ()), interface)
