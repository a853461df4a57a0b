from alas_assets.training.plots import loss_png


def test_a_loss_curve_is_a_png_and_equal_curves_are_equal_bytes() -> None:
    curve = [(step, 5.0 / step) for step in range(1, 30)]
    picture = loss_png(curve)
    assert picture.startswith(b"\x89PNG")
    assert loss_png(curve) == picture
    assert loss_png(curve[:10]) != picture


def test_an_empty_history_still_gives_a_picture() -> None:
    assert loss_png([]).startswith(b"\x89PNG")
