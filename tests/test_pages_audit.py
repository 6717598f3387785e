"""The page of an audit shows every number it was given, sorts and filters it, loads nothing, and says levels in words."""

import base64
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from hypothesis import given
from hypothesis import strategies as st
from made_report import made_examples, made_report
from test_pages import HOSTILE, Parsed

from instructme.dataset_tools.audit.report import Bars, Finding, Histogram, Lines, Matrix, Report, Section, Table
from instructme.pipelines.pages import PageClip, Row, table_views
from instructme.pipelines.pages.audit import audit_page
from instructme.pipelines.pages.heatmaps import heat_map_view, transposed
from instructme.pipelines.pages.histograms import histogram_svg


def page_of(path: Path, *items: object, examples=()) -> Parsed:
    audit_page(path, Report("Audit", {"tracks": "3"}, (Section("one", "One", "", items),)), examples)
    return Parsed(path)


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("audit") / "big.html"
    audit_page(path, made_report(), made_examples(1))
    return path


def test_what_datasets_are_called_stays_text(tmp_path: Path) -> None:
    many = tuple(f"{HOSTILE}{number}" for number in range(20))
    items = (
        Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, 1),), HOSTILE),
        Bars(HOSTILE, HOSTILE, {HOSTILE: 1.0}, HOSTILE),
        Histogram(HOSTILE, HOSTILE, (0.0, 1.0), {HOSTILE: (1,)}, HOSTILE),
        Lines(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: ((1.0, 2.0), (2.0, 3.0))}, HOSTILE),
        Matrix(HOSTILE, (HOSTILE,), (HOSTILE,), ((0,),), HOSTILE, True),
        Matrix(HOSTILE, many, many, ((0,) * 20,) * 20, HOSTILE, True),
        *(Finding(level, HOSTILE, HOSTILE, Table(HOSTILE, (HOSTILE,), ((HOSTILE,),))) for level in ("error", "fine")),
    )
    report = Report(HOSTILE, {HOSTILE: HOSTILE}, (Section(HOSTILE, HOSTILE, HOSTILE, items),))
    audit_page(tmp_path / "page.html", report, [Row(HOSTILE, [PageClip(HOSTILE, np.zeros(800, np.float32), 8000)])])
    page = Parsed(tmp_path / "page.html")
    assert [attributes for tag, attributes in page.tags if tag == "script"] == [{}, {}]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(attributes["src"].startswith("data:") for tag, attributes in page.tags if tag in ("img", "audio"))
    assert page.texts.count(HOSTILE) > 30 and (HOSTILE, "49") not in zip(page.texts, page.texts[1:], strict=False)


def test_only_our_own_scripts_may_run_and_nothing_is_loaded(big: Path) -> None:
    page = Parsed(big)
    policy = next(each["content"] for tag, each in page.tags if tag == "meta" and each.get("http-equiv"))
    scripts = re.findall(r"<script>(.*?)</script>", big.read_text(), re.S)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert policy.startswith("default-src 'none'") and policy.endswith(f"script-src {' '.join(hashes)}") and len(hashes) == 2
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(link.startswith(("data:", "#")) for link in links)
    assert not re.search(r"https?:|@import|url\(", " ".join(page.texts))


def test_every_link_and_label_of_a_page_has_its_one_target(big: Path) -> None:
    tags = Parsed(big).tags
    names = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(names) == len(set(names))
    wanted = [
        each[key].lstrip("#") for _, each in tags for key in ("href", "aria-labelledby") if each.get(key, "data:")[:5] != "data:"
    ]
    assert len(wanted) > 40 and set(wanted) <= set(names)


def test_equal_reports_give_equal_bytes_and_stay_small(big: Path, tmp_path: Path) -> None:
    audit_page(tmp_path / "again.html", made_report(), made_examples(1))
    assert (tmp_path / "again.html").read_bytes() == big.read_bytes()
    assert big.stat().st_size < 2e6


