"""The instructions ask about every label of their subset, name none of them and fit no other subset."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from med_mat.card import read_card
from med_mat.errors import MedMatError
from med_mat.questions.instructions import Instructions, instructed_subsets, load_instructions, parse_instructions
from med_mat.questions.table import markdown

NUMBERS = [f"{number:02d}" for number in range(1, 38)]
REGION_NUMBERS = [f"{number:02d}" for number in range(38, 54)]

# What the sources of each subset call their labels, whether their cards are written yet or not.
LABELS = {
    "01": """
        Type 1 cervix; Type 2 cervix; Type 3 cervix
    """,
    "02": """
        Kidney cyst; Normal kidney; Kidney stone; Kidney tumor
    """,
    "03": """
        COVID-19 positive; COVID-19 negative; COVID-19; Non-COVID
    """,
    "04": """
        Adenocarcinoma; Large cell carcinoma; Squamous cell carcinoma; Normal
    """,
    "05": """
        Intracranial hemorrhage; Normal (no hemorrhage)
    """,
    "06": """
        Aneurysm; Cancer; Tumor
    """,
    "07": """
        Benign; Malignant (melanoma)
    """,
    "08": """
        Melanoma; Melanocytic naevus; Basal cell carcinoma; Actinic keratosis; Nevus; Seborrheic keratosis;
        Squamous cell carcinoma; Monkeypox (mpox); Chickenpox; Smallpox; Cowpox; Measles; Healthy skin;
        Benign; Malignant (melanoma); Melanocytic nevus; Benign keratosis; Dermatofibroma; Vascular lesion;
        Unknown (none of the others); Pigmented benign keratosis; Inflammatory condition; Malignant
        epidermal tumour; Genodermatosis; Benign dermal tumour; Benign epidermal tumour; Malignant melanoma;
        Benign melanocytic lesion; Cutaneous lymphoma; Malignant dermal tumour; Actinic keratosis /
        intraepithelial carcinoma (Bowen disease); Benign nevus; Not monkeypox (chickenpox or measles)
    """,
    "09": """
        Dental calculus; Dental caries; Gingivitis; Mouth ulcer; Tooth discoloration; Hypodontia
    """,
    "10": """
        Oral cancer; No oral cancer
    """,
    "11": """
        Boston Bowel Preparation Scale 0; Boston Bowel Preparation Scale 1; Boston Bowel Preparation Scale
        2; Boston Bowel Preparation Scale 3
    """,
    "12": """
        High-grade carcinoma; Low-grade carcinoma; Non-suspicious tissue; Non-tumor lesion
    """,
    "13": """
        Dyed and lifted polyp; Dyed resection margins; Esophagitis; Normal cecum; Normal pylorus; Normal
        Z-line; Polyp; Ulcerative colitis
    """,
    "14": """
        Normal; Glaucoma; Age-related macular degeneration; Cataract; Diabetic retinopathy; Hypertensive
        retinopathy; Pathological myopia; Normal fundus; Other ocular disease or abnormality; Tessellated
        fundus; Large optic cup; Diabetic retinopathy, mild (DR1); Diabetic retinopathy, moderate (DR2);
        Diabetic retinopathy, severe or proliferative (DR3); Branch retinal vein occlusion; Central retinal
        vein occlusion; Retinal artery occlusion; Rhegmatogenous retinal detachment; Central serous
        chorioretinopathy; Vogt-Koyanagi-Harada disease; Maculopathy; Epiretinal membrane; Macular hole;
        Possible glaucoma; Optic atrophy; Severe hypertensive retinopathy; Optic disc swelling and
        elevation; Dragged optic disc; Congenital optic disc abnormality; Retinitis pigmentosa; Bietti
        crystalline dystrophy; Peripheral retinal degeneration and break; Myelinated nerve fibres; Vitreous
        particles; Fundus neoplasm; Massive hard exudates; Yellow-white spots or flecks; Cotton-wool spots;
        Vessel tortuosity; Chorioretinal atrophy or coloboma; Preretinal hemorrhage; Fibrosis; Laser spots;
        Silicone oil in the eye; Blurred fundus without proliferative diabetic retinopathy; Blurred fundus
        with suspected proliferative diabetic retinopathy; Ocular toxoplasmosis; Healthy eye; Active ocular
        toxoplasmosis; Active and inactive ocular toxoplasmosis; Inactive ocular toxoplasmosis; No age-
        related macular degeneration; No glaucoma; No referable glaucoma; Referable glaucoma; Other retinal
        disease;
        diabetes; hypertension
    """,
    "15": """
        Diabetic retinopathy; Normal retina; Media haze; Optic disc cupping; Tessellation; Age-related
        macular degeneration; Drusen; Myopia; Branch retinal vein occlusion; Optic disc pallor; Central
        retinal vein occlusion; Choroidal neovascularization; Retinitis; Optic disc edema; Laser scars;
        Central serous retinopathy; Hypertensive retinopathy; Arteriosclerotic retinopathy; Chorioretinitis;
        Other diseases; Within normal limits (normal fundus); Asteroid hyalosis; Anterior ischemic optic
        neuropathy; Coloboma; Choroidal folds; Collateral vessels; Cystoid macular edema; Central retinal
        artery occlusion; Cotton-wool spots; Cysticercosis; Exudation; Epiretinal membrane; Giant retinal
        tear; Hemorrhagic pigment epithelial detachment; Hemorrhagic retinopathy; Macroaneurysm; Macular
        edema; Macular hole; Macular scar; Optic neuritis; Optic disc pit maculopathy; Preretinal
        hemorrhage; Retinal detachment; Retinal holes; Retinal tears; Retinitis pigmentosa; Retinal pigment
        epithelium changes; Retinal traction; Silicone oil-filled eye; Optociliary shunt; Tilted disc;
        Tortuous vessels; Vasculitis; Idiopathic intracranial hypertension; Normal fundus; Glaucoma;
        Cataract; Pathological myopia; Other ocular disease or abnormality
    """,
    "16": """
        No diabetic retinopathy; Mild non-proliferative diabetic retinopathy; Moderate non-proliferative
        diabetic retinopathy; Severe non-proliferative diabetic retinopathy; Proliferative diabetic
        retinopathy
    """,
    "17": """
        Good quality; Bad quality; Outlier (not a usable retinal fundus image)
    """,
    "18": """
        Homogeneous; Fine speckled; Coarse speckled; Nucleolar; Centromere; Cytoplasmic; Speckled; Nuclear
        membrane; Golgi; Adenosis; Fibroadenoma; Phyllodes tumor; Tubular adenoma; Ductal carcinoma; Lobular
        carcinoma; Mucinous carcinoma; Papillary carcinoma; Normal; Serrated; Adenocarcinoma; Adenoma;
        Tapered; Pyriform; Amorphous; Abnormal eosinophil; Artefact; Basophil; Blast; Erythroblast;
        Eosinophil; Faggott cell; Hairy cell; Smudge cell; Immature lymphocyte; Lymphocyte; Metamyelocyte;
        Monocyte; Myelocyte; Band neutrophil; Segmented neutrophil; Not identifiable; Other cell;
        Proerythroblast; Plasma cell; Promyelocyte; Adipose tissue; Background; Debris; Lymphocytes; Mucus;
        Smooth muscle; Normal colon mucosa; Cancer-associated stroma; Colorectal adenocarcinoma epithelium;
        Chronic lymphocytic leukemia; Follicular lymphoma; Mantle cell lymphoma; Colon adenocarcinoma;
        Benign colonic tissue; Lung adenocarcinoma; Benign lung tissue; Lung squamous cell carcinoma;
        Fusiform; Epithelioid; Cobblestone; Mixed; Immature granulocyte; Neutrophil; Platelet (thrombocyte)
    """,
    "19": """
        Non-cancerous; Gleason grade 3; Gleason grade 4; Gleason grade 5
    """,
    "20": """
        Neutrophil; Eosinophil; Lymphocyte; Monocyte; Basophil
    """,
    "21": """
        No metastatic tumor; Metastatic tumor; Acute lymphoblastic leukemia blast; Normal cell
    """,
    "22": """
        Glioma, T1-weighted MRI; Glioma, contrast-enhanced T1-weighted MRI; Glioma, T2-weighted MRI;
        Meningioma, T1-weighted MRI; Meningioma, contrast-enhanced T1-weighted MRI; Meningioma, T2-weighted
        MRI; Normal brain, T1-weighted MRI; Normal brain, T2-weighted MRI; Neurocytoma, T1-weighted MRI;
        Neurocytoma, contrast-enhanced T1-weighted MRI; Neurocytoma, T2-weighted MRI; Other lesion,
        T1-weighted MRI; Other lesion, contrast-enhanced T1-weighted MRI; Other lesion, T2-weighted MRI;
        Schwannoma, T1-weighted MRI; Schwannoma, contrast-enhanced T1-weighted MRI; Schwannoma, T2-weighted
        MRI; Glioma; Meningioma; No tumor; Pituitary tumor;
        astrocytoma; glioblastoma; oligodendroglioma; ependymoma; abscess; cyst; encephalopathy
    """,
    "23": """
        Choroidal neovascularization; Diabetic macular edema; Drusen; Normal; Age-related macular
        degeneration; Central serous retinopathy; Diabetic retinopathy; Macular hole
    """,
    "24": """
        Benign; Malignant; Normal
    """,
    "25": """
        Normal (Kellgren-Lawrence grade 0); Doubtful (Kellgren-Lawrence grade 1); Mild (Kellgren-Lawrence
        grade 2); Moderate (Kellgren-Lawrence grade 3); Severe (Kellgren-Lawrence grade 4); Normal (healthy)
        - Kellgren-Lawrence grade 0; Doubtful - Kellgren-Lawrence grade 1; Mild (minimal) - Kellgren-
        Lawrence grade 2; Moderate - Kellgren-Lawrence grade 3; Severe - Kellgren-Lawrence grade 4
    """,
    "26": """
        Fractured; Not fractured
    """,
    "27": """
        Normal; Scoliosis; Spondylolisthesis
    """,
    "28": """
        Normal; Tuberculosis; COVID-19; Pneumonia; Viral pneumonia; Lung opacity (non-COVID lung infection);
        COVID-19 positive; COVID-19 negative; Bacterial pneumonia; COVID-19 pneumonia; SARS pneumonia;
        Streptococcal bacterial pneumonia; Acute respiratory distress syndrome; No COVID-19;
        bacteria; virus
    """,
    "29": """
        Normal; Calcification; Well-defined/circumscribed mass; Spiculated mass; Other, ill-defined mass;
        Architectural distortion; Asymmetry; Malignant; Benign; Benign (no call-back needed); Mass
    """,
    "30": """
        Normal; Tuberculosis
    """,
    "31": """
        Atelectasis; Cardiomegaly; Pleural effusion; Infiltration; Mass; Nodule; Pneumonia; Pneumothorax;
        Consolidation; Pulmonary edema; Emphysema; Pulmonary fibrosis; Pleural thickening; Hernia; No
        finding; Fracture; Calcification; Diffuse nodules; Normal; Lung volume change (see MeSH:
        hypoinflation / hyperdistention); Opacity; Pulmonary atelectasis; Calcified granuloma; Degenerative
        change of the thoracic spine; Scar; Degenerative change of the spine; Prominent lung markings; Aorta
        (tortuous); Diaphragm abnormality (elevated / flattened); Atherosclerosis; Airspace disease;
        Indwelling catheter; Density; Deformity; Granulomatous disease; Surgical hardware (clips, wires);
        Scoliosis; Not indexed; Thoracic aorta (tortuous); Technically unsatisfactory image; Bone fracture;
        Blunted costophrenic angle; Osteophyte; Pulmonary congestion; Implanted medical device; Spondylosis;
        Infiltrate; Enlarged cardiac shadow; Thickening; Granuloma; Chronic obstructive pulmonary disease;
        Hiatal hernia; Pulmonary emphysema; Diaphragmatic eventration; Arthritis; Kyphosis; Metabolic bone
        disease (osteopenia); Inserted tube; Foreign body; Prominent mediastinum; Lucency; Spinal fusion;
        Medical device; Hyperlucent lung; Stent; Degenerative change of the shoulder; Interstitial lung
        disease; Epicardial fat; Pulmonary artery (enlarged); Degenerative change of the lumbar spine;
        Volume loss; Heart; Heart failure; Shift; Sclerosis; Sutures; Pulmonary hypertension; Nipple shadow;
        Bulla (MeSH "Blister"); Mastectomy; Sulcus; Pneumonectomy; Pericardial effusion; Breast implant;
        Cyst; Bronchiectasis; Diffuse idiopathic skeletal hyperostosis; Cavitation; Bullous emphysema;
        Dislocation; Pectus excavatum; Pneumoperitoneum; Aortic aneurysm; Heart atria; Adipose tissue;
        Cystic fibrosis; Hydropneumothorax; Ribs; Bone and bones; Pectus carinatum; Sarcoidosis; Pleura;
        Heart ventricles; Contrast media; Subcutaneous emphysema; Cervical vertebrae; Humerus; Tuberculosis;
        Diaphragmatic hernia; Abdomen; Lymph nodes; Osteoporosis; Expansile bone lesions; Trachea; Fibrosis;
        Colonic interposition; Cholelithiasis; Trachea, Carina; Bronchitis; Thorax; Hypovolemia;
        Hemopneumothorax; Bronchiolitis; Blood vessels; Hemothorax; Enlarged cardiomediastinum; Lung
        opacity; Lung lesion; Other pleural abnormality; Support devices; Abnormal without lung opacity;
        Lung opacity suspicious for pneumonia; Bronchopneumonia; Other disease; Situs inversus;
        Pleuropneumonia; Congenital lobar emphysema; Congenital pulmonary airway malformation; Hyaline
        membrane disease; Mediastinal tumor; Lung tumor;
        calcinosis; cicatrix; catheters; technical quality
    """,
    "32": """
        Brain tumor; Healthy (no tumor)
    """,
    "33": """
        Nucleoplasm; Nuclear membrane; Nucleoli; Nucleoli fibrillar center; Nuclear speckles; Nuclear
        bodies; Endoplasmic reticulum; Golgi apparatus; Intermediate filaments; Actin filaments;
        Microtubules; Mitotic spindle; Centrosome; Plasma membrane; Mitochondria; Aggresome; Cytosol;
        Vesicles and punctate cytosolic patterns; Negative
    """,
    "34": """
        No diabetic retinopathy signs; Mild (early) non-proliferative diabetic retinopathy; Moderate non-
        proliferative diabetic retinopathy; Severe non-proliferative diabetic retinopathy; Very severe non-
        proliferative diabetic retinopathy; Proliferative diabetic retinopathy; Advanced proliferative
        diabetic retinopathy
    """,
    "35": """
        distal interphalangeal joint (fingers other than the thumb); distal interphalangeal joint of the
        thumb; metacarpophalangeal joint (other fingers); metacarpophalangeal joint of the thumb; middle
        phalanx joint (middle interphalangeal); proximal interphalangeal joint (other fingers); proximal
        interphalangeal joint of the thumb; distal radius; distal ulna
    """,
    "36": """
        Osteophytes; Disc space narrowing; Surgical implant; Foraminal stenosis; Spondylolisthesis;
        Vertebral collapse; Other lesions; No finding
    """,
    "37": """
        Mass; Suspicious Calcification; Focal Asymmetry; Architectural Distortion; Asymmetry; Skin
        Thickening; Suspicious Lymph Node; Nipple Retraction; Global Asymmetry; Skin Retraction; No finding
    """,
}

CARDS = Path(__file__).parents[1] / "cards"

# Words that carry no answer although a label may hold them. A label that consists of them is looked for whole.
GENERIC = """
    a an the of or and in on at to for from by with without as than this its it is be not no non any all other both
    finding disease disorder condition abnormality lesion change sign type grade class stage level scale pattern
    image photograph score present quality
