"""The built-in cohort: readable slides, known truth, balanced labels, a fixed seed."""

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.cohort.synthetic_anatomy import draw_anatomy
from napari_dre_slcl.cohort.synthetic_nuclei import MutationCue
from napari_dre_slcl.cohort.synthetic_plan import SlidePlan, plan_cohort
from napari_dre_slcl.cohort.synthetic_reports import write_report
from napari_dre_slcl.cohort.synthetic_slide import paint_slide, write_pyramid
from napari_dre_slcl.cohort.synthetic_tissue import paint_tissue
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import tile_slide

N_SLIDES, SIDE_PX = 6, 1024


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _plan(subtype: str = "LUAD", **changes: object) -> SlidePlan:
    values = {
        "slide_id": "S-1",
        "patient_id": "S",
        "site": "A",
        "split": "train",
        "subtype": subtype,
        "is_mutated": False,
        "has_mutation_label": bool(subtype),
        "tumour_share": 0.5 if subtype else 0.0,
        "has_pen": False,
        "has_blur": False,
    }
    return SlidePlan(**{**values, **changes})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_cohort(tmp_path_factory.mktemp("made") / "cohort", N_SLIDES, 3, SIDE_PX)


def test_table_is_read_as_a_cohort_with_its_columns(table: Path):
    cohort = read_cohort(table)
    rows = _rows(table)
    assert len(cohort.rows) == len(rows) == N_SLIDES
    assert list(rows[0]) == [
        *("slide_id", "slide", "patient_id", "site", "split"),
        *("subtype", "cancer", "TP53", "report"),
    ]
    for row in rows:
        assert (row["cancer"] == "normal") == (row["subtype"] == "")
        assert row["subtype"] or not row["TP53"]


def test_slides_are_pyramids_of_half_a_micron(table: Path):
    for row in _rows(table):
        with open_slide(table.parent / row["slide"]) as slide:
            assert slide.info.level_shapes == ((1024, 1024), (256, 256), (64, 64))
            assert slide.info.mpp == pytest.approx(0.5, rel=1e-6)
            assert slide.info.tile_shape == (256, 256)


def test_true_tissue_cells_are_the_tiles_that_tiling_keeps(tmp_path: Path):
    for subtype in ("LUAD", "LUSC", ""):
        picture, cells = paint_slide(_plan(subtype), 0, 0, 2048)
        path = tmp_path / f"slide-{subtype}.tif"
        write_pyramid(path, picture)
        with open_slide(path) as slide:
            kept = {tuple(cell) for cell in tile_slide(slide).rowcol.tolist()}
        true = {(cell.row, cell.column) for cell in cells}
        assert len(kept & true) >= 0.85 * len(kept | true)


def test_colours_survive_the_file(tmp_path: Path):
    picture, _ = paint_slide(_plan(), 0, 0, SIDE_PX)
    write_pyramid(tmp_path / "slide.tif", picture)
    with open_slide(tmp_path / "slide.tif") as slide:
        read = slide.read_region(0, 0, SIDE_PX, SIDE_PX)
    assert np.abs(read.mean(axis=(0, 1)) - picture.mean(axis=(0, 1))).max() < 1.0
    assert picture[:8, :8].min() > 220, "a corner is glass"


def test_tumour_cells_exist_in_cancer_slides_only(table: Path):
    truth = _rows(table.parent / "tumour_tiles.csv")
    tumour = {row["slide_id"] for row in truth if row["is_tumour"] == "1"}
    assert tumour == {row["slide_id"] for row in _rows(table) if row["cancer"] == "cancer"}
    assert {row["slide_id"] for row in truth} == {row["slide_id"] for row in _rows(table)}


def test_tumour_share_of_the_tissue_is_as_planned():
    for share in (0.35, 0.7):
        _, cells = paint_slide(_plan("LUSC", tumour_share=share), 5, 0, 2048)
        assert np.mean([cell.is_tumour for cell in cells]) == pytest.approx(share, abs=0.12)


