"""The clips and draws that ``views.py`` gives to every way to make views."""
import numpy as np
import torch

from dora_mm.models.data_preprocessors import ClipViewPreprocessor


class Case:
    """Clips and the parameters that every method gets."""

    def __init__(self, args):
        self.device = torch.device(args.device)
        # As batched_views chooses it.
        self.dtype = (
            torch.float32 if self.device.type == 'cpu' else torch.float16)
        generator = torch.Generator().manual_seed(0)
        shape = (args.clips, args.frames, 3, 300, 300)
        coarse = torch.rand(
            args.clips * args.frames, 3, 12, 12, generator=generator)
        clips = torch.nn.functional.interpolate(
            coarse, (300, 300), mode='bicubic').view(shape)
        clips = clips + 0.05 * torch.randn(shape, generator=generator)
        clips = (clips.clamp(0, 1) * 255).round().to(torch.uint8)
        self.clips = clips.to(self.device)
        self.num_clips = args.clips
        self.preprocessor = ClipViewPreprocessor().to(self.device)
        self.groups = (self.preprocessor.global_views,
                       self.preprocessor.local_views)
        seeds = list(range(args.clips))
        self.boxes, self.params = {}, {}
        for group in self.groups:
            draws = group.draw(seeds, args.frames, 300, 300)
            boxes, flips = draws.boxes, draws.flips
            num = (group.num, args.clips, args.frames)
            self.boxes[group] = (boxes, flips,
                                 np.broadcast_to(boxes, (*num, 4)),
                                 np.broadcast_to(flips, num).copy())
            self.params[group] = draws.params

    def each(self, group):
        """Frame, box and flip of every image, in the order of the views."""
        _, _, boxes, flips = self.boxes[group]
        for v, b, t in np.ndindex(flips.shape):
            yield self.clips[b, t], boxes[v, b, t].tolist(), flips[v, b, t]

    def corners(self, group):
        """(N, 4) x1, y1, x2, y2 and (N,) index of the frame."""
        _, _, boxes, _ = self.boxes[group]
        y, x, h, w = torch.from_numpy(boxes.copy()).float().unbind(-1)
        frame = torch.arange(y[0].numel()).expand(len(y), -1).flatten()
        corners = torch.stack((x, y, x + w, y + h), -1).flatten(0, 2)
        return corners.to(self.device), frame.to(self.device)