"""
NORMAL = {"normal", "healthy", "no", "non", "not", "negative"}
# An instruction with one of these words takes something abnormal for granted, unless a hedge takes it back.
PRESUMING = """
    lesion abnormality disease disorder infection cancer malignancy tumor mass defect injury damage pathology growth
    cause diagnosis
"""
HEDGES = re.compile(
    r"\b(if|none|absence|absent|lack|or not|controls|with regard to|about|searched|searching|imply|expressed as"
    r"|state of|clear|landmarks?|before)\b"
)
ALL_OF_THEM = re.compile(r"\b(all|every|each|complete|altogether|together|list|full)\b")
OPTIONS = re.compile(r"\b(following|options?|letters|choices|choose|select|pick|answer with)\b", re.IGNORECASE)
BRITISH = re.compile(r"haem|oedem|paed|oesoph|tumour|colour|\bgrey|centre|labell|isation|\bcaecum", re.IGNORECASE)
YES_NO = re.compile(r"(is|are|was|does|do|did|can|could|would|should|has|have)\b", re.IGNORECASE)
FRAME = "which what how where should would could does do did has have show if anything result decide picture"
SUFFIX = re.compile(r"(?<=\w{4})(?:ations?|ings?|ions?|ical|ous|ies|ed|es|ic|al|s|y|e)$")


def words(text: str) -> list[str]:
    """Lower-case words and numbers, with one spelling for British and American."""
    folded = text.lower().replace("tumour", "tumor").replace("haem", "hem").replace("oedem", "edem")
    return re.findall(r"[a-z]+|[0-9]+", folded)


def stem(word: str) -> str:
    while (shorter := SUFFIX.sub("", word)) != word:
        word = shorter
    return word


def stems(text: str) -> list[str]:
    return [stem(word) for word in words(text)]


@cache
def carded_labels() -> dict[str | None, list[str]]:
    """Clean labels of the cards that are written, by subset."""
    found: dict[str | None, list[str]] = {}
    for path in sorted(CARDS.glob("*.md")):
        card = read_card(path)
        found.setdefault(card.subset, []).extend(card.clean_labels)
    return found


@cache
def labels(subset: str) -> tuple[str, ...]:
    """Labels of the subset by the list above, and clean labels of the cards that are written."""
    listed = [" ".join(label.split()) for label in LABELS[subset].split(";")]
    return tuple(dict.fromkeys([*listed, *carded_labels().get(subset, [])]))


@cache
def telling_stems(subset: str) -> frozenset[str]:
    """Stems that are in some labels of the subset and not in all: who reads one knows something of the answer."""
    sets = [set(stems(label)) for label in labels(subset)]
    harmless = set.intersection(*sets) | set(stems(GENERIC)) | set(stems(load_instructions(subset).noun))
    return frozenset(set.union(*sets) - harmless)


def told(subset: str, text: str) -> set[str]:
    """What a text gives away: telling words, and labels that it names whole."""
    line = f" {' '.join(stems(text))} "
    whole = {label for label in labels(subset) if f" {' '.join(stems(label))} " in line}
    return whole | (telling_stems(subset) & set(stems(text)))


def fits(text: str, instructions: Instructions) -> bool:
    """Whether one of the subset's anchors is in the text with all its words."""
    have = set(stems(text))
    return any(set(stems(anchor)) <= have for anchor in instructions.anchors)


