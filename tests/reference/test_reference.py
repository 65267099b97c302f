"""Cases for the sentences of the contract that the reference implements.

usage: python -m unittest discover -s tests/reference
"""

import fractions
import math
import unittest

from path_reference import SECOND, InvalidPoint, Measurement, Options, Point

NAN = float("nan")


def at(x, second=None, **fields):
    return Point(float(x), 0.0, time=None if second is None else round(second * SECOND), **fields)


def measured(points, **options):
    return Measurement(points, Options(model=options.pop("model", "planar"), **options))


def accepted(points, **options):
    return [entry.offset for entry in measured(points, **options).accepted]


def rejections(points, **options):
    found = measured(points, **options).rejections()
    return {reason: (count, first, total.value) for reason, (count, first, total) in found.items()}


def length(points, name="length", **options):
    return measured(points, **options).lengths()[name].value


class PointsAlone(unittest.TestCase):
    def test_an_invalid_position_fails_the_path_by_default(self):
        with self.assertRaises(InvalidPoint) as raised:
            measured([at(0), at(NAN)])
        self.assertEqual(raised.exception.offset, 1)

    def test_a_leg_joins_the_points_around_a_skipped_one(self):
        points = [at(0), at(NAN), at(2)]
        self.assertEqual(length(points, invalid_points="skip"), 2)
        self.assertEqual(length(points, invalid_points="split"), 0)
        self.assertEqual(rejections(points, invalid_points="skip"), {"INVALID_POSITION": (1, 1, 0)})

    def test_a_rejected_mark_starts_the_segment_at_the_next_point(self):
        points = [at(0), at(1), at(5, mark=True, accuracy=9.0), at(6), at(8)]
        self.assertEqual(length(points, max_accuracy=5), 3)
        self.assertEqual(length(points, "raw_length", max_accuracy=5), 4)
        self.assertEqual(rejections(points, max_accuracy=5), {"ACCURACY": (1, 2, 1)})
        self.assertEqual(len(measured(points, max_accuracy=5).segments), 2)

    def test_the_zero_position_is_rejected_before_its_accuracy(self):
        points = [at(1), at(0, accuracy=9.0), at(2)]
        self.assertEqual(rejections(points, reject_zero_position=True, max_accuracy=1), {"ZERO_POSITION": (1, 1, 2)})

    def test_the_buffer_sorts_points(self):
        points = [at(0, 0), at(3, 3), at(1, 1), at(2, 2), at(4, 4)]
        self.assertEqual(accepted(points, reorder_count=2), [0, 2, 3, 1, 4])
        points = [at(0, 0), at(3, 3), at(1, 1), at(4, 4), at(2, 2)]
        self.assertEqual(accepted(points, reorder_count=1), [0, 2, 1, 3])
        self.assertEqual(rejections(points, reorder_count=1), {"LATE": (1, 4, 2)})

    def test_a_point_leaves_the_buffer_when_it_is_earlier_than_the_latest_by_more_than_the_time(self):
        points = [at(0, 0), at(2, 2), at(1, 1), at(5, 5), at(1.5, 1.5)]
        self.assertEqual(accepted(points, reorder_time=2 * SECOND), [0, 2, 1, 3])
        self.assertEqual(rejections(points, reorder_time=2 * SECOND), {"LATE": (1, 4, 1)})

    def test_a_point_without_a_time_follows_the_point_before_it(self):
        points = [at(0, 0), at(3, 3), at(3.5), at(1, 1), at(1.5), at(4, 4)]
        self.assertEqual(accepted(points, reorder_count=10), [0, 3, 4, 1, 2, 5])


    def test_a_point_without_a_time_is_measured_at_once_after_a_late_point(self):
        points = [at(0, 10), at(1, 20), at(2, 30), at(3, 5), at(4), at(5, 6)]
        path = measured(points, reorder_count=1)
        self.assertEqual([entry.offset for entry in path.path], [0, 1, 3, 4, 5, 2])
        self.assertEqual({entry.offset for entry in path.path if entry.reason == "LATE"}, {3, 5})

    def test_a_repeated_point_is_dropped(self):
        points = [at(0, 0), at(2, 2), at(1, 1), at(2, 2), at(3, 2), at(0, 0)]
        limits = {"reorder_count": 10, "drop_duplicates": True}
        self.assertEqual(accepted(points, **limits), [0, 2, 1, 4])
        self.assertEqual(rejections(points, **limits), {"DUPLICATE": (2, 3, 0)})

    def test_a_repetition_of_the_last_point_that_left_is_dropped_and_one_before_it_is_late(self):
        points = [at(0, 0), at(1, 1), at(2, 2), at(1, 1), at(0, 0), at(3, 3)]
        limits = {"reorder_count": 1, "drop_duplicates": True}
        self.assertEqual(accepted(points, **limits), [0, 1, 2, 5])
        self.assertEqual(rejections(points, **limits), {"LATE": (1, 4, 2), "DUPLICATE": (1, 3, 0)})

    def test_points_with_one_time_are_in_the_order_of_their_positions(self):
        points = [at(3, 1), at(1, 1), at(9), at(2, 1), at(0, 0)]
        self.assertEqual(accepted(points, reorder_count=10, drop_duplicates=True), [4, 1, 3, 0, 2])

    def test_late_is_judged_between_marks(self):
        points = [at(0, 10), at(1, 11), at(2, 5, mark=True), at(3, 4), at(4, 6)]
        path = measured(points, reorder_count=8)
        self.assertEqual([segment.accepted[0].offset for segment in path.segments], [0, 3])
        self.assertEqual(path.rejections(), {})