def test_levels_are_said_in_words_and_the_worst_come_first(tmp_path: Path) -> None:
    findings = [Finding(level, f"a {level}", "") for level in ("fine", "note", "warning", "error", "fine")]
    page = page_of(tmp_path / "page.html", *findings)
    words = [text.strip() for text in page.texts]
    assert [text for text in words if text in ("Error", "Warning", "Note", "Fine")] == [
        "Fine",
        "Note",
        "Warning",
        "Error",
        "Fine",
    ]
    pressing = [each["href"] for tag, each in page.tags if tag == "a" and each["href"].startswith("#one-")]
    assert pressing == ["#one-4", "#one-3"]


def test_an_empty_report_is_a_page(tmp_path: Path) -> None:
    audit_page(tmp_path / "none.html", Report("Nothing", {}, ()), [])
    empty = (Table("t", ("a",), ()), Bars("b", "h", {}), Matrix("m", (), (), ()), Matrix("w", (), ("x",) * 30, ()))
    page = page_of(
        tmp_path / "page.html", *empty, Histogram("h", "s", (0.0, 1.0), {}), Histogram("z", "s", (0.0, 1.0), {"a": (0,)})
    )
    assert [text.strip() for text in page.texts].count("None.") == 4


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ([1234567, 0, -5], ["1,234,567", "0", "−5"]),
        ([0.5, 12.25, None], ["0.50", "12.25", "–"]),
        ([0.1234, 0.9, float("nan")], ["0.123", "0.900", "–"]),
        ([12345.678, 1.5, 2], ["12,346", "2", "2"]),
        ([3.0, 4.0, 7], ["3", "4", "7"]),
        ([float("-inf"), -20.25, True], ["−∞", "−20.25", "yes"]),
        (["<b>", "4/4", "10"], ["<b>", "4/4", "10"]),
    ],
)
def test_numbers_of_a_column_are_written_alike(column: list, texts: list[str]) -> None:
    assert [cell.text for cell in table_views.written(column)] == texts


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False)), min_size=1))
def test_what_sorts_a_cell_is_the_number_it_was_given(values: list) -> None:
    cells = table_views.written(values)
    assert [float(cell.value or cell.text) for cell in cells] == [float(value) for value in values]


@given(st.lists(st.integers(0, 10**9), min_size=2), st.integers(0, 9))
def test_more_is_darker_and_none_is_clear(counts: list[int], least: int) -> None:
    most = max([*counts, 1])
    shades = [table_views.shade(count, most) for count in sorted([*counts, 0])]
    assert shades == sorted(shades) and shades[0] == 0 and max(shades) in (0, 100)
    assert all(shade >= 10 for shade, count in zip(shades, sorted([*counts, 0]), strict=True) if count)


def test_empty_cells_are_named_where_asked() -> None:
    values = ((3, 0), (0, 0), (1, 2))
    given = Matrix("m", ("flute", "tuba", "drums"), ("add", "remix"), values, name_empty=True)
    view = table_views.heat_view(given)
    assert view.empty == (("flute", "remix"), ("tuba", "all")) and view.empty_count == 3
    assert [cell.style for cell in view.rows[0][1:]] == ["number", "number empty"]
    plain = table_views.heat_view(Matrix("m", given.rows, given.columns, values))
    assert (plain.empty, plain.empty_count, plain.rows[0][2].style) == ((), 0, "number zero")
    assert transposed(given).values == ((3, 0, 1), (0, 0, 2)) and transposed(transposed(given)) == given


def test_a_large_heat_map_shows_the_names_with_most_and_then_all() -> None:
    values = np.zeros((60, 60), int)
    values[50:, :] = 5
    values[:, 20:] += 1
    names = tuple(f"n{number}" for number in range(60))
    view = heat_map_view(Matrix("m", names, names, tuple(map(tuple, values.tolist())), name_empty=True))
    first, whole = view.maps
    assert first.rows == (*names[:30], *names[50:]) and first.columns == names[20:]
    assert whole.rows == names and whole.values.split(";")[50].split() == ["5"] * 20 + ["6"] * 40
    assert view.empty_count == 50 * 20 and view.most == "6"


