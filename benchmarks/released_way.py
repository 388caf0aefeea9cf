"""The data path of DoRA's released code, written anew to be measured.

For every sample the file is opened, eight whole frames are decoded by one
thread and turned into floats, one 300-pixel crop is resized without
antialiasing, and the views are made by PIL a frame at a time.

Letters: T frames, H, W pixels.
"""
import random

import decord
import torch
import torch.nn.functional as F
from PIL import ImageFilter
from torchvision import transforms
from torchvision.transforms import InterpolationMode

decord.logging.set_level(decord.logging.QUIET)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Blur:
    """PIL's Gaussian blur, sometimes."""

    def __init__(self, prob):
        self.prob = prob

    def __call__(self, image):
        if random.random() >= self.prob:
            return image
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def _photometric(blur_prob):
    jitter = transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)
    return transforms.Compose([
        transforms.RandomApply([jitter], p=0.8),
        transforms.RandomGrayscale(p=0.2),
        _Blur(blur_prob),
        transforms.ToTensor(),
        transforms.Normalize(_MEAN, _STD)
    ])


def _random_resized_crop(clip, size, scale):
    """One box for a float clip (3, T, H, W), bilinear without antialias."""
    box = transforms.RandomResizedCrop.get_params(clip, scale, (3 / 4, 4 / 3))
    top, left, height, width = box
    clip = clip[..., top:top + height, left:left + width]
    return F.interpolate(clip, (size, size), mode='bilinear')


class ReleasedWay:
    """Samples of one video as the released code makes them.

    Args:
        path (str): The file.
        clock (Callable): Called with the name of a stage when it is over.
        stride (int): Frames from one frame of a clip to the next.
    """
    clip_len = 8
    num_local_views = 6

    def __init__(self, path, clock, stride):
        self.path = path
        self.clock = clock
        self.stride = stride
        self.num_frames = len(decord.VideoReader(path, num_threads=1))
        self.to_pil = transforms.ToPILImage()
        self.color_global = _photometric(0.1)
        self.local = transforms.Compose([
            transforms.RandomResizedCrop(
                112, (0.05, 0.4), interpolation=InterpolationMode.BICUBIC),
            _photometric(0.5)
        ])

    def __len__(self):
        # One stride more than in the released code, as ours: the same clips
        # are measured.
        return self.num_frames - (self.clip_len - 1) * self.stride

    def __getitem__(self, index):
        """Views of a clip.

        Returns:
            list[Tensor]: float32 (T, 3, 224, 224) and six of
            (T, 3, 112, 112).
        """
        video = decord.VideoReader(self.path, num_threads=1)
        self.clock('open')
        indices = index + self.stride * torch.arange(self.clip_len)
        frames = video.get_batch(indices.tolist()).asnumpy()
        video.seek(0)
        self.clock('read')
        clip = torch.from_numpy(frames).permute(3, 0, 1, 2).float() / 255
        clip = _random_resized_crop(clip, 300, (0.2, 1.0))
        self.clock('crop')
        views = self._views(clip)
        self.clock('views')
        return views

    def _views(self, clip):
        large = _random_resized_crop(clip, 224, (0.4, 1.0))
        if random.random() < 0.5:
            large = large.flip(-1)
        views = [[self.color_global(self.to_pil(f)) for f in large.unbind(1)]]
        pictures = [self.to_pil(f) for f in clip.unbind(1)]
        for _ in range(self.num_local_views):
            views.append([self.local(picture) for picture in pictures])
        return [torch.stack(view) for view in views]
