"""What the other names of a song say about a name."""

import pytest

from instructme.manifests.companions import companions
from instructme.manifests.instruments import normalise

CHOIRS = [
    *(["Soprano", "Alto", "Tenor", "Bass"], ["sopran", "alt", "tenor", "bas", "sopran-tenor"], ["WMTenor", "WMBass", "WMMelody"]),
    *(
        ["Tenor 1", "Tenor 2", "Baritone", "Bass"],
        ["Tenor 1", "Baritone", "Bass A", "Bass B", "All"],
        ["DP Tenor 1", "DP Bass 1"],
    ),
]
BACKED = ["BGV Alto", "BGV Tenor", "Bass", "Drums", "Keys", "Lead Vox"]
BANDS = [
    BACKED,
    *(["Alto", "Tenor", "Bass", "Bass 2", "Kick"], ["Tenor", "Bass", "Drums", "Piano"], ["Tenor Sax", "Baritone Sax", "Bass"]),
    ["Alto Sax", "Tenor Sax", "Bass"],
]


@pytest.mark.parametrize("labels", CHOIRS)
def test_a_bass_among_singers_sings(labels):
    among = companions(labels)
    assert among.singers and normalise("Bass").instrument == "bass"
    for label in ("Bass", "bass_1"):
        match = normalise(label, among=among)
        assert (match.family, match.certain) == ("vocals", False)


@pytest.mark.parametrize("labels", BANDS)
def test_a_bass_in_a_band_is_a_bass(labels):
    match = normalise("Bass", among=companions(labels))
    assert (match.instrument, match.certain) == ("bass", "Sax" in labels[0] or labels == BACKED)


@pytest.mark.parametrize("title", ["Africa (a cappella)", "Acapella version", "A Capella"])
def test_what_is_sung_alone_has_no_certain_instruments(title):
    among = companions(["Bass", "Synth", "Mix"], title)
    assert not normalise("Synth", among=among).certain and normalise("Backing Vocals", among=among).certain
    assert normalise("Synth", among=companions(["Synth"], "Africa")).certain