def content(number: str, text: str) -> set[str]:
    """Stems of a text without what every text of its subset has and without the frame of a question."""
    entry = load_instructions(number)
    return set(stems(text)) - set(stems(" ".join([GENERIC, FRAME, entry.noun, *entry.anchors])))


def likeness(one: set[str], two: set[str]) -> float:
    return len(one & two) / len(one | two) if one | two else 1.0


EVERY = [(number, text) for number in NUMBERS for text in load_instructions(number).instructions]


def test_all_subsets_have_instructions() -> None:
    assert list(instructed_subsets()) == NUMBERS + REGION_NUMBERS
    assert sorted(LABELS) == NUMBERS
    assert len({text.lower() for _, text in EVERY}) == 37 * 6


def test_kinds_are_those_of_the_published_subsets() -> None:
    sets = {number for number in NUMBERS if load_instructions(number).kind == "multilabel"}
    assert sets == {"15", "20", "31", "33", "36", "37"}


@pytest.mark.parametrize("number", NUMBERS)
def test_form(number: str) -> None:
    for text in load_instructions(number).instructions:
        assert text.isascii(), text
        assert len(text.split()) <= 30, text
        sentences = re.split(r"(?<=[.?!]) ", text)
        assert len(sentences) <= 2, text
        assert all(sentence[0].isupper() for sentence in sentences), text
        assert text.count("?") == 1, text
        assert not re.search(r"\d", text), text
        assert not re.search(r"[(){}\[\]/;\"]", text), text
        assert not BRITISH.search(text), text


