"""Reading the networks out of a checkpoint and laying them out for one."""
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import (Any, Dict, List, NamedTuple, Optional, Sequence, Tuple,
                    Union)

from torch import Tensor, contiguous_format

from dora_mm.utils.check_finite import check_finite
from .layouts import (AUTHORS, LAYOUTS, NETWORKS, OURS, WEIGHT_NORM, Place,
                      bare_state, name_table, sniff, without_wrappers,
                      wrapper_of)
from .weight_kind import WEIGHTS, weight_kind


class Entry(NamedTuple):
    """A tensor and the key it had in the file."""
    source: str
    tensor: Tensor


Groups = Dict[str, Dict[str, Entry]]


@dataclass
class CheckpointTensors:
    """The networks of one checkpoint file.

    Attributes:
        layout (str): A key of ``LAYOUTS``.
        groups (dict[str, dict[str, Entry]]): Group -> authors' name ->
            source key and tensor.
        unused (list[tuple[str, str]]): Source key and group ('' for none) of
            what has no place in the layout.
        dropped (list[str]): Entries of the file that are not networks.
        facts (dict[str, int]): Epoch and iteration where the file has them.
    """
    layout: str
    groups: Groups = field(default_factory=OrderedDict)
    unused: List[Tuple[str, str]] = field(default_factory=list)
    dropped: List[str] = field(default_factory=list)
    facts: Dict[str, int] = field(default_factory=dict)

    def missing(self, group: str) -> List[str]:
        """Names that a complete ``group`` has and this one lacks.

        Args:
            group (str): A group that is present.

        Returns:
            list[str]: ``group.name`` in the authors' naming.
        """
        table = name_table(group, self.groups[group])
        return [
            f'{group}.{names[AUTHORS]}' for names in table
            if names[AUTHORS] not in self.groups[group]
        ]

    def network(self, key: str) -> str:
        """The network of the file that a user's choice means.

        Args:
            key (str): 'teacher' or 'student'.

        Returns:
            str: ``key``, or 'any' where the file has one nameless network.

        Raises:
            ValueError: If the file has no such backbone.
        """
        if key not in NETWORKS:
            raise ValueError(f'key must be one of {NETWORKS}, but got {key!r}')
        for network in (key, 'any'):
            if f'{network}.backbone' in self.groups:
                return network
        present = {group.split('.')[0] for group in self.groups}
        raise ValueError(f'key={key!r}: the checkpoint has no backbone of '
                         f'that network, it has {sorted(present - {"loss"})}')

    def check(self,
              path: Union[str, Path],
              groups: Optional[Sequence[str]] = None) -> None:
        """Refuse the file unless every key is there and has a place.

        Args:
            path (str): Named in the message.
            groups (Sequence[str], optional): Look at these only. Defaults to
                the whole file.

        Raises:
            ValueError: Lists the missing and the unused keys, or names the
                first tensor that is no dense one of floats, is of a wrong
                shape, or has NaN or infinity in it.
        """
        missing = [
            name for group in (groups or self.groups)
            for name in self.missing(group)
        ]
        unused = [
            source for source, group in self.unused
            if groups is None or group in groups
        ]
        if not missing and not unused:
            for group in (groups or self.groups):
                self._check_values(path, group)
            return
        lines = [f'{path} does not fit the layout {self.layout!r}:']
        for title, names in (('missing', missing), ('unused', unused)):
            if names:
                lines.append(f'  {title} keys ({len(names)}):')
                lines += [f'    {name}' for name in names]
        lines.append('Nothing was written. Only plain ViTs with a class token '
                     'and the 3-layer DINO head without batch norm are '
                     'known; remove or rename such keys first')
        raise ValueError('\n'.join(lines))

    def _check_values(self, path: Union[str, Path], group: str) -> None:
        """Refuse a tensor that cannot be what its name says."""
        sizes: Dict[str, int] = {}
        for row in name_table(group, self.groups[group]):
            source, tensor = self.groups[group][row[AUTHORS]]
            kind = weight_kind(tensor)
            if kind:
                raise ValueError(
                    f'{path}: {source} must be {WEIGHTS}, but got {kind}: '
                    'take the checkpoint that was trained, or save it so')
            sides = row[-1].split(',')
            fits = len(sides) == tensor.ndim and tensor.numel() > 0
            for side, size in zip(sides, tensor.shape):
                letter = side.lstrip('0123456789')
                factor = int(side.removesuffix(letter) or 1)
                if letter:
                    factor *= sizes.setdefault(letter, size // factor)
                fits = fits and size == factor
            if not fits:
                raise ValueError(
                    f'{path}: {source} must have the shape ({row[-1]}) with '
                    f'{sizes}, but got {tuple(tensor.shape)}: the file is '
                    'damaged or holds another network')
            check_finite(tensor, f'{path}: {source}, which is not finite,',
                         'take a checkpoint from before the run diverged')


def read_tensors(checkpoint: Any,
                 layout: Optional[str] = None) -> CheckpointTensors:
    """Take a loaded checkpoint apart.

    Args:
        checkpoint (dict): What :func:`load_trusted` returned.
        layout (str, optional): Its layout. Defaults to :func:`sniff`.

    Returns:
        CheckpointTensors: Its networks under the authors' names. Missing and
        unused keys are recorded, not judged: see its ``check``.

    Raises:
        ValueError: If the layout is not known or a value is not a tensor.
    """
    content = CheckpointTensors(layout or sniff(checkpoint))
    places = LAYOUTS[content.layout]
    by_container = content.layout == 'dino'
    wrapper = None if by_container else wrapper_of(checkpoint)
    networks = []
    for container in dict.fromkeys(p.container for p in places.values()):
        inside = {g: p for g, p in places.items() if p.container == container}
        state = checkpoint.get(container) or {} if by_container \
            else bare_state(checkpoint)
        if not isinstance(state, Mapping):
            raise ValueError(f'{container} must be a dict of tensors, but '
                             f'got a {type(state).__name__}: the file is '
                             'damaged or holds something else')
        _read_state(content, state, inside)
        networks.append(state)
    if not any(state is checkpoint for state in networks):
        content.dropped += [
            name for name, value in checkpoint.items()
            if name not in ('meta', wrapper) and not any(value is s
                                                         for s in networks)
        ]
    content.facts = _facts(checkpoint)
    return content


def write_tensors(groups: Groups, layout: str) -> Tuple[Dict, List[Tuple]]:
    """Lay groups out for a file.

    Args:
        groups (dict[str, dict[str, Entry]]): As in :class:`CheckpointTensors`.
        layout (str): A key of ``LAYOUTS``.

    Returns:
        tuple[dict, list[tuple]]: The data to save, tensors cloned, and for
        every tensor (source key, target key, shape).
    """
    output, rows = OrderedDict(), []
    for group, entries in groups.items():
        place = LAYOUTS[layout][group]
        state = output
        if place.container:
            state = output.setdefault(place.container, OrderedDict())
        for names in name_table(group, entries):
            source, tensor = entries[names[AUTHORS]]
            key = place.ddp_prefix + place.prefix + names[place.names]
            # a clone, since a view would save the whole storage behind it
            state[key] = tensor.detach().clone(
                memory_format=contiguous_format)
            target = f'{place.container}.{key}' if place.container else key
            rows.append((source, target, tuple(tensor.shape)))
    return output, rows


def stock_state(entries: Dict[str, Entry]) -> Dict[str, Tensor]:
    """The state dict of a stock ViT.

    Args:
        entries (dict[str, Entry]): A backbone, the authors' names.

    Returns:
        dict[str, Tensor]: Names of ``mmpretrain.VisionTransformer``.
    """
    return OrderedDict((names[OURS], entries[names[AUTHORS]].tensor.detach())
                       for names in name_table('any.backbone', entries))


def _read_state(content: CheckpointTensors, state: Mapping,
                places: Dict[str, Place]) -> None:
    """Sort the tensors of one state dict into ``content.groups``."""
    container = next(iter(places.values())).container
    source_prefix = f'{container}.' if content.layout == 'dino' else ''
    members = OrderedDict()
    for key, value in state.items():
        key = str(key)
        source, name = source_prefix + key, without_wrappers(key)
        group = _group_of(name, places)
        if group is None:
            if name.startswith('data_preprocessor.'):
                content.dropped.append(source)  # mean and std of the pixels
            else:
                content.unused.append((source, ''))
            continue
        if not isinstance(value, Tensor):
            raise ValueError(f'{source} must be a tensor, but the file holds '
                             f'a {type(value).__name__}')
        inner = name[len(places[group].prefix):]
        entries = members.setdefault(group, OrderedDict())
        if inner in entries:  # once with a wrapper's prefix, once without
            content.unused.append((source, group))
        else:
            entries[inner] = Entry(source, value)
    for group, entries in members.items():
        _translate(content, group, entries, places[group].names)


def _group_of(name: str, places: Dict[str, Place]) -> Optional[str]:
    matches = [g for g, p in places.items() if name.startswith(p.prefix)]
    return max(matches, key=lambda g: len(places[g].prefix), default=None)


def _translate(content: CheckpointTensors, group: str,
               entries: Dict[str, Entry], names: int) -> None:
    table = {n[names]: n[AUTHORS] for n in name_table(group, entries)}
    if group.endswith('.head'):
        # torch has had two weight norms; both occur in either layout
        table.update({n[i]: n[AUTHORS] for n in WEIGHT_NORM for i in (0, 1)})
    target = content.groups.setdefault(group, OrderedDict())
    for name, entry in entries.items():
        if name not in table or table[name] in target:
            content.unused.append((entry.source, group))
        else:
            target[table[name]] = entry


def _facts(checkpoint: Mapping) -> Dict[str, int]:
    meta = checkpoint.get('meta')
    holder = meta if isinstance(meta, Mapping) else checkpoint
    return {
        name: holder[name]
        for name in ('epoch', 'iter') if isinstance(holder.get(name), int)
    }