def test_same_seed_gives_the_same_files_and_another_seed_does_not(table: Path, tmp_path: Path):
    again = generate_cohort(tmp_path / "again", N_SLIDES, 3, SIDE_PX)
    files = sorted(p.relative_to(table.parent) for p in table.parent.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again.parent) for p in again.parent.rglob("*.*"))
    for file in files:
        assert (again.parent / file).read_bytes() == (table.parent / file).read_bytes()
    ours, _ = paint_slide(_plan(), 3, 0, SIDE_PX)
    others, _ = paint_slide(_plan(), 4, 0, SIDE_PX)
    assert (ours != others).any()


@pytest.mark.parametrize("subtype", ["LUAD", "LUSC"])
def test_mutation_changes_tumour_nuclei_and_nothing_outside_the_tumour(subtype: str):
    anatomy = draw_anatomy(np.random.default_rng(1), 2048, subtype, 0.5)
    wild, mutated = (
        paint_tissue(np.random.default_rng(2), anatomy, subtype, is_mutated)
        for is_mutated in (False, True)
    )
    inside = anatomy.tumour_px.repeat(4, axis=0).repeat(4, axis=1)
    for before, after in zip(wild, mutated, strict=True):
        np.testing.assert_array_equal(before[inside < -24], after[inside < -24])
    haematoxylin = [np.percentile(planes[0][inside > 0], 95) for planes in (wild, mutated)]
    assert haematoxylin[1] > 1.15 * haematoxylin[0]
    means = [float(planes[0][inside > 0].mean()) for planes in (wild, mutated)]
    assert means[1] < 1.35 * means[0], "the colour of the slide must not give it away"


def _dark_nests(cue: MutationCue | None, is_mutated: bool = True) -> np.ndarray:
    """Return the 95th percentile of haematoxylin in each nest of a LUSC tumour."""
    anatomy = draw_anatomy(np.random.default_rng(1), 1536, "LUSC", 0.6)
    planes = paint_tissue(np.random.default_rng(2), anatomy, "LUSC", is_mutated, cue)
    inside = anatomy.tumour_px > 8
    haematoxylin, nest = planes[0][2::4, 2::4][inside], anatomy.cell[inside]
    numbers, sizes = np.unique(nest, return_counts=True)
    large = numbers[sizes > 300]
    return np.array([np.percentile(haematoxylin[nest == number], 95) for number in large])


def test_a_mutation_may_be_fainter_or_show_in_some_nests_only():
    wild, usual = _dark_nests(None, is_mutated=False), _dark_nests(None)
    faint, rare = _dark_nests(MutationCue(strength=0.5)), _dark_nests(MutationCue(share=0.4))
    assert wild.mean() + 2 < faint.mean() < usual.mean() - 2
    shows = np.abs(rare - usual) < np.abs(rare - wild)
    assert len(shows) > 10
    assert 0.1 < shows.mean() < 0.75
    np.testing.assert_array_equal(_dark_nests(MutationCue(0.3, 0.3), is_mutated=False), wild)


def test_pen_is_blue_or_green_and_thin():
    picture, _ = paint_slide(_plan(has_pen=True), 2, 0, 2048)
    plain, _ = paint_slide(_plan(), 2, 0, 2048)
    inked = (picture != plain).any(axis=2)
    assert 0.002 < inked.mean() < 0.1
    red, green, blue = picture[inked].astype(float).mean(axis=0)
    assert red < max(green, blue) - 20, "ink is blue or green"


def test_blur_takes_the_detail_out_of_a_patch():
    blurred, _ = paint_slide(_plan(has_blur=True), 2, 0, 2048)
    sharp, _ = paint_slide(_plan(), 2, 0, 2048)
    patch = np.argwhere((blurred != sharp).any(axis=2)).mean(axis=0).astype(int)
    y, x = np.clip(patch - 40, 0, 2048 - 80)

    def detail(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture[y : y + 80, x : x + 80, 1].astype(int))).mean())

    assert detail(blurred) < 0.5 * detail(sharp)


