"""What an audit counts, as tables, histograms and matrices."""

import numpy as np
import pandas as pd

from instructme.dataset_tools.audit import shapes


def test_two_hundred_rows_of_a_table_are_shown_and_the_rest_is_counted():
    few, short, long = (shapes.table("Table", pd.DataFrame({"n": range(rows)}), "A note.") for rows in (3, 200, 1300))
    assert [(len(table.rows), table.note) for table in (few, short)] == [(3, "A note."), (200, "A note.")]
    assert (len(long.rows), long.note) == (200, "A note. 1,100 more rows aren't shown.")


def test_cells_have_four_digits_words_for_truth_and_nothing_where_nothing_is():
    values = pd.DataFrame(
        {"x": [np.float64(0.123456), 999.96, 12345.678, True, np.int64(7), np.nan, np.inf, None, "word"]}, dtype=object
    )
    cells = [line[0] for line in shapes.table("Table", values).rows]
    assert cells == [0.1235, 1000.0, 12345.7, "yes", 7, None, None, None, "word"]


def test_values_beyond_a_histogram_are_in_its_outer_bins():
    values, splits = pd.Series([-5.0, 0.5, 1.5, 99.0, np.nan]), pd.Series(["train", "train", "test", "train", "test"])
    counted = shapes.histogram("Histogram", "dB", values, splits, [0, 1, 2, 3])
    assert counted.series == {"train": (2, 0, 1), "test": (0, 1, 0)} and list(counted.series) == ["train", "test"]
    assert shapes.histogram("Histogram", "dB", values[:0], splits[:0], [0, 1, 2, 3]).series == {"none": (0, 0, 0)}


def test_a_matrix_counts_rows_by_columns_and_names_what_is_empty():
    rows, columns = pd.Series(["b", "a", "b", "b"]), pd.Series(["y", "x", "y", "x"])
    counted = shapes.matrix("Matrix", rows, columns)
    assert (counted.rows, counted.columns, counted.values) == (("a", "b"), ("x", "y"), ((1, 0), (1, 2)))
    assert (counted.note, counted.name_empty) == ("", False)
    named = shapes.matrix("Matrix", rows, columns, row_names=["b", "c"], column_names=["y", "x", "z"], note="N", name_empty=True)
    assert (named.rows, named.columns, named.values) == (("b", "c"), ("y", "x", "z"), ((2, 1, 0), (0, 0, 0)))
    assert (named.note, named.name_empty) == ("N", True)


def test_a_matrix_sums_weights_and_lists_splits_in_their_order():
    splits = pd.Series(["test", "train", "train", "validation"], index=[7, 8, 9, 10])
    counted = shapes.matrix("Matrix", splits, pd.Series([1, 1, 2, 2]), weights=pd.Series([5, 2, 3, 4]))
    assert (counted.rows, counted.columns) == (("train", "validation", "test"), ("1", "2"))
    assert counted.values == ((2, 3), (0, 4), (5, 0))


def test_a_finding_has_a_table_of_its_cases_if_there_are_any():
    found = shapes.finding("note", "Two", "Look.", ("track", "n"), [("a", 1), ("b", None)])
    assert found.table is not None and (found.table.columns, found.table.rows) == (("track", "n"), (("a", 1), ("b", None)))
    assert shapes.finding("fine", "None", "Good.", ("track",), []).table is None
