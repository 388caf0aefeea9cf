"""Reading, preparing and writing video files.

Nothing here knows a data set or a model. Importing the package loads neither
torch nor mmpretrain nor mmcv, so that a process that prepares a video starts
in a fraction of a second.
"""