@pytest.mark.parametrize("number", NUMBERS)
def test_question_asks_for_a_label_and_not_for_yes_or_no(number: str) -> None:
    for text in load_instructions(number).instructions:
        question = re.split(r"\. ", text)[-1]
        assert re.search(r"\b(which|what|how|where)\b", question, re.IGNORECASE), text
        assert not YES_NO.match(question), text
        assert not OPTIONS.search(text), text


@pytest.mark.parametrize("number", NUMBERS)
def test_instruction_gives_nothing_away(number: str) -> None:
    entry = load_instructions(number)
    assert entry.presence is not None
    given_away = {text: told(number, text) for text in [*entry.instructions, entry.presence.format(label="")]}
    assert {text: what for text, what in given_away.items() if what} == {}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_label_would_be_noticed(number: str) -> None:
    for label in labels(number):
        assert told(number, f"Which picture shows {label} here?"), label


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_abnormal_is_taken_for_granted(number: str) -> None:
    if not any(NORMAL & set(words(label)) for label in labels(number)):
        return
    for text in load_instructions(number).instructions:
        if set(stems(PRESUMING)) & set(stems(text)):
            assert HEDGES.search(text.lower()), text


@pytest.mark.parametrize("number", NUMBERS)
def test_sets_of_labels_are_asked_for_as_sets(number: str) -> None:
    entry = load_instructions(number)
    for text in entry.instructions:
        assert bool(ALL_OF_THEM.search(text.lower())) == (entry.kind == "multilabel"), text


