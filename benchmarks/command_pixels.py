from fractions import Fraction

from av.filter import Graph


def command_pixels(frame):
    """Pixels of a decoded frame as FFmpeg's command makes them.

    PyAV's own conversion takes an interlaced frame field by field.

    Args:
        frame (av.VideoFrame): The frame.

    Returns:
        np.ndarray: uint8 (H, W, 3), RGB.
    """
    if not frame.interlaced_frame:
        return frame.to_ndarray(format='rgb24')
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=Fraction(1))
    scale = graph.add('scale', 'flags=bilinear:interl=0')
    pixels = graph.add('format', 'rgb24')
    graph.link_nodes(source, scale, pixels, graph.add('buffersink'))
    graph.configure()
    graph.push(frame)
    return graph.pull().to_ndarray()