def test_bars_and_bins_are_as_long_as_their_numbers() -> None:
    view = table_views.bars_view(Bars("b", "dB", {"a": 6.0, "b": 3.0, "c": -2.0, "d": 0.0}))
    assert view.scale is not None and view.scale.zero == pytest.approx(25)
    assert [row[2].share - view.scale.zero for row in view.rows] == pytest.approx([75, 37.5, -25, 0])
    assert {text: at for at, text in view.scale.ticks}["4"] == pytest.approx(75)
    svg = histogram_svg(Histogram("h", "bpm", (0.0, 10.0, 40.0), {"train": (1, 4), "test": (2, 0)}))
    bars = [
        tuple(map(float, found))
        for found in re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%" y="[\d.]+" height="([\d.]+)"', svg)
    ]
    assert bars == [(0, 25, 13), (25, 75, 52), (0, 25, 52)]
    assert "<title>10 to 40 bpm; train 4; test 0</title>" in svg
    assert "<title>3 parts; 7</title>" in histogram_svg(Histogram("h", "parts", (2.5, 3.5), {"": (7,)}))


@pytest.fixture(scope="module")
def browser(big: Path, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        browser.open(big)
        browser.call("Emulation.setDeviceMetricsOverride", width=1300, height=900, deviceScaleFactor=1, mobile=False)
        browser.js(
            """window.item = (title) => [...document.querySelectorAll('.item')].find(
              (each) => each.querySelector('h3').textContent === title);
            window.rows = (title) => [...item(title).querySelectorAll('tbody tr')].filter((row) => row.offsetParent);
            window.column = (title, place) => rows(title).map((row) => row.cells[place].textContent);
            window.heads = (title) => [...item(title).querySelectorAll('thead th')];
            window.until = async (test) => { while (!test()) await new Promise((done) => setTimeout(done, 20)); return true; };
            0"""
        )
        yield browser


def middle(browser, selector: str) -> tuple[float, float]:
    left, top, width, height = browser.js(
        f"(() => {{ {selector}.scrollIntoView({{block: 'center'}}); const box = {selector}.getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    return left + width / 2, top + height / 2


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace(",", "").replace("−", "-")) for text in texts]


def test_the_page_loads_quietly(browser) -> None:
    assert not [event for event in browser.events if event.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]
    sent = [event["params"]["request"]["url"] for event in browser.events if event.get("method") == "Network.requestWillBeSent"]
    assert sent and all(url.startswith(("data:", "file:")) for url in sent)
    assert browser.js("[...document.images].every((image) => image.naturalWidth > 0)")


def test_an_example_plays(browser) -> None:
    browser.click(*middle(browser, "document.querySelector('.clip button')"))
    assert browser.js("until(() => !document.querySelector('audio').paused && document.querySelector('audio').currentTime > 0.1)")
    browser.js("document.querySelector('audio').pause()")


def test_a_click_and_a_key_sort_a_table(browser) -> None:
    browser.click(*middle(browser, "heads('Tracks')[5].querySelector('button')"))  # loudness, negative, fractions
    first = numbers(browser.js("column('Tracks', 5)"))
    assert len(first) == 12 and first == sorted(first, reverse=True) and first[0] > -12
    assert browser.js("heads('Tracks').map((head) => head.getAttribute('aria-sort'))") == [None] * 5 + ["descending"] + [None] * 2
    browser.js("heads('Tracks')[6].querySelector('button').focus()")  # tempo, with gaps
    for _ in range(2):
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13)
        browser.call("Input.dispatchKeyEvent", type="keyUp", key="Enter", windowsVirtualKeyCode=13)
    assert browser.js("heads('Tracks')[6].getAttribute('aria-sort')") == "ascending"
    first = numbers(browser.js("column('Tracks', 6)"))
    assert first == sorted(first) and first[0] < 62
    every = browser.js("[...item('Tracks').querySelectorAll('tbody tr')].map((row) => row.cells[6].textContent)")
    gaps = every.count("–")
    assert 100 < gaps < 400 and set(every[-gaps:]) == {"–"} and numbers(every[:-gaps]) == sorted(numbers(every[:-gaps]))
    browser.js("heads('Hours by genre')[0].querySelector('button').click()")
    names = browser.js("column('Hours by genre', 0)")
    assert names == sorted(names, key=str.lower) and len(names) == 13