@pytest.mark.parametrize("number", NUMBERS)
def test_instruction_fits_its_subset_and_no_other(number: str) -> None:
    for text in load_instructions(number).instructions:
        assert [other for other in NUMBERS if fits(text, load_instructions(other))] == [number], text


@pytest.mark.parametrize("number", NUMBERS)
def test_instructions_of_a_subset_are_not_synonyms(number: str) -> None:
    for one, two in combinations(load_instructions(number).instructions, 2):
        assert likeness(content(number, one), content(number, two)) <= 0.3, (one, two)


def test_no_instruction_is_another_with_the_noun_exchanged() -> None:
    bare = [(number, text, content(number, text)) for number, text in EVERY]
    for (number, one, in_one), (other, two, in_two) in combinations(bare, 2):
        if number != other and min(len(in_one), len(in_two)) >= 2:
            assert likeness(in_one, in_two) <= 0.5, (one, two)


@pytest.mark.parametrize("number", REGION_NUMBERS)
def test_questions_for_boxes_hold_one_label_and_name_none(number: str) -> None:
    entry = load_instructions(number)
    assert entry.kind in ("detection", "segmentation")
    assert entry.presence is not None
    assert entry.box is not None
    every = [*entry.instructions, entry.presence, entry.box, *([entry.count] if entry.count else [])]
    named = carded_labels().get(number, [])
    assert named, "no card of this subset"
    for text in every:
        assert text.isascii(), text
        assert text.count("{label}") == 1, text
        assert len(text.split()) <= 30, text
        assert text.count("?") == 1, text
        assert not BRITISH.search(text), text
        bare = f" {' '.join(stems(text.replace('{label}', '')))} "
        if len(set(named)) > 1:
            assert not [label for label in named if f" {' '.join(stems(label))} " in bare], text
    for text in entry.instructions:
        question = re.split(r"\. ", text)[-1]
        assert re.search(r"\b(which|what|how|where)\b", text, re.IGNORECASE), text
        assert not YES_NO.match(question), text
    assert re.match(r"(Is|Does|Would) ", entry.presence)
    assert entry.box.startswith("Which box")
    assert entry.count is None or entry.count.startswith("How many")


