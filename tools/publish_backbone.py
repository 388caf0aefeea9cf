"""Publish the backbone of a checkpoint as a tensors-only file."""
import argparse

from dora_mm.utils.architecture_options import (add_architecture_options,
                                                given_options)
from dora_mm.utils.check_output import check_output_file
from dora_mm.utils.checkpoint_options import add_key_option, add_trust_option
from dora_mm.utils.run_main import run_main


def parse_args(argv=None):
    parser = argparse.ArgumentParser(
        description='Publish the backbone of a training checkpoint as a '
        'tensors-only file with the keys of mmpretrain.VisionTransformer '
        'under the prefix "backbone.". The last line printed is the path of '
        'the file, OUT_{date}-{sha256, 8 digits}.pth.')
    parser.add_argument('checkpoint', help='runner checkpoint of dora_mm')
    parser.add_argument('out', help='file to write, e.g. dora_vit-s16.pth')
    add_key_option(parser)
    add_architecture_options(parser)
    add_trust_option(parser)
    parser.add_argument(
        '--verbose',
        action='store_true',
        help='list every tensor written and every entry left behind')
    parser.add_argument(
        '--card',
        action='store_true',
        help='also write a folder of the same name for Hugging Face, with '
        'model.safetensors, config.json and a model card (needs safetensors)')
    parser.add_argument(
        '--push-to-hub',
        metavar='USER/NAME',
        help='upload that folder to the Hugging Face Hub as a private model '
        '(needs huggingface_hub and its login); implies --card')
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    from dora_mm.checkpoints import publish
    from dora_mm.checkpoints.huggingface import check_safetensors
    from dora_mm.models import build_backbone
    if args.card or args.push_to_hub:
        check_safetensors()
    if args.push_to_hub:
        from dora_mm.apis.push_to_hub import check_upload, push_to_hub
        check_upload(args.push_to_hub)
    check_output_file('OUT', args.out)
    report = publish(args.checkpoint, args.out, build_backbone, args.key,
                     args.trust, **given_options(args))
    print(report if args.verbose else report.summary)
    if args.card or args.push_to_hub:
        from dora_mm.apis.model_card import write_card
        folder = write_card(args.checkpoint, report.path, args.trust)
        print(folder)
        if args.push_to_hub:
            print(push_to_hub(folder, args.push_to_hub))
    print(report.path)


if __name__ == '__main__':
    run_main(main)
