"""A DoRA training step the way the released code does it, for comparison.

The mathematics is that of ``configs/dora/vit-s16_wt_released.py`` and so of
``DoRA.loss``, written anew from what is known about that code: a forward for
every frame, object and resolution; attention matrices written out, and kept
with queries and keys of all frames; masks in Python loops; the last layer's
weight normalised in every call; the local loss computed again for every
object, each over all logits; gradients clipped and the teacher moved one
parameter at a time.

Letters: B clips, T frames, K objects, L local views, H heads, S tokens ([CLS]
and N patches), D channels, P logits.
"""
import torch
import torch.nn.functional as F

from dora_mm.models.utils import resize_pos_embed_dino, sinkhorn_knopp


class ReleasedStep:
    """The stages of a step, on the weights of a model of ours.

    Args:
        model (DoRA): Of the released recipe, without drop path.

    Raises:
        ValueError: If the model has settings that the released code has not.
    """

    def __init__(self, model):
        head, loss = model.head, model.loss_module
        released = dict(
            track_layer=(model.track_layer, -1),
            patch_feature=(model.patch_feature, 'final'),
            normalize_tokens=(head.normalize_tokens, True),
            plan_mass=(head.plan_mass, 'patch'),
            mask_mode=(model.mask_transform.mode, 'batch'),
            carry_frame_loss=(loss.carry_frame_loss, True),
            skip_first_local=(loss.skip_first_local, True))
        for name, (ours, theirs) in released.items():
            if ours != theirs:
                raise ValueError(f'{name} must be {theirs!r}, as released, '
                                 f'but got {ours!r}: use configs/dora/'
                                 'vit-s16_wt_released.py')
        self.model = model
        self.teacher = (model.teacher['backbone'], model.teacher['neck'])
        self.student = (model.backbone, model.neck)

    def loss(self, inputs):
        """The scalar loss of ``global_clips`` (1, B, T, 3, h, w) and
        ``local_clips`` (L, B, T, 3, h', w')."""
        clips = inputs['global_clips'][0]
        teacher_logits, frames = self.teach(clips)
        attn = self.track(frames)
        masked = self.mask(clips, attn)
        object_logits = self.see_objects(masked)
        local_logits = self.see_local(inputs['local_clips'])
        loss = self.cross_entropy(teacher_logits, object_logits, local_logits)
        self.update_center(teacher_logits)
        return loss

    @torch.no_grad()
    def teach(self, clips):
        """Logits of each frame, T of (B, P), and what the last block has."""
        backbone, neck = self.teacher
        logits, kept = [], []
        for images in clips.unbind(1):
            tokens, *block = vit(backbone, images)
            logits.append(project(neck, tokens[:, 0]))
            kept.append((tokens, *block))
        return logits, kept

    @torch.no_grad()
    def track(self, frames):
        """Maps (B, K, N) of each frame; equations 2 to 6, clip by clip."""
        tokens, attn, query, _ = frames[0]
        head = self.model.head
        heads = head.draw_heads(*attn.shape[:2])
        maps = [[] for _ in frames]
        for b, drawn in enumerate(heads.tolist()):
            # (K, N) times (N, D)
            objects = attn[b, drawn, 0, 1:].float() @ join(query)[b, 1:]
            patches = F.normalize(tokens[b, 1:].float(), dim=-1)
            plan = sinkhorn_knopp(patches @ objects.T, head.epsilon,
                                  head.num_iters)
            refined = plan.T @ patches
            for t, (_, _, _, key) in enumerate(frames):
                scores = refined @ join(key)[b, 1:].T
                scores = scores * refined.shape[-1]**-0.5
                maps[t].append(scores.softmax(-1))
        return [torch.stack(frame) for frame in maps]

    @torch.no_grad()
    def mask(self, clips, maps):
        """Masked images (B, 3, h, w) of each object and frame."""
        patch_size = self.model.backbone.patch_embed.projection.stride[0]
        masked = [[] for _ in range(maps[0].shape[1])]
        for t, frame in enumerate(maps):
            for k, images in enumerate(masked):
                unit = frame[:, k] / frame[:, k].norm(dim=-1, keepdim=True)
                keep = (unit > unit.mean()).float()
                side = clips.shape[-1] // patch_size
                keep = keep.view(len(clips), 1, -1, side)
                keep = F.interpolate(
                    keep, scale_factor=patch_size, mode='nearest')
                images.append(clips[:, t] * keep)
        return masked

    def see_objects(self, masked):
        """Student logits (B, P) of each object and frame."""
        return [[self._student(images) for images in frames]
                for frames in masked]

    def see_local(self, local_clips):
        """Student logits (L * B, P) of each frame."""
        return [
            self._student(images.flatten(0, 1))
            for images in local_clips.unbind(2)
        ]

    def cross_entropy(self, teacher, objects, local):
        """The loss with its running sum over objects, all logits each time."""
        module = self.model.loss_module
        total = carried = 0.
        for frames in objects:
            for t, teacher_logits in enumerate(teacher):
                target = self._target(teacher_logits)
                carried = carried + module.object_weight * cross_entropy(
                    target, frames[t], module.student_temp)
                views = local[t].chunk(len(local[t]) // len(teacher_logits))
                pairs = [
                    cross_entropy(
                        self._target(teacher_logits), view,
                        module.student_temp) for view in views[1:]
                ]
                carried = carried + module.local_weight * sum(pairs) / len(
                    pairs)
            carried = carried / len(teacher)
            total = total + carried
        return total / len(objects)

    @torch.no_grad()
    def update_center(self, teacher):
        """Move the centre towards the mean teacher logits."""
        module = self.model.loss_module
        mean = torch.cat(teacher).float().mean(0, keepdim=True)
        momentum = module.center_momentum
        module.center.copy_(module.center * momentum + mean * (1 - momentum))

    @torch.no_grad()
    def clip(self, max_norm):
        """Clip each gradient by its own norm, one after the other."""
        for param in self.model.parameters():
            if param.grad is not None:
                factor = max_norm / (param.grad.norm() + 1e-6)
                if factor < 1:
                    param.grad.mul_(factor)

    @torch.no_grad()
    def update_teacher(self, momentum):
        """Move the teacher one parameter after the other."""
        for teacher, student in zip(self.teacher, self.student):
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.mul_(momentum).add_((1 - momentum) * new)

    def _student(self, images):
        backbone, neck = self.student
        return project(neck, vit(backbone, images)[0][:, 0])

    def _target(self, teacher_logits):
        module = self.model.loss_module
        centered = teacher_logits.float() - module.center
        return (centered / module.teacher_temp).softmax(-1)


def vit(backbone, images):
    """A ViT with written-out attention.

    Args:
        backbone (DoRAViT): Its weights are used.
        images (Tensor): (B, 3, h, w).

    Returns:
        tuple[Tensor]: Tokens (B, S, D) after the final norm; attention
        (B, H, S, S), query and key (B, H, S, D / H) of the last block.
    """
    x = backbone.patch_embed.projection(images)
    grid = x.shape[-2:]
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat((backbone.cls_token.expand(len(x), -1, -1), x), dim=1)
    x = x + resize_pos_embed_dino(backbone.pos_embed, grid)
    for layer in backbone.layers:
        qkv = layer.attn.qkv(layer.ln1(x))
        query, key, value = qkv.unflatten(
            -1, (3, layer.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attn = (query @ key.mT) * query.shape[-1]**-0.5
        attn = attn.softmax(-1)
        x = x + layer.attn.proj(join(attn @ value))
        (linear, activation, _), last, _ = layer.ffn.layers
        x = x + last(activation(linear(layer.ln2(x))))
    return backbone.ln1(x), attn, query, key


def join(heads):
    """(B, H, S, d) to (B, S, H * d)."""
    return heads.transpose(1, 2).flatten(2)


def project(neck, cls_token):
    """Logits (B, P), with the weight normalised anew."""
    gain, direction = neck.last_layer.parametrizations.weight.parameters()
    weight = torch._weight_norm(direction, gain, 0)
    return F.linear(F.normalize(neck.mlp(cls_token), dim=-1), weight)


def cross_entropy(target, logits, temp):
    """Mean over B of the cross-entropy of (B, P), all logits at once."""
    log_probs = (logits.float() / temp).log_softmax(-1)
    return -(target * log_probs).sum(-1).mean()
