# The backbone: ViT-S/16 at 512 pixels, four levels, each normed.
model = dict(
    type='EncoderDecoder',
    backbone=dict(
        type='dora_mm.DoRAViT',
        arch='deit-small',
        img_size=512,
        patch_size=16,
        out_type='featmap',
        out_indices=[3, 5, 7, 11],
        norm_each_output=True,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='dora_vit-s16.pth',
            prefix='backbone.')))
