"""What has changed since it was written is never shown."""
import shutil
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from bar_films import NUM, bars, flip, number_of, prepared, write

from dora_mm.video.readers import (MJPEGReader, PyAVReader, VideoDecodeError,
                                   build_reader)
from dora_mm.video.readers.cluster_sums import sound_clusters
from dora_mm.video.readers.decode_sound import decode_sound
from dora_mm.video.readers.load_video_index import load_video_index
from dora_mm.video.readers.open_film import film_packets, open_film
from dora_mm.video.readers.packet_sums import checked_packets
from dora_mm.video.readers.probe_video import probe_video

KINDS = {
    'h264.mp4': dict(x264='keyint=30:bframes=3'),
    'open_gop.mkv': dict(x264='keyint=30:bframes=3:open-gop=1'),
    'refresh.mp4': dict(x264='intra-refresh=1:keyint=30'),
    'mpeg4.avi': dict(codec='mpeg4', g='12'),
    'vp9.webm': dict(codec='libvpx-vp9', g='30', deadline='realtime'),
    'jpegs.avi': dict(codec='mjpeg'),
}


def packet_places(path):
    """Offset, size and presentation time of the film's packets."""
    container, stream = open_film(path)
    with container:
        return [(p.pos, p.size, p.pts)
                for p in film_packets(container, stream) if p.size]


@pytest.mark.parametrize('name', KINDS)
def test_a_bit_that_flips_after_the_index_is_made(tmp_path, name):
    """In the last bytes of a packet FFmpeg notices least."""
    options = dict(KINDS[name])
    if options.get('codec') == 'mjpeg':
        path = str(tmp_path / name)
        with av.open(path, 'w') as container:
            stream = container.add_stream('mjpeg', rate=25)
            stream.width, stream.height, stream.pix_fmt = 160, 64, 'yuvj420p'
            for number in range(NUM):
                container.mux(
                    stream.encode(
                        av.VideoFrame.from_ndarray(
                            bars(number), format='rgb24')))
            container.mux(stream.encode())
    else:
        path = write(tmp_path / name, **options)
    right = build_reader(path).get_frames(range(NUM))
    places = packet_places(path)
    times = load_video_index(path).times.tolist()
    for chosen in (40, 77, 113):
        pos, size, time = places[chosen]
        frame = times.index(time) if time in times else chosen
        place = pos + size - 2
        flip(path, place)
        reader = build_reader(path)
        with pytest.raises(VideoDecodeError, match='changed since|checksum'):
            reader.get_frames([frame])
        for first in range(0, NUM - 5, 6):
            numbers = range(first, first + 6)
            try:
                clip = reader.get_frames(numbers)
            except VideoDecodeError:
                continue
            assert np.array_equal(clip, right[first:first + 6])
        reader.close()
        flip(path, place)
        assert np.array_equal(reader.get_frames([frame])[0], right[frame])
        reader.close()


def test_a_header_that_changes_is_seen(tmp_path):
    """Its bits are in no packet."""
    path = write(tmp_path / 'film.mp4')
    PyAVReader(path).get_frames([0])
    container, stream = open_film(path)
    with container:
        extradata = stream.codec_context.extradata
    place = open(path, 'rb').read().index(extradata)
    flip(path, place + len(extradata) - 2)
    with pytest.raises(VideoDecodeError, match='header'):
        PyAVReader(path).get_frames([0])


def test_a_packet_that_is_left_out_is_seen(tmp_path):
    """A demuxer that loses its way may go on behind a packet."""
    path = write(tmp_path / 'film.mkv', x264='keyint=20:bframes=0')
    index = load_video_index(path)
    container, stream = open_film(path)
    with container:
        packets = list(film_packets(container, stream))
        assert all(whole for _, whole in checked_packets(packets, index))
        del packets[33]
        whole = [whole for _, whole in checked_packets(packets, index)]
    assert whole[:33] == 33 * [True]
    assert not any(whole[33:39])
    assert all(whole[39:])  # from the next key frame on


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp('store')
    path = write(folder / 'film.mp4')
    return prepared(path, folder / 'out', encoding='h264')[0]


