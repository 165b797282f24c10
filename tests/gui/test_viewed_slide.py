"""A slide in a real window: drawn alike with napari's asynchronous slicing on and off, and gone."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref

import numpy as np
import psutil
import pytest
import tifffile
from napari.settings import get_plugin_settings, get_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

from napari_dre_slcl.gui.viewed_slide import follow_cache_preference
from napari_dre_slcl.slide.block_cache import viewer_cache
from napari_dre_slcl.slide.slide_blocks import SlideBlocks


@pytest.fixture(scope="module")
def written_slide(make_slide, tissue_image, tmp_path_factory):
    image = tissue_image(3000, 4000, (200, 300, 2800, 3900))
    return make_slide(tmp_path_factory.mktemp("slide") / "large.tif", image=image, levels=1)


@pytest.fixture
def large_slide(written_slide, tmp_path):
    """3000x4000 px of tissue on glass in one level, so that levels are added."""
    return shutil.copy(written_slide, tmp_path / "large.tif")


@pytest.fixture
def show(make_napari_viewer, qtbot):
    """Return a function that opens a slide in a shown viewer, slicing asynchronously or not."""
    setting = get_settings().experimental
    before = setting.async_

    def open_viewer(path, is_async):
        setting.async_ = is_async
        viewer = make_napari_viewer(show=True)
        [layer] = viewer.open(str(path), plugin="napari-dre-slcl")
        qtbot.waitUntil(lambda: layer.loaded, timeout=20_000)
        return viewer, layer

    yield open_viewer
    setting.async_ = before


def look_at(viewer, qtbot, y_um, x_um, zoom):
    """Return the canvas once the layer has the pixels of a view."""
    viewer.scene.camera.center = (0, y_um, x_um)
    viewer.scene.camera.zoom = zoom
    qtbot.wait(50)
    viewer.screenshot(flash=False)  # asks the layer for the view
    qtbot.waitUntil(lambda: viewer.layers[0].loaded, timeout=20_000)
    qtbot.wait(50)
    return viewer.screenshot(flash=False)


@pytest.fixture
def reading_threads(monkeypatch):
    """Return a list to which every read of a slide's array adds the thread it was asked in."""
    threads = []
    run = SlideBlocks.run

    def recorded(self, tasks):
        threads.append(threading.current_thread())
        return run(self, tasks)

    monkeypatch.setattr(SlideBlocks, "run", recorded)
    return threads


def test_asynchronous_slicing_draws_the_same_pixels(
    show, qtbot, large_slide, reading_threads
) -> None:
    views = [(750, 1000, 0.3), (400, 500, 2.0), (900, 1500, 1.1)]
    pictures = {}
    levels = {}
    for is_async in (False, True):
        reading_threads.clear()
        viewer, layer = show(large_slide, is_async)
        pictures[is_async] = []
        levels[is_async] = []
        for view in views:
            pictures[is_async].append(look_at(viewer, qtbot, *view))
            levels[is_async].append(layer.data_level)
        assert (set(reading_threads) == {threading.main_thread()}) is not is_async
        viewer.close()
    assert levels[True] == levels[False]
    assert len(set(levels[False])) > 1
    for one, other in zip(pictures[False], pictures[True], strict=True):
        assert one.std() > 10
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("is_async", [False, True])
def test_nothing_is_left_of_a_removed_layer(show, qtbot, large_slide, is_async) -> None:
    viewer, layer = show(large_slide, is_async)
    look_at(viewer, qtbot, 400, 500, 2.0)
    source = layer.data[0].source
    block = source.read(0, 0, 0, 512, 512)
    alive = [weakref.ref(one) for one in (layer, layer.data[0], source, source._slide, block)]
    used = viewer_cache().used_bytes
    assert used > 0
    viewer.layers.remove(layer)
    del layer, source, block
    qtbot.wait(50)
    gc.collect()
    assert [type(reference()) for reference in alive] == [type(None)] * len(alive)
    assert viewer_cache().used_bytes < used
    assert not [file for file in psutil.Process().open_files() if "large.tif" in file.path]
    viewer.close()