@pytest.mark.parametrize("n_slides", [6, 7, 10, 13, 24, 36, 61])
def test_split_is_by_patient_and_holds_every_class(n_slides: int):
    plans = plan_cohort(n_slides, 0)
    assert len({plan.slide_id for plan in plans}) == n_slides
    labels: dict[str, set[object]] = {}
    for plan in plans:
        facts = (plan.split, plan.subtype, plan.is_mutated, plan.site, plan.has_mutation_label)
        labels.setdefault(plan.patient_id, set()).add(facts)
    assert all(len(facts) == 1 for facts in labels.values())
    test = [plan for plan in plans if plan.split == "test"]
    assert {plan.subtype for plan in test} == {"LUAD", "LUSC", ""}
    assert {plan.is_mutated for plan in test if plan.subtype} == {True, False}
    assert {plan.stratum for plan in plans if plan.split == "train"} >= {("", False)}
    if n_slides >= 10:
        assert {p.stratum for p in test} == {p.stratum for p in plans if p.split == "train"}
        assert len({p.stratum for p in test}) == 5
    assert 0.25 <= len(test) / n_slides <= 0.5


def test_thirty_six_slides_hold_out_twelve_and_know_doubles_and_gaps():
    plans = plan_cohort(36, 0)
    assert sum(plan.split == "test" for plan in plans) >= 12
    assert len({plan.patient_id for plan in plans}) < 36
    cancers = [plan for plan in plans if plan.subtype]
    assert 1 <= sum(not plan.has_mutation_label for plan in cancers) <= 4
    assert any(plan.has_pen for plan in plans)
    assert any(plan.has_blur for plan in plans)


def test_sites_tell_no_label():
    plans = plan_cohort(60, 0)
    for stratum in {plan.stratum for plan in plans}:
        sites = [plan.site for plan in plans if plan.stratum == stratum]
        assert {sites.count(site) for site in "ABC"} <= {3, 4, 5}


def test_reports_agree_with_labels_and_differ_in_words():
    rng = np.random.default_rng(0)
    texts = [write_report(rng, _plan("LUSC", is_mutated=True)) for _ in range(20)]
    assert len(set(texts)) == 20
    assert all("squamous" in text.lower() and "p53" in text for text in texts)
    normal = write_report(rng, _plan(""))
    assert "carcinoma" not in normal.replace("negative for carcinoma", "")
    assert "p53" not in write_report(rng, _plan("LUAD", has_mutation_label=False))


@pytest.mark.parametrize(
    ("n_slides", "seed", "side_px", "says"),
    [
        (5, 0, 1024, "at least 6 slides"),
        (6, -1, 1024, "seed"),
        (6, 0, 1000, "multiple of 256"),
        (6, 0, 768, "at least 1024"),
    ],
)
def test_bad_numbers_are_refused(tmp_path: Path, n_slides: int, seed: int, side_px: int, says: str):
    with pytest.raises(CohortError, match=says):
        generate_cohort(tmp_path / "out", n_slides, seed, side_px)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cue", [{"cue_share": 0.0}, {"cue_strength": 1.5}])
def test_a_cue_out_of_range_is_refused(tmp_path: Path, cue: dict[str, float]):
    with pytest.raises(CohortError, match="above 0 and at most 1"):
        generate_cohort(tmp_path / "out", N_SLIDES, 0, SIDE_PX, **cue)
    assert list(tmp_path.iterdir()) == []


def test_folder_in_use_is_refused_and_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(CohortError, match="not an empty folder"):
        generate_cohort(tmp_path, N_SLIDES, 0, SIDE_PX)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_stopped_generation_leaves_nothing_behind(tmp_path: Path):
    calls = []

    def stop(done: int, of: int) -> None:
        calls.append((done, of))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_cohort(tmp_path / "out", N_SLIDES, 0, SIDE_PX, stop)
    assert calls == [(1, N_SLIDES)]
    assert list(tmp_path.iterdir()) == []