class SpeedAndTime(unittest.TestCase):
    def test_the_limit_itself_passes(self):
        points = [Point(0.0, 0.0, time=0), Point(3.0, 4.0, time=SECOND)]
        self.assertEqual(accepted(points, max_speed=5), [0, 1])
        self.assertEqual(accepted(points, max_speed=4.999), [0])

    def test_a_point_that_is_not_later_is_infinitely_fast(self):
        self.assertEqual(accepted([at(0, 1), at(1, 1)], max_speed=1e9), [0])
        self.assertEqual(accepted([at(0, 1), at(0, 0)], max_speed=1e9), [0])
        self.assertEqual(accepted([at(0, 1), at(0, 1)], max_speed=1), [0, 1])

    def test_the_last_point_with_a_time_is_kept(self):
        points = [at(0, 0), at(1), at(1000, 1), at(2, 2)]
        self.assertEqual(accepted(points, max_speed=1), [0, 1, 3])

    def test_backward_time_is_the_first_reason(self):
        points = [at(0, 5), at(9, 4)]
        self.assertEqual(rejections(points, max_speed=1, reject_backward_time=True), {"BACKWARD_TIME": (1, 1, 9)})

    def test_a_chain_of_candidates_starts_a_segment(self):
        points = [at(0, 0), at(1, 1), at(1000, 2), at(1001, 3), at(1002, 4), at(1003, 5)]
        path = measured(points, max_speed=10)
        self.assertEqual(len(path.segments), 2)
        self.assertEqual(path.lengths()["length"].value, 4)
        self.assertEqual(path.lengths()["gap_length"].value, 999)
        self.assertEqual(accepted(points[:4], max_speed=10), [0, 1])

    def test_a_single_wrong_point_is_abandoned(self):
        points = [at(1e6, 0), at(0, 1), at(1, 2), at(2, 3)]
        self.assertEqual(accepted(points, max_speed=10), [1, 2, 3])
        self.assertEqual(rejections(points, max_speed=10), {"SPEED": (1, 0, 1e6)})
        self.assertEqual(length(points, "gap_length", max_speed=10), 0)

    def test_a_checked_point_ends_the_chain(self):
        points = [at(0, 0), at(99, 1), at(100, 2), at(0, 3), at(103, 4), at(0, 5)]
        self.assertEqual(accepted(points, max_speed=10), [0, 3, 5])

    def test_a_copy_of_the_last_candidate_counts_once(self):
        points = [at(0, 0), at(0, 1), at(99, 2), at(99, 2), at(100, 3), at(101, 4)]
        self.assertEqual(accepted(points[:5], max_speed=10), [0, 1])
        self.assertEqual(accepted(points, max_speed=10), [0, 1, 2, 4, 5])

    def test_candidates_agree_in_the_order_of_time(self):
        points = [at(0, 0), at(0, 10), at(99, 11), at(98, 10.5), at(99, 11.2), at(98, 10.9), at(99, 11.5)]
        self.assertEqual(accepted(points, max_speed=10), [0, 1])

    def test_a_count_of_1_accepts_each_point_as_a_start(self):
        points = [at(0, 0), at(1, 1), at(99, 2), at(0, 3), at(99, 4)]
        self.assertEqual(accepted(points, max_speed=10, reanchor_count=1), [0, 1, 4])