@pytest.mark.parametrize("number", REGION_NUMBERS)
def test_questions_for_boxes_fit_their_subset_and_no_other(number: str) -> None:
    entry = load_instructions(number)
    for text in entry.instructions:
        assert [other for other in REGION_NUMBERS if fits(text, load_instructions(other))] == [number], text
    bare = [text.replace("{label}", "") for text in entry.instructions]
    for one, two in combinations(bare, 2):
        assert likeness(content(number, one), content(number, two)) <= 0.3, (one, two)


@pytest.mark.parametrize(
    "changed",
    [
        {"instructions": [f"Where on side {side}?" for side in "abcdef"]},
        {"box": None},
        {"subset": "02"},
        {"count": "How many?"},
    ],
)
def test_a_file_of_boxes_that_does_not_fit_is_refused(changed: dict[str, object]) -> None:
    right: dict[str, Any] = {
        **VALID,
        "subset": "39",
        "instructions": [f"Where is {{label}} from side {side}?" for side in "abcdef"],
        "box": "Which box holds {label}?",
    }
    name = f"subset_{changed.get('subset', '39')}.yaml"
    assert parse_instructions(yaml.safe_dump(right), "subset_39.yaml").box == right["box"]
    with pytest.raises(MedMatError, match=re.escape(name)):
        parse_instructions(yaml.safe_dump(right | changed), name)


