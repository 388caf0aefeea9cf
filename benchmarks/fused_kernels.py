"""Kernels of a compiled graph, fused by a model of Inductor.

Products and attention are kernels of their own. What lies between them,
elementwise operations and reductions within a row of channels, is one kernel
as far as it is connected, unless a product lies on a way between two parts.
A reduction over rows, a gradient of weights, computes its elementwise inputs
again; those that read the same share a kernel, and that is part of a kernel
which reduces within rows of the same numbers, if one is free (mix-order
reductions, since PyTorch 2.10). A kernel reads what is made outside of it and
writes what is used outside of it. The tests compare with Inductor's scheduler.
"""
import operator

import torch
from kernel_counts import Kernel, is_view, name_of, num_bytes, op_kernels


def fused_kernels(graph):
    """The kernels of a graph.

    Args:
        graph (GraphModule): Of ATen operations, with ``meta['val']``.

    Returns:
        list[Kernel]: Without a stage.
    """
    nodes = [node for node in graph.graph.nodes if _computes(node)]
    groups = _fuse(nodes)
    # What must be in memory, whatever fuses: inputs of products, and outputs.
    stored = {
        _value(source)
        for node in graph.graph.nodes
        if node.op == 'output' or _computes(node) and _is_product(node)
        for source in node.all_input_nodes
    }
    kernels, over_rows = [], []  # what each reads, and its nodes
    for node in nodes:
        if _reduces_rows(node):
            leaves = _leaves(node, stored)
            same = [k for k in over_rows if k[0] & leaves]
            if same:
                same[0][0].update(leaves)
                same[0][1].append(node)
            else:
                over_rows.append((leaves, [node]))
        elif groups[node][0] is node:
            kernels.append((_outside(groups[node]), groups[node]))
    kernels += _mix_orders(kernels, over_rows, groups)
    stored |= {_value(leaf) for leaves, _ in kernels for leaf in leaves}
    return [
        kernel for reads, members in kernels
        for kernel in _kernels(reads, members, stored)
    ]


def _mix_orders(kernels, over_rows, groups):
    """Let kernels that reduce within rows reduce over rows too; what is left
    of those over rows."""
    groups = {
        **groups,
        **{node: nodes
           for _, nodes in over_rows for node in nodes}
    }
    free = [
        k for k in kernels
        if any(_is_reduction(node) and not _is_alone(node) for node in k[1])
    ]
    for leaves, nodes in over_rows:
        values = set(map(_value, leaves))
        for reads, members in free:
            if values & set(map(_value, reads)) and not _passes(
                    members, nodes, groups):
                reads |= leaves
                members += nodes
                free = [k for k in free if k[1] is not members]
                break
        else:
            yield leaves, nodes


def _fuse(nodes):
    """From each node to the list of nodes, shared, that it is fused with."""
    groups = {node: [node] for node in nodes}
    for node in nodes:
        if _is_alone(node):
            continue
        for source in map(_maker, node.all_input_nodes):
            if source not in groups or _is_alone(source):
                continue
            first, second = groups[source], groups[node]
            if first is not second and not _passes(first, second, groups):
                merged = first + second
                groups.update(dict.fromkeys(merged, merged))
    return groups


def _passes(first, second, groups):
    """Whether a way from one group to another leads through a third."""
    seen = []
    todo = [
        source for node in second for source in map(_maker,
                                                    node.all_input_nodes)
        if source in groups and groups[source] is not second
        and groups[source] is not first
    ]
    while todo:
        group = groups[todo.pop()]
        if group is first:
            return True
        if any(group is other for other in seen):
            continue
        seen.append(group)
        todo += [
            source for node in group
            for source in map(_maker, node.all_input_nodes)
            if source in groups and groups[source] is not group
        ]
    return False


def _leaves(node, stored):
    """What a kernel reads that computes elementwise inputs of a node again,
    as the views that it reads."""
    leaves = set()
    for source in node.all_input_nodes:
        maker = _maker(source)
        again = (
            _computes(maker) and not _is_alone(maker)
            and not _is_reduction(maker) and _value(source) not in stored)
        leaves |= _leaves(maker, stored) if again else {source}
    return {leaf for leaf in leaves if 'val' in leaf.meta}


def _outside(members):
    """The views that a kernel reads of what it does not make."""
    return {
        source
        for node in members for source in node.all_input_nodes
        if _maker(source) not in members and not _is_constant(source)
    }


def _kernels(reads, members, stored):
    """The kernels of nodes that are computed together."""
    first = members[0]
    if _is_product(first):
        values = [_val(arg) for arg in first.args]
        return op_kernels(first.target, values, {}, _val(first))
    read = {}
    for view in reads:
        read.setdefault(_value(view), []).append(_bytes(view))
    made = {value for value in stored if _maker(value) in members}
    made.update(filter(_reduces_rows, members))
    kind = 'fused, over rows' if _reduces_rows(first) else 'fused'
    return [
        Kernel(None, kind, 0, False,
               sum(min(sum(v), _bytes(k)) for k, v in read.items()),
               sum(map(_bytes, made)))
    ]


def _val(node):
    return node.meta['val'] if isinstance(node, torch.fx.Node) else node


def _bytes(node):
    value = node.meta['val']
    return num_bytes(value) if isinstance(value, torch.Tensor) else 0


def _computes(node):
    """Whether a node is work on the device."""
    return (
        node.op == 'call_function' and node.target is not operator.getitem
        and isinstance(node.target, torch._ops.OpOverload)
        and not _is_constant(node) and not _is_view(node))


def _is_view(node):
    """Whether a node moves no data; a copy in the same layout need not."""
    if name_of(node.target) == 'clone':
        return node.meta['val'].stride() == _val(node.args[0]).stride()
    return is_view(node.target)


def _is_constant(node):
    return node.op == 'call_function' and not node.all_input_nodes


def _is_reduction(node):
    return torch.Tag.reduction in node.target.tags


def _reduces_rows(node):
    """Whether a node sums over the rows of its input."""
    return _computes(node) and _is_reduction(node) and len(
        node.args) > 1 and isinstance(node.args[1],
                                      (list, tuple)) and 0 in node.args[1]


def _is_product(node):
    name = name_of(node.target)
    return name in ('mm', 'addmm', 'bmm', 'baddbmm') or 'attention' in name


def _is_alone(node):
    """Whether nothing is fused with a node."""
    return _is_product(node) or _reduces_rows(node)


def _value(node):
    """What a view is of: an input, an operation's result, or one of its
    results."""
    while node.op == 'call_function' and isinstance(
            node.target,
            torch._ops.OpOverload) and _is_view(node) and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def _maker(node):
    """The operation, or the input, that a value comes from."""
    node = _value(node)
    return node.args[0] if node.target is operator.getitem else node