def test_layer_may_be_removed_while_its_view_is_read(show, qtbot, large_slide, monkeypatch) -> None:
    viewer, layer = show(large_slide, is_async=True)
    is_reading, may_go_on = threading.Event(), threading.Event()
    read = SlideBlocks.read

    def wait_then_read(self, *box):
        is_reading.set()
        assert may_go_on.wait(20)
        return read(self, *box)

    monkeypatch.setattr(SlideBlocks, "read", wait_then_read)
    notification_manager.records.clear()
    viewer.scene.camera.center = (0, 400, 500)
    viewer.scene.camera.zoom = 2.0
    viewer.window._qt_viewer.canvas.on_draw(None)  # a screenshot would wait for the pixels
    assert is_reading.wait(20)
    source = weakref.ref(layer.data[0].source)
    viewer.layers.remove(layer)
    del layer
    may_go_on.set()
    qtbot.wait(200)
    qtbot.waitUntil(lambda: gc.collect() >= 0 and source() is None, timeout=20_000)
    assert list(notification_manager.records) == []
    viewer.close()


def test_nothing_is_left_of_a_slide_that_the_dock_opened(dock, viewer, qtbot, large_slide) -> None:
    dock.overlay.open_slide(large_slide)
    qtbot.wait(50)
    layer = dock.overlay.layer("slide")
    alive = [weakref.ref(one) for one in (layer, layer.data[0].source, layer.data[0].source._slide)]
    viewer.layers.remove(layer)
    del layer
    qtbot.wait(50)
    gc.collect()
    assert [type(reference()) for reference in alive] == [type(None)] * len(alive)
    assert dock.overlay.slide is None


@pytest.mark.parametrize("is_async", [False, True])
def test_damage_is_drawn_white_and_told_once(show, qtbot, large_slide, is_async) -> None:
    with tifffile.TiffFile(large_slide) as file:
        page = file.pages[0]
        places = [(page.dataoffsets[i], page.databytecounts[i]) for i in (5 * 16 + 5, 6 * 16 + 9)]
    with large_slide.open("r+b") as stream:
        for offset, count in places:
            stream.seek(offset)
            stream.write(bytes(count))
    notification_manager.records.clear()
    viewer, layer = show(large_slide, is_async)
    for _ in range(2):
        look_at(viewer, qtbot, 750, 1000, 0.3)
        picture = look_at(viewer, qtbot, 5.5 * 128, 5.5 * 128, 1.5)
    middle = picture[picture.shape[0] // 2, picture.shape[1] // 2]
    assert tuple(middle[:3]) == (255, 255, 255)
    told = [record.message for record in notification_manager.records]
    assert len(told) == 1, told
    assert "'large.tif' is damaged in" in told[0]
    assert isinstance(layer.data[0].source, SlideBlocks)
    assert layer.data[0].source.damage.count >= 2
    notification_manager.records.clear()
    viewer.close()


def test_cache_has_the_size_in_napari_s_preferences(plugin_settings, npe2pm) -> None:
    before = viewer_cache().limit_bytes
    npe2pm.register(PluginManifest.from_distribution("napari-dre-slcl"))
    preference = get_plugin_settings("napari-dre-slcl").viewer
    preferred = preference.cache_mib
    preference.cache_mib = 100
    follow_cache_preference()
    follow_cache_preference()
    assert viewer_cache().limit_bytes == 100 * 2**20
    preference.cache_mib = 200
    assert viewer_cache().limit_bytes == 200 * 2**20
    preference.cache_mib = preferred  # napari keeps it for the viewers of later tests
    viewer_cache().limit_bytes = before


def test_cache_keeps_its_size_where_napari_does_not_know_the_plugin(plugin_settings) -> None:
    before = viewer_cache().limit_bytes
    follow_cache_preference()
    assert viewer_cache().limit_bytes == before
