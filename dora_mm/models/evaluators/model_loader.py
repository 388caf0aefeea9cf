import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ContextManager, Optional, Union

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from torch import nn

from dora_mm.checkpoints.architecture import (fit, read_architecture, require,
                                              stock_settings)
from dora_mm.checkpoints.layouts import plain_state
from dora_mm.checkpoints.plain_checkpoints import plain_checkpoints
from dora_mm.checkpoints.read_checkpoint import read_checkpoint
from dora_mm.checkpoints.run_config import checkpoint_config
from dora_mm.checkpoints.tensors import stock_state
from dora_mm.registry import MODELS
from dora_mm.utils.read_config import read_config
from .build_backbone import build_backbone
from .colour_histogram import ColourHistogram

COLOUR = 'colour'


class ModelLoader:
    """A model for looking and evaluating, whatever it comes from.

    The source is read once, so that features and tracks come from the same
    weights. The default scope of the process stays as it is.

    Args:
        source (str | Path): A checkpoint of any layout that
            ``tools/convert_checkpoint.py`` knows; a config file (``.py``) of a
            run, for the random weights that it starts from with its
            ``randomness.seed`` (0 if there is none); or 'colour' for
            :class:`ColourHistogram`.
        config (str | Path, optional): Config file to use instead of the one
            in the checkpoint.
        trust (bool): Whether to run code that a pickled checkpoint names.
            Defaults to False.

    Raises:
        ValueError: If a file is missing, unsafe or of an unknown layout.
    """

    def __init__(self,
                 source: Union[str, Path],
                 config: Optional[Union[str, Path]] = None,
                 trust: bool = False) -> None:
        if not isinstance(source, (str, Path)):
            raise ValueError(
                f'source must be a checkpoint, a config file or {COLOUR!r}, '
                f'but got {source!r}: give a checkpoint, or set '
                'model.backbone.source')
        self.source = str(source)
        self.trust = trust
        self.config = self.source if self.source.endswith('.py') else config
        self.check_path(self.source)
        if self.config is not None:
            self.check_path(self.config, may_be_folder=False)
        self.checkpoint = None
        if self.source not in (COLOUR, self.config):
            self.checkpoint, self.content = read_checkpoint(source, trust)

    @staticmethod
    def check_path(path: Union[str, Path], may_be_folder: bool = True) -> None:
        """Refuse a source that is not there, without reading it.

        Args:
            path (str | Path): See ``source`` of the class.
            may_be_folder (bool): Whether it may be one of Hugging Face.
                Defaults to True.

        Raises:
            ValueError: Naming it.
        """
        there = Path(path).is_file() or may_be_folder and Path(path).is_dir()
        if str(path) != COLOUR and not there:
            raise ValueError(
                f'source must be a checkpoint, a config file or {COLOUR!r}, '
                f'but {path} is not a file: check the path')

    @cached_property
    def cfg(self) -> Optional[Config]:
        """Config of the run that the model comes from, where it is known.

        Raises:
            ValueError: If the one in the checkpoint is more than plain data,
                or the file is no config.
        """
        if self.config is not None:
            return read_config(str(self.config))
        meta = (self.checkpoint or {}).get('meta')
        if isinstance(meta, Mapping) and 'cfg' in meta:
            return checkpoint_config(self.checkpoint)
        return None

    @property
    def tracks(self) -> bool:
        """Whether the source is a run of a model that tracks objects."""
        if self.cfg is None:
            return False
        with self._scope():
            return hasattr(MODELS.get(self.cfg.model.type), 'track')

    def backbone(self,
                 key: str = 'teacher',
                 pos_interp: Optional[str] = None,
                 **options: Any) -> nn.Module:
        """The backbone, for features.

        Args:
            key (str): 'teacher' or 'student', where there are both. Defaults
                to 'teacher'.
            pos_interp (str, optional): How position embeddings are resized,
                see :class:`DoRAViT`. Defaults to 'dino', which the protocols
                of DINO use; to 'size' for a backbone of images that are not
                square, which DINO's code does not know.
            **options: ``num_heads``, ``img_size`` (a side, or height and
                width in pixels), ``norm_eps``, ``activation``, as far as the
                checkpoint does not say them.

        Returns:
            nn.Module: In eval mode. Images (B, 3, h, w) to a tuple whose last
            entry is (B, 1 + N, D), [CLS] and patch tokens after the final
            norm; ``patch_size`` in pixels.

        Raises:
            ValueError: If there is no such network, its keys do not fit, or
                its architecture is not known.
        """
        if self.source == COLOUR:
            return ColourHistogram().eval()
        if self.checkpoint is None:
            # here teacher and student are equal
            settings = self.cfg.model.backbone
            state = self._random_model.backbone.state_dict()
        else:
            group = f'{self.content.network(key)}.backbone'
            self.content.check(self.source, [group])
            entries = self.content.groups[group]
            given = read_config(str(self.config)).model.backbone \
                if self.config else None
            arch, _ = read_architecture(self.checkpoint, self.content, group,
                                        build_backbone, options, given)
            require(arch, self.source)
            settings = dict(stock_settings(arch), type='dora_mm.DoRAViT')
            state = stock_state(entries)
        size = settings.get('img_size', 224)
        square = isinstance(size, int) or len(set(size)) == 1
        backbone = build_backbone(
            dict(
                settings,
                out_type='raw',
                pos_interp=pos_interp or ('dino' if square else 'size')))
        fit(backbone, state, self.source)
        backbone.patch_size = backbone.patch_embed.projection.stride[0]
        return backbone

    def tracker(self) -> nn.Module:
        """The whole model, which tracks objects.

        Returns:
            nn.Module: A :class:`DoRA` in eval mode.

        Raises:
            ValueError: If the model does not track (DINO), or see
                :meth:`model`.
        """
        if self.cfg is not None and not self.tracks:
            raise ValueError(
                f'{self.source}: a {self.cfg.model.type} does not track '
                'objects: give a DoRA model')
        return self.model()

    def model(self) -> nn.Module:
        """The whole model of a run.

        Returns:
            nn.Module: A :class:`DINO` or :class:`DoRA` in eval mode.

        Raises:
            ValueError: If the source has no config of a run, or if weights
                are missing or do not fit.
        """
        if self.cfg is None:
            raise ValueError(
                f'{self.source} is no runner checkpoint of dora_mm: give one, '
                'or the config that it was trained with (--config)')
        if self.checkpoint is None:
            return self._random_model
        model = self._build_model()
        fit(model, plain_state(self.checkpoint), self.source)
        return model.eval()

    def _scope(self) -> ContextManager:
        return DefaultScope.overwrite_default_scope(
            self.cfg.get('default_scope', 'mmpretrain'))

    @cached_property
    def _random_model(self) -> nn.Module:
        """The model that a run starts with."""
        return self._build_model(init=True).eval()

    def _build_model(self, init: bool = False) -> nn.Module:
        seed = (self.cfg.get('randomness') or {}).get('seed') or 0
        # the constructors draw numbers that init_weights leaves as they are
        with self._scope(), torch.random.fork_rng(devices=[]), \
                plain_checkpoints(self.trust):
            torch.manual_seed(seed)
            model = MODELS.build(self.cfg.model)
            if init:
                # It would list how each of hundreds of tensors was filled.
                logger = MMLogger.get_current_instance()
                level = logger.level
                logger.setLevel(logging.WARNING)
                try:
                    model.init_weights()
                finally:
                    logger.setLevel(level)
        return model
