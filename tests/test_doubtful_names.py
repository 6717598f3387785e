"""Negations, several instruments in one name, gear and letters: what a name only seems to say is never taken as certain."""

import pytest

from instructme.manifests.companions import companions
from instructme.manifests.instruments import ALONE, lacks, normalise

LACKING = [
    *("no_vocals", "minus_drums", "without guitar", "Drumless", "Off Vocal", "other_no_piano", "Vocal-less", "all but bass"),
    *("NoVox", "nodrums", "MINUSDRUMS", "vocals_removed", "drums_excluded", "Vox Off", "drum-free", "M-1 bass", "w-o drums"),
    *("wo_bass", "ex drums", "non-vocal", "senza voce", "sem baixo", "sans voix", "zonder drums", "Mix - no vox"),
]


@pytest.mark.parametrize("label", LACKING)
def test_a_mixture_without_an_instrument_is_no_stem_of_it(label):
    assert lacks(label) and normalise(label).instrument == "other" and not normalise(label).editable


NOT_LACKING = [
    *("Fretless Bass", "Kick No 2", "North Strings", "Note", "Butter Bass", "vocals", "Piano 2", "NORD PIANO", "Nova Bass"),
    *("Guitar muted", "Gtr no verb", "Drums no OH", "Bass (no FX)", "BGV no lead", "Piano no pedal"),
]


@pytest.mark.parametrize("label", NOT_LACKING)
def test_words_that_only_look_like_a_negation_are_none(label):
    assert lacks(label) is None


@pytest.mark.parametrize(
    "label",
    [
        *("Bass_Drums", "PianoAndStrings", "VoxPlusAcGtr1", "Bass & Drums", "Flute Trumpet", "cello+harp", "DrumsBass"),
        *("BassKeys", "drums - bass - gtr", "Bass vs Drums", "Drums Bass Guitar", "bassguitardrums", "piano et voix"),
    ],
)
def test_two_instruments_in_one_file_are_neither(label):
    match = normalise(label)
    assert match.is_stem and not match.editable and not match.certain


KINDS = {
    "Instr": "-",
    "TB mic": "-",
    "accomp": "other",
    "b.wav": "other",
    "bass-C major": "bass",
    "Synth F# min": "synthesizer",
    "ElecGtr1c": "electric guitar",
    "Gtr07_SectionC": "guitar",
    "Bass3c": "bass",
    "Vox-NEVE 1073LB-CL1B": "vocals",
    "Piano 414XLS": "piano",
    "SD GUITAR": "guitar",
    "BD Piano": "piano",
    "flTOM": "drums",
    "Bass Drum": "drums",
    "LeadVox": "lead vocals",
    "C Bass": "bass",
    "S-bass": "bass",
    "HandDrum": "percussion",
    "GrandPiano": "piano",
    "Vox AC30": "electric guitar",
    "Vox Continental": "organ",
    "Bass Drop": "sound effects",
    "Bell Pad": "synth pad",
    "Барабаны": "drums",
    "Бас-гитара 2": "bass",
    "Контрабас": "double bass",
    "夜_ベース": "bass",
    "エレキギター": "electric guitar",
    "主唱": "vocals",
    "드럼": "drums",
    "Skrzypce": "violin",
}


@pytest.mark.parametrize("label", KINDS)
def test_letters_keys_and_gear_name_no_instrument(label):
    match = normalise(label)
    assert (match.instrument if match.is_stem else "-") == KINDS[label]


@pytest.mark.parametrize("label", ["TB", "FL", "CL", "VA", "CB", "Басня", "хороший", "ovr2", "ACC"])
def test_what_means_many_things_is_not_certain(label):
    assert not normalise(label).certain


@pytest.mark.parametrize("label", ["Lead DB", "NYLA LD", "LD Chorus", "OUTRO ALTO", "Tenor 2", "Telephone", "Vox Ohhs1"])
def test_singers_words_are_never_a_wrong_instrument(label):
    match = normalise(label)
    assert match.family in ("vocals", "other")


