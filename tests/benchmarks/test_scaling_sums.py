from benchmarks import scaling_sums


def test_the_page_shows_the_table():
    page = scaling_sums.PAGE.read_text(encoding="utf-8")
    assert scaling_sums.on_page(page, scaling_sums.table()) == page, (
        "run: python benchmarks/scaling_sums.py --page"
    )


def test_sums_are_bytes_times_samples():
    rows = [line.split(" | ") for line in scaling_sums.table().splitlines()[2:]]
    (binarized,) = (row for row in rows if "one binarized view" in row[0])
    assert [cell.rstrip(" |") for cell in binarized[2:]] == [
        "296 bytes",
        "29.6 MB",
        "296 MB",
        "2.96 GB",
        "29.6 GB",
        "296 GB",
    ]
    assert scaling_sums.size(999) == "999 bytes"
    assert scaling_sums.size(2.5e15) == "2.5 PB"