@pytest.mark.parametrize("number", NUMBERS)
def test_presence_names_the_picture(number: str) -> None:
    entry = load_instructions(number)
    assert entry.presence is not None
    asked = entry.presence.format(label="pleural effusion")
    assert "pleural effusion" in asked
    assert re.match(r"(Is|Does|Would) ", asked)
    assert set(stems(entry.noun)) & set(stems(entry.presence)) - set(stems(GENERIC))
    assert len(asked.split()) <= 20


@pytest.mark.parametrize(
    ("number", "untrue"),
    [
        ("01", "quality"),  # the published title speaks of quality, the labels do not
        ("03", r"\bCT\b|slice|X-ray|radiograph|film"),  # holds CT slices and radiographs
        ("08", "dermoscop|dermatoscop"),  # holds ordinary photographs
        ("17", "(?<!submitted as a )(?<!intended )fundus photograph"),  # holds pictures of something else
        ("32", "X-ray|radiograph|film"),  # published as X-ray, holds MRI
        ("33", "green|disease"),  # one channel, shown in gray; locations, not diseases
        ("35", "arthr|years"),  # published as arthrosis; stages, not an age
    ],
)
def test_nothing_is_said_that_is_untrue_of_a_picture(number: str, untrue: str) -> None:
    entry = load_instructions(number)
    assert entry.presence is not None
    for text in (*entry.instructions, entry.presence):
        assert not re.search(untrue, text, re.IGNORECASE), text


VALID: dict[str, Any] = {
    "subset": "02",
    "noun": "CT slice of the kidneys",
    "anchors": ["kidney"],
    "presence": "Does this CT slice show {label}?",
    "instructions": [f"What is seen from side {side}?" for side in "abcdef"],
}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"noun": ""}, "noun"),
        ({"kind": "classification"}, "kind"),
        ({"anchors": []}, "anchors"),
        ({"presence": "Does it show cysts?"}, "presence"),
        ({"presence": "Does {noun} show {label}?"}, "presence"),
        ({"instructions": VALID["instructions"][:5]}, "instructions"),
        ({"instructions": [*VALID["instructions"], "And what else?"]}, "instructions"),
        ({"instructions": [*VALID["instructions"][:5], "Name it."]}, "instructions.5"),
        ({"instructions": [*VALID["instructions"][:5], VALID["instructions"][0].upper()]}, "twice"),
        ({"comment": "text"}, "comment"),
        ({"subset": "03"}, "expected the number in its file name"),
        ({"subset": 2}, "subset"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(MedMatError, match=re.escape(complaint)) as caught:
        parse_instructions(yaml.safe_dump(VALID | changed), "subset_02.yaml")
    assert "subset_02.yaml" in str(caught.value)


@pytest.mark.parametrize("key", sorted(VALID))
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(MedMatError, match=key):
        parse_instructions(yaml.safe_dump({k: v for k, v in VALID.items() if k != key}), "subset_02.yaml")


@pytest.mark.parametrize("text", ["", "- a list", "subset: [", "subset: '02'\nsubset: '02'\n"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(MedMatError, match=r"subset_02\.yaml"):
        parse_instructions(text, "subset_02.yaml")


def test_unknown_subset_is_refused() -> None:
    for number in ("2", "54", "99", "../02"):
        with pytest.raises(MedMatError, match="expected one of 01, 02"):
            load_instructions(number)


@given(
    questions=st.lists(
        st.from_regex(r"[A-Z][a-z,]*( [a-z]+){0,8}\?", fullmatch=True), min_size=6, max_size=6, unique_by=str.lower
    ),
    presence=st.none() | st.just("Is {label} seen?"),
)
def test_what_is_written_is_read(questions: list[str], presence: str | None) -> None:
    entry = parse_instructions(
        yaml.safe_dump(VALID | {"instructions": questions, "presence": presence}), "subset_02.yaml"
    )
    assert entry == Instructions(
        "02", "classification", "CT slice of the kidneys", ("kidney",), tuple(questions), presence
    )


def test_the_table_in_the_docs_is_current() -> None:
    page = Path(__file__).parents[1] / "docs" / "questions.md"
    assert page.read_text(encoding="utf-8") == markdown(), (
        "docs/questions.md is stale; write it anew with: python -m med_mat.questions.table docs/questions.md"
    )


def test_the_table_holds_every_instruction_once() -> None:
    page = markdown()
    for _, text in EVERY:
        assert page.count(text) == 1, text
