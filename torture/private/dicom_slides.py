"""A DICOM slide that names a patient in every attribute that may hold text."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torture.private.identities import Identities

__all__ = ["write_dicom"]

_TILE_PX = 256
_WORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientNames",
    "PatientAddress",
    "PatientMotherBirthName",
    "PatientComments",
    "EthnicGroup",
    "Occupation",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PhysiciansOfRecord",
    "OperatorsName",
    "InstitutionName",
    "StationName",
    "StudyID",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "ContainerIdentifier",
    "BarcodeValue",
    "LabelText",
    "ImageComments",
    "AdmissionID",
    "DeviceSerialNumber",
    "ManufacturerModelName",
)
_DATES = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")


def write_dicom(folder: Path, pixels: NDArray[np.uint8], who: Identities) -> Path:
    """Write a folder with one level of a slide, and return it.

    Parameters
    ----------
    folder : Path
        Made; the file in it is called by an identifier as well.
    pixels : ndarray of uint8, shape (height, width, 3)
        Level 0.
    who : Identities
        Makes what is sown.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

    folder.mkdir(parents=True)
    path = folder / f"{who.word('file', 'DICOM file name')}.dcm"
    entropy = [who.random.random().hex()]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=entropy)
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    file: Any = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    file.SeriesInstanceUID = generate_uid(entropy_srcs=[*entropy, "series"])
    file.StudyInstanceUID = generate_uid(entropy_srcs=[*entropy, "study"])
    for name in _WORDS:
        setattr(file, name, who.word("header", f"DICOM {name}"))
    for name in _DATES:
        setattr(file, name, who.date("header", f"DICOM {name}"))
    block = file.private_block(0x0011, "torture", create=True)
    block.add_new(0x01, "LO", who.word("header", "DICOM private"))
    file.SpecimenDescriptionSequence = [_specimen(who)]
    _fill(file, pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.save_as(path, enforce_file_format=True)
    return folder


def _specimen(who: Identities) -> Any:
    from pydicom.dataset import Dataset

    specimen: Any = Dataset()
    specimen.SpecimenIdentifier = who.word("header", "DICOM SpecimenIdentifier")
    specimen.SpecimenShortDescription = who.word("header", "DICOM SpecimenShortDescription")
    return specimen


def _fill(file: Any, pixels: NDArray[np.uint8]) -> None:
    from pydicom.dataset import Dataset
    from pydicom.encaps import encapsulate

    measures: Any = Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.0005, 0.0005], 0.001
    shared: Any = Dataset()
    shared.PixelMeasuresSequence = [measures]
    file.Modality, file.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    file.Rows = file.Columns = _TILE_PX
    file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = pixels.shape[:2]
    file.TotalPixelMatrixFocalPlanes, file.DimensionOrganizationType = 1, "TILED_FULL"
    file.SamplesPerPixel, file.PhotometricInterpretation = 3, "YBR_FULL_422"
    file.PlanarConfiguration = file.PixelRepresentation = 0
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.LossyImageCompression = 7, "01"
    file.SharedFunctionalGroupsSequence = [shared]
    frames = _frames(pixels)
    file.NumberOfFrames = len(frames)
    file.PixelData = encapsulate(frames)
    file["PixelData"].VR = "OB"
    file["PixelData"].is_undefined_length = True


def _frames(pixels: NDArray[np.uint8]) -> list[bytes]:
    import imagecodecs

    height, width = pixels.shape[:2]
    return [
        bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(pixels[y : y + _TILE_PX, x : x + _TILE_PX]),
                level=92,
                colorspace="rgb",
                outcolorspace="ycbcr",
                subsampling="422",
            )
        )
        for y in range(0, height, _TILE_PX)
        for x in range(0, width, _TILE_PX)
    ]
