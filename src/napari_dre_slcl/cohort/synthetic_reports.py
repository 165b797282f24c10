"""Pathology reports for generated slides: varied English that agrees with the slide's labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_dre_slcl.cohort.synthetic_plan import SlidePlan

__all__ = ["write_report"]

_PLACES = (
    "right upper lobe",
    "right middle lobe",
    "right lower lobe",
    "left upper lobe",
    "left lower lobe",
    "lingula",
)
_PROCEDURES = (
    "CT-guided core biopsy",
    "transbronchial biopsy",
    "wedge resection",
    "lobectomy",
    "segmentectomy",
    "endobronchial biopsy",
)
_GROSS = {
    "LUAD": (
        "A grey-white firm nodule of {size} cm close to the pleura, which is puckered over it.",
        "Received in formalin: tan-grey lung tissue with an ill-defined solid area of {size} cm.",
        (
            "The cut surface shows a lobulated peripheral lesion, {size} cm across, with a "
            "glistening grey surface."
        ),
        "Fragments of firm whitish tissue, together {size} cm, all embedded.",
    ),
    "LUSC": (
        "A central, friable white-yellow mass of {size} cm that narrows the bronchus.",
        "Received in formalin: firm grey tissue of {size} cm with a chalky, granular cut surface.",
        "The cut surface shows a crumbly mass, {size} cm across, in contact with a bronchial wall.",
        (
            "Fragments of dense whitish tissue with small haemorrhages, together {size} cm, all "
            "embedded."
        ),
    ),
    "": (
        "Spongy pink-tan lung tissue of {size} cm without a focal lesion.",
        "Received in formalin: soft, aerated lung tissue measuring {size} cm.",
        "The cut surface is homogeneous and crepitant; tissue of {size} cm is embedded.",
        "Soft tan fragments, together {size} cm, that float in fixative.",
    ),
}
_MICRO = {
    "LUAD": (
        "Invasive tumour made of irregular glands with open lumina lined by columnar cells.",
        "Acinar growth: infiltrating glands of varying calibre in a desmoplastic stroma.",
        "Sections show a gland-forming epithelial neoplasm; some lumina hold pale secretion.",
        "The tumour grows in acini, focally cribriform, with nuclei along the basement membrane.",
    ),
    "LUSC": (
        "Solid nests of polygonal cells with intercellular bridges and keratin pearls.",
        "Infiltrating sheets and islands of squamous cells; central keratinisation is seen.",
        "Sections show cohesive nests with dense eosinophilic cytoplasm and whorls of keratin.",
        "The tumour grows in large solid islands with distinct cell borders and dyskeratosis.",
    ),
    "": (
        "Alveolar septa are thin and delicate; the airspaces hold scattered macrophages.",
        "Preserved alveolar architecture with inconspicuous pneumocytes and a few red cells.",
        "Sections show aerated lung with mild interstitial fibrosis and no atypia.",
        "Normal alveolar parenchyma beside bands of fibrous tissue; sparse lymphocytes.",
    ),
}
_NUCLEI = {
    True: (
        "The tumour nuclei are enlarged, hyperchromatic and pleomorphic with prominent nucleoli.",
        "There is marked nuclear pleomorphism; nucleoli are conspicuous.",
        "Nuclei vary greatly in size and show coarse chromatin and macronucleoli.",
    ),
    False: (
        "The tumour nuclei are of uniform size with fine chromatin.",
        "Nuclear pleomorphism is mild; nucleoli are inconspicuous.",
        "Nuclei are small and regular, chromatin is evenly dispersed.",
    ),
}
_P53 = {
    True: (
        "p53: diffuse strong nuclear staining, mutant pattern.",
        "p53 immunostain shows strong overexpression in more than 90 % of tumour nuclei.",
        "Aberrant p53 (diffuse, strong), in keeping with a TP53 alteration.",
    ),
    False: (
        "p53: patchy weak nuclear staining, wild-type pattern.",
        "p53 immunostain is of wild-type pattern, weak in scattered nuclei.",
        "No aberrant p53 expression.",
    ),
}
_STAINS = {
    "LUAD": (
        "TTF-1 positive, napsin A positive, p40 negative.",
        "Tumour cells express TTF-1 and CK7; p40 is negative.",
        "Immunohistochemistry: CK7+, TTF-1+, p63-.",
    ),
    "LUSC": (
        "p40 positive, CK5/6 positive, TTF-1 negative.",
        "Tumour cells express p63 and p40; TTF-1 is negative.",
        "Immunohistochemistry: p40+, CK5/6+, napsin A-.",
    ),
}
_DIAGNOSES = {
    "LUAD": (
        "Invasive adenocarcinoma of the lung, acinar pattern.",
        "Lung adenocarcinoma, moderately differentiated.",
        "Non-small cell carcinoma, adenocarcinoma.",
    ),
    "LUSC": (
        "Keratinising squamous cell carcinoma of the lung.",
        "Squamous cell carcinoma, moderately differentiated.",
        "Non-small cell carcinoma, squamous cell type.",
    ),
    "": (
        "Benign lung parenchyma, no evidence of malignancy.",
        "Lung tissue without significant abnormality; negative for carcinoma.",
        "Benign alveolar lung tissue with mild fibrosis. No tumour.",
    ),
}
_LAYOUTS = (
    (
        "Specimen: {specimen}. Gross description: {gross} Microscopic description: {micro} "
        "Diagnosis: {diagnosis}"
    ),
    "DIAGNOSIS: {diagnosis} SPECIMEN: {specimen}. MACROSCOPY: {gross} MICROSCOPY: {micro}",
    "{specimen}. {gross} {micro} Conclusion: {diagnosis}",
)


def write_report(rng: np.random.Generator, plan: SlidePlan) -> str:
    """Return the report of one slide; it tells what is painted, in changing words and order."""

    def pick(texts: Sequence[str]) -> str:
        return texts[int(rng.integers(len(texts)))]

    specimen = f"Lung, {pick(_PLACES)}, {pick(_PROCEDURES)}"
    gross = pick(_GROSS[plan.subtype]).format(size=f"{rng.uniform(0.6, 5.5):.1f}")
    sentences = [pick(_MICRO[plan.subtype])]
    if plan.subtype:
        share = round(plan.tumour_share * 20) * 5
        sentences.append(pick(_NUCLEI[plan.is_mutated]))
        sentences.append(f"About {share} % of the tissue is tumour.")
        # Labels and immunostains go missing together: both come from the same laboratory.
        tests = [pick(_STAINS[plan.subtype])]
        if plan.has_mutation_label:
            tests.append(pick(_P53[plan.is_mutated]))
        sentences.extend(str(text) for text in rng.permutation(tests))
    return pick(_LAYOUTS).format(
        specimen=specimen,
        gross=gross,
        micro=" ".join(sentences),
        diagnosis=pick(_DIAGNOSES[plan.subtype]),
    )
