"""From original videos to copies that training reads fast.

``prepare_videos`` is the way in; ``tools/prepare_video.py`` calls it. Import
the modules by name: they load PyAV, which training from a prepared video may
do without.
"""