def test_packets_of_a_store_are_signed(store, tmp_path):
    """Also where it was damaged before it was indexed."""
    data = open(store, 'rb').read()
    right = PyAVReader(store).get_frames(range(NUM))
    assert [number_of(frame) for frame in right] == list(range(NUM))
    places = packet_places(store)
    for chosen in (50, 104):
        for end in (1, 3, 9):
            pos, size, _ = places[chosen]
            damaged = bytearray(data)
            damaged[pos + size - end] ^= 2
            path = tmp_path / f'{chosen}-{end}.mp4'
            path.write_bytes(damaged)
            probe_video(str(path))
            reader = build_reader(str(path))
            with pytest.raises(VideoDecodeError, match='changed since'):
                reader.get_frames([chosen])
            others = [n for n in range(NUM) if n // 15 != chosen // 15]
            assert np.array_equal(reader.get_frames(others), right[others])


@pytest.mark.parametrize('encoding', ['h264', 'mjpeg'])
def test_a_lost_checksum_is_damage(encoding, store, tmp_path):
    """Another bit may have changed behind it; a JPEG of two was shown."""
    if encoding == 'mjpeg':
        film = write(tmp_path / 'film.mp4')
        store = prepared(film, tmp_path / 'out', encoding=encoding)[0]
    places = packet_places(store)
    for chosen in (0, 50, (NUM - 1) // 2):  # a scan looks at two of them
        damaged = bytearray(open(store, 'rb').read())
        begin = places[chosen][0]
        damaged[begin + 9] ^= 2  # in the name of the checksum
        if encoding == 'mjpeg':  # and in a table, as which it still decodes
            damaged[damaged.index(b'\xff\xdb', begin) + 60] ^= 2
        path = tmp_path / f'{chosen}.mp4'
        path.write_bytes(damaged)
        reader = build_reader(str(path))
        assert reader.num_frames == NUM
        with pytest.raises(VideoDecodeError, match='changed since|or is lost'):
            reader.get_frames([chosen])
        reader.get_frames([70])


def test_ffmpeg_shows_a_signed_film_as_it_was(store):
    """Its decoder passes over the messages, and so does decord's."""
    right = PyAVReader(store).get_frames(range(NUM))
    with av.open(store) as container:
        assert container.streams.video[0].average_rate == Fraction(25)
        frames = [f.to_ndarray(format='rgb24') for f in container.decode()]
    assert np.array_equal(frames, right)
    shown = build_reader(store, dict(type='DecordReader')).get_frames([9, 99])
    assert [number_of(frame) for frame in shown] == [9, 99]


def test_preparation_leaves_out_all_that_damage_reaches(tmp_path):
    """Frames that refer to a damaged one are shown before it, too."""
    path = write(tmp_path / 'film.mp4', x264='keyint=30:bframes=3')
    copy, _ = prepared(path, tmp_path / 'sound')
    right = MJPEGReader(copy).get_frames(range(NUM))
    path = shutil.copy(path, tmp_path / 'other.mp4')
    load_video_index(path)
    places = packet_places(path)
    # One that others refer to: it is stored before frames that are shown
    # before it.
    chosen = next(i for i in range(65, 85) if places[i][2] > places[i + 1][2])
    pos, size, _ = places[chosen]
    flip(path, pos + size - 2)
    copy, manifest = prepared(path, tmp_path / 'damaged')
    excluded = {
        n
        for begin, end, _ in manifest.excluded
        for n in range(begin, end)
    }
    kept = [n for n in range(NUM) if n not in excluded]
    assert 3 < len(excluded) <= 30
    assert np.array_equal(MJPEGReader(copy).get_frames(kept), right[kept])


def test_nothing_comes_out_behind_a_corrupt_frame():
    """Others of the group refer to what FFmpeg concealed."""

    def packet(time):
        return SimpleNamespace(
            pts=time,
            size=1,
            is_keyframe=time % 4 == 0,
            is_corrupt=time == 5)

    decoder = SimpleNamespace(  # a frame is its packet
        decode=lambda packet: [packet] if packet else [],
        renew=lambda: None)
    packets = [(packet(time), True) for time in range(16)]
    for run_up, shown in ((0, [0, 1, 2, 3, 4, *range(8, 16)]),
                          (1, [0, 1, 2, 3, 4, *range(12, 16)])):
        frames = decode_sound(decoder, packets, 0, run_up)
        assert [frame.pts for frame in frames] == shown


def test_checksums_of_clusters_tell_what_ffmpeg_conceals(tmp_path):
    """In Matroska, where a bit was wrong before the file was indexed."""
    path = write(
        tmp_path / 'film.mkv', 'keyint=20:bframes=2',
        muxer=dict(cluster_time_limit='1000'))
    data, places = open(path, 'rb').read(), packet_places(path)
    right = PyAVReader(path).get_frames(range(NUM))
    wrong_by_ffmpeg = 0
    for chosen in (33, 70, 111):
        pos, size, _ = places[chosen]
        damaged = bytearray(data)
        damaged[pos + size - 2] ^= 2
        file = str(tmp_path / f'{chosen}.mkv')
        open(file, 'wb').write(damaged)
        with av.open(file) as container:
            shown = [f.to_ndarray(format='rgb24') for f in container.decode()]
        wrong_by_ffmpeg += not np.array_equal(shown, right)
        reader = build_reader(file)
        for first in range(0, NUM - 5, 6):
            try:
                clip = reader.get_frames(range(first, first + 6))
            except VideoDecodeError as error:
                assert 'written or indexed' in str(error)
                continue
            assert np.array_equal(clip, right[first:first + 6])
        with pytest.raises(VideoDecodeError):
            reader.get_frames(range(chosen - 9, chosen + 9))
        assert len(reader.get_frames([0, NUM - 1])) == 2
    assert wrong_by_ffmpeg


def test_clusters_are_found_again_behind_damage(tmp_path):
    """A size that is wrong leads nowhere; what is behind it is sound."""
    path = tmp_path / 'film.mkv'
    write(path, 'keyint=10', muxer=dict(cluster_time_limit='1000'))
    clusters = sound_clusters(str(path))
    data = path.read_bytes()
    assert len(clusters) > 1 and len(data) - clusters[-1, 1] < 400
    for offset in (0, 4, 9, 40):
        damaged = bytearray(data)
        damaged[clusters[0, 0] + offset] ^= 1
        path.write_bytes(damaged)
        assert np.array_equal(sound_clusters(str(path)), clusters[1:])
    path.write_bytes(data[:clusters[-1, 1] - 3])  # cut short
    assert np.array_equal(sound_clusters(str(path)), clusters)
    write(path, codec='libvpx-vp9', g='30', deadline='realtime')
    webm = shutil.move(path, tmp_path / 'film.webm')
    assert len(build_reader(str(webm)).get_frames([77])) == 1


def test_frames_that_damage_took_are_missed(tmp_path):
    """A lost cluster gave all frames behind it the numbers of others."""
    path = tmp_path / 'film.mkv'
    write(path, 'keyint=30:bframes=3', muxer=dict(cluster_time_limit='1000'))
    right = build_reader(str(path)).get_frames(range(NUM))
    assert [number_of(frame) for frame in right] == list(range(NUM))
    data, clusters = path.read_bytes(), sound_clusters(str(path))
    for cluster, offset in ((0, 0), (0, 700), (1, 0), (2, -256), (3, 300)):
        damaged = bytearray(data)
        begin = clusters[cluster, 0] + offset
        damaged[begin:begin + 512] = bytes(512)
        file = tmp_path / f'{cluster}_{offset}.mkv'
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match='frames are missing|no frame'):
            build_reader(str(file))


def test_checksums_of_pictures_in_hevc_are_compared(tmp_path):
    """x265 writes them if it is asked to."""
    params = 'log-level=none:keyint=12:hash=1:pools=1:frame-threads=1'
    path = write(tmp_path / 'film.mp4', codec='libx265', preset='ultrafast',
                 **{'x265-params': params})  # yapf: disable
    right = PyAVReader(path).get_frames(range(NUM))
    assert [number_of(frame) for frame in right] == list(range(NUM))
    data, places = open(path, 'rb').read(), packet_places(path)
    for chosen in range(20, NUM, 13):
        pos, size, time = places[chosen]
        damaged = bytearray(data)
        damaged[pos + size - 30] ^= 2  # in front of the checksum
        file = tmp_path / f'{chosen}.mp4'
        file.write_bytes(damaged)
        reader = build_reader(str(file))
        with pytest.raises(VideoDecodeError):
            reader.get_frames([reader.index.find(time)])
