#!/usr/bin/env python3
"""Tests of how the figures of a comparison become ratios, verdicts, a page and a chart."""

import unittest
import xml.etree.ElementTree

import chart
import report
from rows import LIMITS, ROWS, SERVERS, head_size


def rounds(*figures):
    return {str(number): {"cpu_us": figure} for number, figure in enumerate(figures)}


def measured(results):
    return {
        "machine": {"cpu": "a CPU", "cores": 2, "kernel": "a kernel", "system": "a system"},
        "commit": "0123",
        "date": "2000-01-01 00:00 UTC",
        "versions": {"bun": "1"},
        "rounds": 3,
        "seconds": 1,
        "elapsed_seconds": 60,
        "other_work": 0.01,
        "left_out": {"article": "no article was named"},
        "results": results,
    }


def whole_exchange(figure):
    return {"cpu_us": figure, "per_second": 1000, "p50_us": 1, "p99_us": 2, "p999_us": 3,
            "server_busy": 0.9, "load_busy": 0.8}


class Ratios(unittest.TestCase):
    def test_only_figures_of_one_round_are_divided(self):
        results = {"a": rounds(1, 10, 100), "b": rounds(2, 20, 200)}
        self.assertEqual(report.ratios(results, "a", "b"), [0.5, 0.5, 0.5])

    def test_a_round_that_one_of_them_missed_does_not_count(self):
        results = {"a": {"0": {"cpu_us": 1}, "2": {"cpu_us": 3}}, "b": rounds(2, 2, 2)}
        self.assertEqual(report.ratios(results, "a", "b"), [0.5, 1.5])

    def test_a_server_that_was_left_out_has_no_ratio(self):
        self.assertEqual(report.ratios({"a": rounds(1)}, "a", "b"), [])


class Verdicts(unittest.TestCase):
    def lines(self, results):
        return {(line[0], line[1]): line[2:] for line in report.limit_lines(measured(results))}

    def test_the_median_ratio_is_held_against_limit_and_aim(self):
        results = {"echo-1": {"wspool-uring-wait": rounds(0.9, 0.94, 5), "bun": rounds(1, 1, 1)}}
        found = self.lines(results)["Echo, 64 B, 1 in flight", "wspool, io_uring, wait 50 µs ÷ Bun"]
        self.assertEqual(found, ["0.940", "≤ 0.95 reached", "≤ 0.9 **missed**"])

    def test_memory_is_held_against_bytes(self):
        results = {"idle": {"wspool-uring-wait": {"0": {"bytes": 300.4}}}}
        found = self.lines(results)["User memory per idle connection, 15,000 held",
                                    "wspool, io_uring, wait 50 µs"]
        self.assertEqual(found, ["300 B", "≤ 320 reached", "≤ 256 **missed**"])

    def test_what_was_not_measured_is_said_to_be_so(self):
        self.assertEqual({tuple(line) for line in self.lines({}).values()}, {("not measured", "", "")})


class Page(unittest.TestCase):
    def setUp(self):
        results = {row.key: {key: {"0": whole_exchange(2)} for key in row.servers if key != "article"}
                   for row in ROWS if row.mode != "idle"}
        self.measured = measured(results)

    def test_it_names_what_was_left_out_and_why(self):
        self.assertIn("Left out: the article's server: no article was named.", report.page(self.measured))

    def test_it_warns_when_the_machine_was_not_quiet(self):
        self.assertNotIn("Not to be relied on", report.page(self.measured))
        self.measured["other_work"] = 0.3
        self.assertIn("Not to be relied on**: other programs used 30%", report.page(self.measured))

    def test_every_table_has_as_many_cells_in_each_line_as_in_its_head(self):
        for block in report.page(self.measured).split("\n\n"):
            lines = [line for line in block.splitlines() if line.startswith("|")]
            self.assertLessEqual(len({line.count("|") for line in lines}), 1, block)

    def test_the_chart_is_well_formed_and_draws_what_was_measured(self):
        drawing = xml.etree.ElementTree.fromstring(chart.draw(self.measured))
        texts = [element.text for element in drawing.iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(texts.count("Bun"), 4)
        self.assertNotIn("the article's server", texts)

    def test_the_chart_of_nothing_is_well_formed(self):
        xml.etree.ElementTree.fromstring(chart.draw(measured({})))


class Rows(unittest.TestCase):
    def test_every_row_and_limit_names_servers_that_exist(self):
        rows = {row.key: row for row in ROWS}
        for row in ROWS:
            self.assertLessEqual(set(row.servers), set(SERVERS))
        for limit in LIMITS:
            self.assertIn(limit.ours, rows[limit.row].servers)
            self.assertIn(limit.theirs, [None, *rows[limit.row].servers])

    def test_a_frames_head_has_the_size_of_rfc_6455(self):
        self.assertEqual([head_size(size) for size in (0, 125, 126, 65535, 65536)], [2, 2, 4, 4, 10])


if __name__ == "__main__":
    unittest.main()