def test_a_long_table_folds_opens_and_filters(browser) -> None:
    assert browser.js("rows('Parts by instrument').length") == 12
    browser.click(*middle(browser, "item('Parts by instrument').querySelector('.all')"))
    assert browser.js("rows('Parts by instrument').length") == 150
    assert browser.js("item('Parts by instrument').querySelector('.all').getAttribute('aria-expanded')") == "true"
    browser.click(*middle(browser, "item('Parts by instrument').querySelector('input')"))
    for key in "VOCALS":
        browser.press(key)
    assert browser.js("item('Parts by instrument').querySelector('output').textContent").endswith("of 150")
    shown = browser.js("column('Parts by instrument', 0)")
    assert len(shown) >= 5 and all("vocals" in name for name in shown)
    browser.js("(() => { const field = item('Tracks').querySelector('input'); field.value = 'track01234';"
               " field.dispatchEvent(new Event('input')); })()")  # fmt: skip
    assert browser.js("column('Tracks', 0)") == ["slakh2100-track01234"]


def test_the_pointer_and_the_keys_read_a_heat_map(browser) -> None:
    browser.click(*middle(browser, "item('Parts in one clip').querySelector('.cells')"))
    x, y = middle(browser, "item('Parts in one clip').querySelector('.cells')")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 3, y=y + 3)
    told = browser.js("document.querySelector('.tip').textContent")
    at = browser.js("[...item('Parts in one clip').querySelectorAll('.on')].map((name) => name.textContent)")
    assert re.fullmatch(r".+ × .+: [\d,]+", told) and sorted(told.split(": ")[0].split(" × ")) == sorted(at)
    report = made_report()
    matrix = next(item for item in report.sections[4].items if item.title == "Parts in one clip")
    row, column = (matrix.rows.index(name) for name in told.split(": ")[0].split(" × "))
    assert numbers([told.split(": ")[1]]) == [matrix.values[row][column]]
    browser.press("ArrowRight")
    told = browser.js("document.querySelector('.tip').textContent")
    assert told.startswith(matrix.rows[row]) and numbers([told.split(": ")[1]])[0] in matrix.values[row]


def test_a_bin_tells_its_counts(browser) -> None:
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    x, y = middle(browser, "item('Tempo').querySelectorAll('.hit')[10]")
    browser.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")  # scrolling hides what is told
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert browser.js(r"/^100 to 105 bpm; train \d+; validation \d+; test \d+$/.test(document.querySelector('.tip').textContent)")
    assert not browser.js("document.querySelector('.tip').hidden")


@pytest.mark.parametrize("width", [320, 700, 1600])
def test_it_fits_any_screen(browser, width: int) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    assert browser.js("document.documentElement.scrollWidth") <= width
    assert browser.js("getComputedStyle(document.querySelector('.contents')).position") == "sticky"


def test_it_turns_dark_and_what_it_says_can_be_read(browser) -> None:
    """WCAG 2: contrast of at least 4.5 of texts with what is behind them, shaded cells included."""
    browser.js(
        """window.worst = () => {
          const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
          const rgb = (colour, ground) => {
            pixel.fillStyle = ground; pixel.fillRect(0, 0, 1, 1);
            pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1);
            return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const light = (rgb) => rgb.map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
          const page = getComputedStyle(document.body).backgroundColor;
          let worst = [99, ''];
          for (const each of document.querySelectorAll('main *, header *')) {
            if (!each.offsetParent || ![...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
            const above = [];
            for (let at = each; at; at = at.parentElement) above.unshift(getComputedStyle(at).backgroundColor);
            let ground = page;
            for (const layer of above) ground = `rgb(${rgb(layer, ground)})`;
            const [one, other] = [light(rgb(getComputedStyle(each).color, ground)), light(rgb(ground, ground))];
            const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (contrast < worst[0]) worst = [contrast, each.className + ' ' + each.textContent.slice(0, 40)];
          }
          return worst;
        }; 0"""
    )
    grounds = []
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colour = browser.js("getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(map(int, re.findall(r"\d+", colour))))
        contrast, where = browser.js("worst()")
        assert contrast >= 4.5, (scheme, where)
    assert grounds[0] > 600 > 150 > grounds[1]
