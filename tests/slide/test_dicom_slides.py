"""DICOM whole-slide images, written as scanners write them: one file per level and label."""

from __future__ import annotations

import warnings

import imagecodecs
import numpy as np
import openslide
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import open_slide

TILE_PX = 256
MPP = 0.5


def frames_of(image):
    """Return whole JPEG tiles, row by row."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % TILE_PX), (0, -width % TILE_PX), (0, 0)), mode="edge")
    return [
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(padded[y : y + TILE_PX, x : x + TILE_PX]),
            level=92,
            colorspace="rgb",
            outcolorspace="ycbcr",
            subsampling="422",
        )
        for y in range(0, height, TILE_PX)
        for x in range(0, width, TILE_PX)
    ]


def spacing(factor):
    """Return the functional group that says how large a pixel is, in mm."""
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [MPP * factor / 1000] * 2
    measures.SliceThickness = 0.001
    shared.PixelMeasuresSequence = [measures]
    return shared


def write_level(path, image, factor, series, kind=("VOLUME", "NONE")):
    """Write one level as a tiled multi-frame file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    file = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, generate_uid()
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    file.SeriesInstanceUID, file.StudyInstanceUID = series, generate_uid()
    file.Modality, file.Manufacturer = "SM", "made for a test"
    file.ImageType = ["ORIGINAL" if factor == 1 else "DERIVED", "PRIMARY", *kind]
    file.Rows = file.Columns = TILE_PX
    file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = image.shape[:2]
    file.TotalPixelMatrixFocalPlanes = 1
    file.DimensionOrganizationType = "TILED_FULL"
    file.SamplesPerPixel, file.PhotometricInterpretation = 3, "YBR_FULL_422"
    file.PlanarConfiguration = file.PixelRepresentation = 0
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit = 7
    file.LossyImageCompression = "01"
    file.SharedFunctionalGroupsSequence = [spacing(factor)]
    frames = frames_of(image)
    file.NumberOfFrames = len(frames)
    file.PixelData = encapsulate(frames)
    file["PixelData"].VR = "OB"
    file["PixelData"].is_undefined_length = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, drawn, reduced):
    """A slide of three levels with a label, beside a file that is no slide."""
    folder = tmp_path_factory.mktemp("dicom")
    series = generate_uid()
    for factor in (1, 2, 4):
        kind = ("VOLUME", "NONE" if factor == 1 else "RESAMPLED")
        write_level(folder / f"level-{factor}.dcm", reduced(drawn, factor), factor, series, kind)
    label = np.full((90, 120, 3), (250, 240, 20), np.uint8)
    write_level(folder / "a-label.dcm", label, 1, series, ("LABEL", "NONE"))
    (folder / "0-readme.txt").write_text("not DICOM")
    return folder


@pytest.fixture(scope="module", params=["folder", "one of its files"])
def slide(folder, request):
    with open_slide(folder if request.param == "folder" else folder / "level-2.dcm") as opened:
        yield opened


def test_facts_are_those_of_the_files(slide):
    info = slide.info
    assert info.level_shapes == ((900, 1300), (450, 650), (225, 325))
    assert info.level_downsamples == (1.0, 2.0, 4.0)
    assert (info.vendor, info.backend, info.tile_shape) == ("dicom", "openslide", (256, 256))
    assert (info.mpp, info.mpp_source) == (pytest.approx(MPP), "vendor property")
    assert info.associated_images == ("label",)


def test_every_level_holds_the_drawn_pixels_in_their_place(slide, drawn, reduced):
    for level, factor in enumerate((1, 2, 4)):
        truth = reduced(drawn, factor)
        height, width = truth.shape[:2]
        corner = -10 * factor, -20 * factor
        pixels = slide.read_region(*corner, height + 40, width + 50, level=level)
        assert np.abs(pixels[10 : 10 + height, 20 : 20 + width].astype(int) - truth).mean() <= 4
        pixels[10 : 10 + height, 20 : 20 + width] = 255
        assert (pixels == 255).all()


def test_pixels_are_openslides(slide, folder):
    with openslide.OpenSlide(folder / "level-1.dcm") as handle:
        truth = np.asarray(handle.read_region((300, 200), 0, (600, 500)).convert("RGB"))
    assert np.array_equal(slide.read_region(200, 300, 500, 600), truth)


def test_level_alone_is_a_slide_of_that_size(tmp_path, drawn, reduced):
    path = write_level(tmp_path / "alone.dcm", reduced(drawn, 4), 4, generate_uid())
    with open_slide(path) as slide:
        assert slide.info.level_shapes == ((225, 325),)
        assert slide.info.mpp == pytest.approx(4 * MPP)


def test_label_alone_is_refused(tmp_path):
    label = np.full((90, 120, 3), 200, np.uint8)
    path = write_level(tmp_path / "label.dcm", label, 1, generate_uid(), ("LABEL", "NONE"))
    for place in (path, tmp_path):
        with pytest.raises(SlideError) as caught:
            open_slide(place)
        assert "\n" not in str(caught.value)


def test_damaged_frame_is_named_and_the_others_are_read(tmp_path, drawn):
    path = write_level(tmp_path / "hurt.dcm", drawn, 1, generate_uid())
    content = path.read_bytes()
    frame = frames_of(drawn)[7]
    assert content.count(frame) == 1
    path.write_bytes(content.replace(frame, frame[:2] + bytes(len(frame) - 4) + frame[-2:]))
    with open_slide(path) as slide:
        with pytest.raises(DamagedSlideError, match=r"'hurt.dcm' is damaged near y=3\d\d, x=3\d\d"):
            slide.read_region(300, 300, 20, 20)
        whole = slide.read_region(512, 512, 256, 256)
    assert np.abs(whole.astype(int) - drawn[512:768, 512:768]).mean() <= 4
