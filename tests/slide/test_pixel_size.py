"""Whose pixel size is used, and what is told where two disagree."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.pixel_size import GivenMpp, PixelSize, judge_pixel_size

MIRAX = "mirax.LAYER_0_LEVEL_0_SECTION.MICROMETER_PER_PIXEL_"
APERIO = {"openslide.vendor": "aperio", "aperio.MPP": "0.25", "openslide.objective-power": "40"}


def told(size: PixelSize) -> list[tuple[str, str]]:
    return [(found.code, found.severity) for found in size.findings]


@pytest.mark.parametrize("source", ["user", "cohort table", "stored answer"])
def test_given_size_wins_and_its_giver_is_the_source(source):
    size = judge_pixel_size("a.svs", APERIO, GivenMpp(0.252, source))
    assert (size.mpp, size.source, size.findings) == (0.252, source, ())


def test_given_size_that_contradicts_file_and_objective_is_used_with_two_warnings():
    size = judge_pixel_size("a.svs", APERIO, GivenMpp(0.5, "cohort table"))
    assert (size.mpp, size.source) == (0.5, "cohort table")
    assert told(size) == [("mpp-against-file", "warning"), ("mpp-against-objective", "warning")]
    assert size.findings[0].sentence == (
        "Slide 'a.svs': the 0.5 µm of the cohort table contradicts the 0.25 µm of aperio.MPP; the "
        "value of the cohort table is used; make sure that it is right, or give none."
    )


def test_given_size_makes_a_bad_header_a_note():
    bad = APERIO | {"aperio.MPP": "0"}
    assert told(judge_pixel_size("a.svs", bad, GivenMpp(0.25, "user"))) == [("mpp-zero", "note")]
    missing = judge_pixel_size("a.tif", {}, GivenMpp(0.25, "stored answer"))
    assert told(missing) == [("mpp-missing", "note")]
    assert "0.25 µm of the stored answer is used" in missing.findings[0].sentence


def test_given_size_that_confirms_the_file_settles_its_contradictions():
    odd = APERIO | {"openslide.objective-power": "10"}
    assert told(judge_pixel_size("a.svs", odd)) == [("mpp-against-objective", "warning")]
    confirmed = judge_pixel_size("a.svs", odd, GivenMpp(0.25, "user"))
    assert told(confirmed) == [("mpp-against-objective", "note")]


@pytest.mark.parametrize("mpp", [0.0999, 10.001, -0.25, float("nan")])
def test_implausible_given_size_is_refused(mpp):
    with pytest.raises(SlideError, match=r"'a\.svs'.* give mpp between 0\.1 and 10\."):
        judge_pixel_size("a.svs", APERIO, GivenMpp(mpp, "user"))


@pytest.mark.parametrize("mpp", ["0.1", "10"])
def test_ends_of_the_range_are_plausible(mpp):
    size = judge_pixel_size("a.svs", {"openslide.vendor": "aperio", "aperio.MPP": mpp})
    assert (size.mpp, size.source) == (float(mpp), "vendor property")


@pytest.mark.parametrize(
    ("y", "mpp", "codes"),
    [
        ("0.2549", 0.25245, []),
        ("0.2551", None, [("mpp-axes-differ", "error")]),
        ("", None, [("mpp-missing", "error")]),
        ("0", None, [("mpp-zero", "error")]),
        (None, None, [("mpp-one-axis", "error")]),
    ],
)
def test_both_axes_must_be_sound_and_agree_within_two_per_cent(y, mpp, codes):
    axes = {f"{MIRAX}X": "0.25"} | ({} if y is None else {f"{MIRAX}Y": y})
    size = judge_pixel_size("a.mrxs", {"openslide.vendor": "mirax"} | axes)
    assert size.mpp == (None if mpp is None else pytest.approx(mpp))
    assert told(size) == codes


def test_contradictory_vendor_is_not_rescued_by_the_rest_of_its_header():
    properties = {
        "openslide.vendor": "mirax",
        f"{MIRAX}X": "0.25",
        f"{MIRAX}Y": "0.5",
        "tiff.XResolution": "40000",
        "tiff.YResolution": "40000",
        "tiff.ResolutionUnit": "centimeter",
        "openslide.objective-power": "40",
    }
    size = judge_pixel_size("a.mrxs", properties)
    assert (size.mpp, size.source) == (None, "unknown")
    assert told(size) == [("mpp-axes-differ", "error")]


def test_vendors_raw_text_tells_what_openslide_dropped():
    properties = {"openslide.vendor": "ventana", "ventana.ScanRes": "auto"}
    size = judge_pixel_size("a.bif", properties)
    assert told(size) == [("mpp-not-a-number", "error")]
    assert "ventana.ScanRes is 'auto'" in size.findings[0].sentence


def test_vendor_without_raw_keys_is_read_through_openslides_names():
    names = {"openslide.mpp-x": "0.499", "openslide.mpp-y": "0.499"}
    size = judge_pixel_size("a.dcm", names | {"openslide.vendor": "dicom"})
    assert (size.mpp, size.source, size.findings) == (0.499, "vendor property", ())


@pytest.mark.parametrize(
    ("power", "mpp", "is_doubtful"),
    [("40", "0.228", False), ("40", "0.37", False), ("40", "0.38", True), ("20", "0.25", True)],
)
def test_objective_must_fit_within_a_factor_of_one_and_a_half(power, mpp, is_doubtful):
    size = judge_pixel_size("a", APERIO | {"aperio.MPP": mpp, "openslide.objective-power": power})
    assert size.mpp == float(mpp)
    assert told(size) == [("mpp-against-objective", "warning")] * is_doubtful


@pytest.mark.parametrize("power", ["0", "-40", "nan", "40x", "1e9", "150", "٤٠"])
def test_strange_objective_gives_no_estimate(power):
    size = judge_pixel_size("a", {"openslide.objective-power": power})
    assert size.mpp is None
    assert told(size) == [("mpp-missing", "error"), ("objective-unusable", "note")]


def test_size_by_openslide_for_a_plain_tiff_is_the_resolution():
    resolution = {"tiff.XResolution": "40000", "tiff.YResolution": "40000"}
    unit = {"tiff.ResolutionUnit": "centimeter", "openslide.vendor": "generic-tiff"}
    openslide = {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.25"}
    size = judge_pixel_size("a.tif", resolution | unit | openslide)
    assert (size.mpp, size.source, size.findings) == (0.25, "TIFF resolution", ())


OME = '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>{}</Image></OME>'
PIXELS = '<Pixels PhysicalSizeX="{0}" PhysicalSizeY="{0}" SizeC="3">'


def ome_mpp(text: str) -> float | None:
    return judge_pixel_size("a.ome.tif", {"tiff.ImageDescription": OME.format(text)}).mpp


@pytest.mark.parametrize(
    "around", ["<!-- {} -->", "<!--\n-\n{}\n-->", "<!-- <!-- {} -->", "<![CDATA[ <!-- {} ]]>"]
)
def test_size_in_what_xml_leaves_out_is_not_believed(around):
    hidden, real = around.format(PIXELS.format(2)), PIXELS.format(0.5)
    assert ome_mpp(hidden + real) == 0.5
    assert ome_mpp(hidden + hidden + real + hidden) == 0.5
    assert ome_mpp(hidden) is None
    assert ome_mpp(f"<!-- -->{real}<!-- -->") == 0.5


@pytest.mark.parametrize("text", ["<!-- ", "<![CDATA[ ", "<Pixels ", "<!---->"])
def test_huge_header_of_one_word_ends(text):
    assert ome_mpp(text * 300_000) is None


_TEXTS = (
    *("0.25", "0,25", "0.5", "250", "40000", "10000", "1", "0", "-0", "-1", "", " ", "nan", "inf"),
    *(
        "-inf",
        "1e400",
        "1e-400",
        "abc",
        "0x1",
        "1_0",
        "٣",
        "40x",
        "²",
        "1.2.3",
        "1,2,3",
        "\x00",
        "𝟏",
    ),
)
_KEYS = (
    *("openslide.mpp-x", "openslide.mpp-y", "aperio.MPP", f"{MIRAX}X", f"{MIRAX}Y"),
    *("ventana.ScanRes", "tiff.XResolution", "tiff.YResolution", "openslide.objective-power"),
    *("aperio.AppMag", "hamamatsu.SourceLens"),
)
_CHOICES = {
    "openslide.vendor": ("aperio", "mirax", "ventana", "hamamatsu", "generic-tiff", "ome-tiff", ""),
    "tiff.ResolutionUnit": ("inch", "centimeter", "none", "unknown", ""),
    "tiff.ImageDescription": (
        "ImageJ=1.5\nunit=\\u00B5m\n",
        "ImageJ=1.5\nunit=furlong\n",
        "Aperio|MPP = 0.25|MPP = x|AppMag = 40",
        '<OME><Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="nm" PhysicalSizeY="&bad;"/></OME>',
        "<OME><Pixels PhysicalSizeX='1' PhysicalSizeY='1' PhysicalSizeYUnit=''",
        "",
    ),
}


@pytest.mark.parametrize("given", [None, GivenMpp(0.25, "user")])
def test_no_header_crashes_and_none_leaves_the_size_without_a_word(given):
    rng = np.random.default_rng(0)
    for _ in range(3000):
        keys = [key for key in _KEYS if rng.random() < 0.4]
        properties = {key: str(rng.choice(_TEXTS)) for key in keys}
        properties |= {key: str(rng.choice(texts)) for key, texts in _CHOICES.items()}
        size = judge_pixel_size("a.tif", properties, given)
        severities = {found.severity for found in size.findings}
        assert (size.mpp is None) == (size.source == "unknown") == ("error" in severities)
        assert size.mpp is None or 0.1 <= size.mpp <= 10, properties
        assert given is None or (size.mpp, size.source) == (0.25, "user")
        assert size.source != "objective power" or "warning" in severities
        for found in size.findings:
            assert found.sentence.isprintable(), found
            assert found.sentence.endswith(".")
