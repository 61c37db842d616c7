"""Tables of factors."""

import numpy as np
import pytest

from latentlab.factors import Factor, FactorTable

LIGHT = Factor("light", "continuous", 0.5, 1.0)
HUE = Factor("hue", "circular", 0, 360, "degrees")


@pytest.fixture
def table() -> FactorTable:
    return FactorTable(np.array([[0.5, 10.0], [0.6, 20.0], [np.nan, 30.0]]), (LIGHT, HUE))


def test_a_column_is_read_by_name_and_rows_by_slice_mask_or_list(table):
    assert table["hue"].tolist() == [10.0, 20.0, 30.0]
    assert table[1:]["hue"].tolist() == [20.0, 30.0]
    assert table[[2, 0]]["hue"].tolist() == [30.0, 10.0]
    assert table[table["hue"] > 15]["hue"].tolist() == [20.0, 30.0]
    assert len(table[:0]) == 0


def test_a_row_by_its_number_is_a_table_of_one_and_rows_come_in_turn(table):
    assert len(table[-1]) == 1
    np.testing.assert_array_equal(np.concatenate([row.values for row in table]), table.values)
    with pytest.raises(IndexError):
        table[len(table)]


def test_the_table_tells_names_kinds_and_specs(table):
    assert table.names == ("light", "hue")
    assert table.kinds == ("continuous", "circular")
    assert table.spec("hue") is HUE
    assert len(table) == 3


def test_select_takes_columns_in_the_order_asked_for(table):
    picked = table.select(["hue", "light"])
    assert picked.specs == (HUE, LIGHT)
    np.testing.assert_array_equal(picked.values, table.values[:, ::-1])
    assert table.select(["hue"]).values.shape == (3, 1)


def test_numpy_sees_the_values(table):
    np.testing.assert_array_equal(np.asarray(table), table.values)
    assert np.asarray(table, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("ask", [lambda t: t["size"], lambda t: t.spec("size"), lambda t: t.select(["size"])])
def test_an_unknown_factor_names_the_known_ones(table, ask):
    with pytest.raises(KeyError, match="no factor 'size'; there are light, hue"):
        ask(table)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (2, 3), (2, 2, 1)])
def test_values_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"must be \(sample, 2\), one column for each of light, hue; got shape"):
        FactorTable(np.zeros(shape), (LIGHT, HUE))