@pytest.mark.parametrize(
    "label", ["Bass_Keyboard", "Bass_Strings", "Piccolo Flute 2", "Synth Bass", "Keys-Wurli", "Bass Synth", "Strings zorbit Bass"]
)
def test_the_order_of_two_instruments_tells_a_list(label):
    assert normalise(label).certain == (label not in ("Bass_Keyboard", "Bass_Strings", "Strings zorbit Bass"))


@pytest.mark.parametrize(("label", "certain"), [("KYRIE_2MIX_gtr", False), ("Fullmix vocals up", False), ("Kyrie 2MIX", True)])
def test_a_mixture_that_names_an_instrument_is_left_out_as_a_guess(label, certain):
    match = normalise(label)
    assert (match.is_stem, match.certain) == (False, certain)


@pytest.mark.parametrize("label", ["alto_and_piano", "women and piano", "drums_and_rhgit", "Whistle"])
def test_what_is_joined_to_an_instrument_and_not_known_makes_it_a_guess(label):
    assert not normalise(label).certain
    assert normalise("Guitar and Guitar 2").certain


@pytest.mark.parametrize("label", ["davul", "gaita"])
def test_words_that_name_two_instruments_in_two_languages_are_guesses(label):
    assert not normalise(label).certain


@pytest.mark.parametrize("label", ["triangle-zorb", "String Theory", "Bass Zorbit", "BV zorb", "keyboard warrior"])
def test_an_unknown_last_word_may_say_what_a_thing_is(label):
    assert not normalise(label).certain


@pytest.mark.parametrize(
    "label", ["moonlight-bass", "Zorbit Violin", "Strings Staccato", "Violins Legato mf", "Techno Bass", "Piano FA06"]
)
def test_a_word_before_an_instrument_only_describes_it(label):
    assert normalise(label).certain


def test_words_that_different_instruments_of_a_song_share_are_explained():
    among = companions(["Bass Zorbit", "Piano Zorbit", "Violin Quark", "Violin 2 Quark", "Drums"])
    assert among == ALONE._replace(words={"zorbit"})
    assert normalise("Guitar Zorbit", among=among).certain and not normalise("Guitar Quark", among=among).certain


@pytest.mark.parametrize(
    ("label", "supported"), [("Taylor", "Taylor Guitar"), ("Juno", "Juno Pad"), ("Massive", "Massive Bass"), ("Campana", "")]
)
def test_makers_and_everyday_words_are_guesses_on_their_own(label, supported):
    assert not normalise(label).certain and normalise(label).editable
    assert not supported or normalise(supported).certain


@pytest.mark.parametrize(("label", "certain"), [("kitten", False), ("backbone", False), ("synthpad", True), ("bassguitar", True)])
def test_a_word_that_falls_into_pieces_by_chance_is_a_guess(label, certain):
    assert normalise(label).certain == certain


@pytest.mark.parametrize(("label", "certain"), [("データベース", False), ("ベース 2", True), ("ベース", True)])
def test_a_word_cut_out_of_a_longer_one_is_a_guess(label, certain):
    match = normalise(label)
    assert (match.instrument, match.certain) == ("bass", certain)


@pytest.mark.parametrize(
    ("label", "certain"),
    [("giọng hát", False), ("hát bè", False), ("Sáx", False), ("Flûte", True), ("Cajón", True), ("hi-hat", True)],
)
def test_a_short_word_that_is_known_only_without_its_accents_is_a_guess(label, certain):
    """`hát` is Vietnamese for singing."""
    assert normalise(label).certain is certain


@pytest.mark.parametrize(("label", "instrument"), [("chœur", "backing vocals"), ("Baß", "bass"), ("fløyte", "flute")])
def test_latin_letters_without_an_accent_are_kept(label, instrument):
    match = normalise(label)
    assert (match.guess if match.instrument == "other" else match.instrument) == instrument
