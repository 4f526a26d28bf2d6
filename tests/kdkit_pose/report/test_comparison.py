import math

import pytest

from kdkit_pose.report import comparison


@pytest.mark.parametrize(
    ("plain", "odkd", "said"),
    [
        (0.5, 0.512, "is 0.012 above the plain student's"),
        (0.512, 0.5, "is 0.012 below the plain student's"),
        (0.5, 0.5, "equals the plain student's to three decimals"),
        (0.5001, 0.5003, "equals the plain student's to three decimals"),
        # What is said is the difference of what is printed: 0.500 and 0.512.
        (0.4996, 0.5124, "is 0.012 above the plain student's"),
        (0.0, 0.3, "is 0.300 above the plain student's"),
    ],
)
def test_the_sentence_follows_the_figures(make_run, plain, odkd, said):
    runs = [make_run("primary teacher", 0.9), make_run("plain student", plain), make_run("ODKD student", odkd)]
    assert comparison(runs) == f"The ODKD student's AP {said} (one seed, so not a proof)."


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_an_unknown_ap_is_not_compared(make_run, unknown):
    sentence = comparison([make_run("plain student", unknown), make_run("ODKD student", 0.5)])
    assert sentence == (
        "The plain student has no AP, so the ODKD student and the plain student cannot be compared."
    )


def test_ap_of_different_boxes_are_not_compared(make_run):
    sentence = comparison([make_run("plain student", 0.4, boxes="detector"), make_run("ODKD student", 0.5)])
    assert "above" not in sentence
    assert "different sources" in sentence


def test_every_further_student_gets_a_sentence(make_run):
    students = [make_run(f"{name} student", ap) for name, ap in (("plain", 0.5), ("ODKD", 0.6), ("FPD", 0.4))]
    sentence = comparison(students)
    assert "The ODKD student's AP is 0.100 above the plain student's" in sentence
    assert "The FPD student's AP is 0.100 below the plain student's" in sentence


def test_nothing_is_said_without_two_students(make_run):
    assert comparison([]) == ""
    assert comparison([make_run("primary teacher"), make_run("plain student")]) == ""
