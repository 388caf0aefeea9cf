# The backbone: ViT-S/16 at 224 pixels, [CLS] of the last layer.
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='dora_mm.DoRAViT',
        arch='deit-small',
        img_size=224,
        patch_size=16,
        out_type='cls_token',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='dora_vit-s16.pth',
            prefix='backbone.')))
