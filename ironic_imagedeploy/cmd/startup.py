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

"""A quick start: the time before a command does anything.

A third of it would go into what is of no use to any command.
"""

from collections.abc import Iterator
import contextlib
import gc
import importlib.util
import signal
import sys

#: Modules that others import, and mostly use nothing of. oslo.utils' one
#: compiles hundreds of patterns, for a tenth of a second.
_LATER = ('oslo_utils.strutils',)


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Import what a command needs inside.

    Modules live until the program ends: to look for garbage among them, then
    or later, is in vain. Nothing is begun yet, so Ctrl-C just ends it.
    """
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in _LATER:
        _load_when_used(name)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _load_when_used(name: str) -> None:
    """Let a module be loaded when something of it is used first.

    That is for programs that have one thread then.
    """
    try:
        spec = importlib.util.find_spec(name)
    except ImportError:
        return
    if name in sys.modules or spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    # As after any import; without it the next one would load the module.
    parent, _, child = name.rpartition('.')
    setattr(sys.modules[parent], child, module)
