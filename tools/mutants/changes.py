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

"""Changes of a module, by the operators of cosmic-ray."""

import ast
import difflib
import os
import re
import select
import signal
import socket
import ssl
import stat
import typing

from cosmic_ray import ast as syntax
from cosmic_ray import mutating
from cosmic_ray import plugins

#: Operators whose changes say nothing: whether two equal values are one object
#: is up to the interpreter.
_SILENT = re.compile(
    'ReplaceComparisonOperator_((Eq|NotEq)_(Is|IsNot)|Is_Eq|IsNot_NotEq)$')
#: And those whose changes say nothing of flags that are bits apart: their
#: union is their sum, and their difference.
_OTHER_SUM = re.compile(r'.*\bReplaceBinaryOperator_BitOr_(Add|BitXor)')
#: Modules with flags of the system.
_FLAGS = {module.__name__: module for module in (
    os, select, signal, socket, ssl, stat)}
#: Line and column.
Place = tuple[int, int]


class Mutant(typing.NamedTuple):
    """One change of a module: the how-manieth of those of an operator."""

    operator: str
    occurrence: int


def mutants_of(text: str) -> typing.Iterator[Mutant]:
    """All changes of a module that are more than words or figures."""
    parsed = ast.parse(text)
    places = [(each.lineno, each.col_offset,
               each.end_lineno or 0, each.end_col_offset or 0)
              for each in (*annotations(parsed), *figures(parsed))]
    apart = frozenset(unions(parsed, text.splitlines()))
    tree = syntax.get_ast(text)
    for name in plugins.operator_names():
        kind = plugins.get_operator(name)
        if kind.arguments() or _SILENT.search(name):
            continue
        same = apart if _OTHER_SUM.fullmatch(name) else frozenset[Place]()
        positions = (begin for node in syntax.ast_nodes(tree)
                     for begin, _ in kind().mutation_positions(node))
        for occurrence, begin in enumerate(positions):
            if begin not in same and not any(
                    place[:2] <= begin < place[2:] for place in places):
                yield Mutant(name, occurrence)


def apply(text: str, mutants: list[Mutant]
            ) -> typing.Iterator[tuple[str, str]]:
    """The changed text of each mutant, and a patch that shows it."""
    for mutant in mutants:
        try:
            changed = mutating.mutate_code(
                text, plugins.get_operator(mutant.operator)(),
                mutant.occurrence)
            ast.parse(changed)
        except (AttributeError, SyntaxError):
            # It replaces no exception whose name has a dot in it, and takes
            # the two asterisks before a mapping for a power.
            continue
        yield changed, '\n'.join(difflib.unified_diff(
            text.splitlines(), changed.splitlines(), 'as it is',
            mutant.operator, n=2, lineterm=''))


def annotations(tree: ast.Module) -> typing.Iterator[ast.expr]:
    """What says types only."""
    for node in ast.walk(tree):
        for name in ('annotation', 'returns'):
            part = getattr(node, name, None)
            if isinstance(part, ast.expr):
                yield part


def unions(tree: ast.Module, lines: list[str]) -> typing.Iterator[Place]:
    """Where flags of the system are joined that have no bit in common."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            left, right = flags(node.left), flags(node.right)
            if left and right and not any(
                    one & other for one in left for other in right):
                yield operator_between(node, lines)


def flags(node: ast.expr) -> list[int]:
    """Values that flags may have; none for what is something else."""
    match node:
        case ast.Constant(value=int(value)):
            return [value]
        case ast.Attribute(value=ast.Name(id=module)) if module in _FLAGS:
            value = getattr(_FLAGS[module], node.attr, None)
            return [int(value)] if isinstance(value, int) else []
        case ast.BinOp(op=ast.BitOr()):
            return [one | other for one in flags(node.left)
                    for other in flags(node.right)]
        case ast.IfExp():
            found = flags(node.body), flags(node.orelse)
            return [*found[0], *found[1]] if all(found) else []
    return []


def operator_between(node: ast.BinOp, lines: list[str]) -> Place:
    """Place of the operator of two operands."""
    line, column = node.left.end_lineno or 0, node.left.end_col_offset or 0
    while '|' not in lines[line - 1][column:]:
        line, column = line + 1, 0
    return line, lines[line - 1].index('|', column)


def figures(tree: ast.Module) -> typing.Iterator[ast.expr]:
    """Constants of modules: a test of them would say the same once more."""
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            if all(isinstance(part, (ast.Constant, ast.BinOp, ast.UnaryOp,
                                     ast.operator, ast.unaryop))
                   for part in ast.walk(node.value)):
                yield node.value