class GapsAndSteps(unittest.TestCase):
    def test_a_gap_is_measured_from_the_checked_point(self):
        points = [at(x, x) for x in range(200)]
        path = measured(points, min_step=50, max_gap_time=30 * SECOND, max_gap=40)
        self.assertEqual(len(path.segments), 1)
        self.assertEqual(path.lengths()["length"].value, 150)

    def test_more_than_the_gap(self):
        self.assertEqual(len(measured([at(0, 0), at(0, 30)], max_gap_time=30 * SECOND).segments), 1)
        self.assertEqual(len(measured([at(0, 0), at(0, -31)], max_gap_time=30 * SECOND).segments), 2)
        self.assertEqual(length([at(0), at(5)], "gap_length", max_gap=4), 5)
        self.assertEqual(length([at(0), at(5)], "gap_length", max_gap=5), 0)

    def test_nearer_than_the_step(self):
        self.assertEqual(accepted([at(0), at(2), at(3), at(6)], min_step=3), [0, 2, 3])


class Totals(unittest.TestCase):
    def test_moving_time_counts_each_moment_once(self):
        points = [at(0, 0), at(10, 10), at(0, 5), at(10, 10), at(20, 20), at(20, 30)]
        path = measured(points, stopped_speed=1)
        self.assertEqual(path.moving_time(), 20 * SECOND)
        self.assertEqual(path.elapsed_time(), 30 * SECOND)
        self.assertIsNone(measured(points).moving_time())
        self.assertIsNone(measured([at(0, 0), at(1, 0)], stopped_speed=1).moving_time())

    def test_the_greatest_speed_is_that_of_5_seconds(self):
        points = [at(0, 0), at(100, 0.001), at(105, 5), at(110, 10)]
        self.assertEqual(measured(points).max_speed()[0], 21)
        self.assertIsNone(measured(points[:2]).max_speed())
        self.assertIsNone(measured([at(0, 0), at(1, 3), at(2), at(3, 6)]).max_speed())

    def test_a_box_over_the_antimeridian_and_the_prime_meridian(self):
        cities = [(-0.1, 51.5), (55.3, 25.2), (139.7, 35.7), (178.4, -18.1), (-172.1, -13.8)]
        self.assert_longitudes([Point(*city) for city in cities], -0.1, -172.1)
        self.assert_longitudes([Point(x, 0.0) for x in (-85.0, 85.0, 110.0)], -85, 110)
        self.assert_longitudes([Point(179.0, 0.0), Point(-180.0, 0.0)], 179, 180)
        self.assert_longitudes([Point(181.0, 0.0), Point(180.0, 0.0)], -180, -179)
        self.assert_longitudes([Point(-180.0, 0.0)], 180, 180)
        self.assert_longitudes([Point(x, 85.0) for x in (0.0, 120.0, 240.0, 360.0)], -180, 180)
        # Two gaps of 180 degrees: the western end of the second one is greater.
        self.assert_longitudes([Point(0.0, 0.0), Point(180.0, 0.0, mark=True)], -180, 0)

    def assert_longitudes(self, points, west, east):
        box = measured(points, model="geodesic").bounds()
        self.assertEqual((box[0], box[2]), (west, east))

    def test_a_box_contains_the_legs(self):
        for model, north in [("haversine", 45), ("geodesic", 45)]:
            south, top = measured([Point(-60.0, north), Point(60.0, north)], model=model).bounds()[1::2]
            self.assertEqual(south, 45)
            self.assertAlmostEqual(top, math.degrees(math.atan(2)), delta=0.001 if model == "haversine" else 0.2)
        box = measured([Point(0.0, 10.0), Point(180.0, -9.0)], model="geodesic").bounds()
        self.assertEqual(box, (-180, -9, 180, 90))

    def test_windows_divide_a_leg_by_time(self):
        hour = 3600
        points = [at(0, 23 * hour), at(4, 27 * hour), at(5), at(9)]
        windows, undated = measured(points, window_unit="day").windows()
        self.assertEqual([(total.value, count) for _, total, count in windows.values()], [(1, 1), (4, 1)])
        self.assertEqual(undated.value, 4)
        self.assertIsNone(measured(points, window_unit="hour", max_windows=3).windows())

    def test_earlier_windows_are_one_window(self):
        hour = 3600
        points = [at(0, 23 * hour), at(4, 27 * hour), at(5), at(9), at(10, 32 * 24 * hour), at(11, 96 * 24 * hour)]
        windows, undated = measured(points, window_unit="day", max_windows=2, keep_latest=True).windows()
        day = 24 * hour * SECOND
        expected = [(0, 2, 5, 2), (32, 33, 1, 1), (96, 97, 0, 1)]
        self.assertEqual([(start // day, end // day, total.value, count) for start, (end, total, count) in windows.items()], expected)
        self.assertEqual(undated.value, 5)

    def test_hours_around_changes_of_the_clocks(self):
        # In New York the hour from 01:00 repeats. On Lord Howe Island 02:00 becomes 01:30, and 02:00 becomes 02:30.
        cases = [("America/New_York", 1_730_613_600, [60, 60]), ("Australia/Lord_Howe", 1_712_415_600, [90, 60]), ("Australia/Lord_Howe", 1_728_138_600, [60, 30])]
        for zone, second, minutes in cases:
            points = [at(0, second - 1_800), at(0, second + 3_600)]
            windows, _ = measured(points, window_unit="hour", time_zone=zone).windows()
            self.assertEqual([(end - start) // (60 * SECOND) for start, (end, _, _) in windows.items()], minutes, zone)

    def test_days_of_23_and_25_hours(self):
        spring, autumn = 1_711_843_200, 1_729_987_200  # Noon of 2024-03-31 and midnight of 2024-10-27, UTC.
        for second, hours in [(spring, 23), (autumn, 25)]:
            windows, _ = measured([at(0, second)], window_unit="day", time_zone="Europe/Ljubljana").windows()
            ((start, (end, _, _)),) = windows.items()
            self.assertEqual(end - start, hours * 3600 * SECOND)


class Ledger(unittest.TestCase):
    def test_raw_length_is_the_length_and_the_rejected_lengths_and_the_gaps(self):
        import random

        import tracks

        for seed in range(300):
            points, options = tracks.random_track(random.Random(seed))
            options.invalid_points = "skip"
            path = Measurement(points, options)
            lengths = path.lengths()
            terms = [*lengths["length"].terms, *lengths["gap_length"].terms]
            for _, _, total in path.rejections().values():
                terms += total.terms
            exact = sum(map(fractions.Fraction, terms))
            self.assertEqual(exact, sum(map(fractions.Fraction, lengths["raw_length"].terms)), seed)
            self.assertLessEqual(path.moving_time() or 0, path.elapsed_time() or 0)


if __name__ == "__main__":
    unittest.main()
