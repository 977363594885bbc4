//! Histograms as SVG: before above, after below, one logarithmic axis.

use std::fmt::Write;

use crate::model::run::RunArm;
use crate::report::words::milliseconds;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
/// Height of the bars of one arm.
const BAND: f64 = 70.0;
/// Columns over the whole axis.
const COLUMNS: usize = 72;

/// Both arms of one statement. No script, no outside file; colours come from the page's style.
pub fn before_after(before: &RunArm, after: &RunArm) -> String {
    let buckets = || before.histogram.iter().chain(&after.histogram);
    let lowest = buckets().map(|b| b[0]).min().unwrap_or(1).max(1) as f64;
    let highest = buckets().map(|b| b[0]).max().unwrap_or(10).max(10) as f64;
    // Whole decades at both ends, so that ticks fall on round numbers.
    let (low, high) =
        (lowest.log10().floor(), highest.log10().ceil().max(lowest.log10().floor() + 1.0));
    let x = |us: f64| LEFT + (us.max(1.0).log10() - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" class=\"chart\"><title>Latency before and after, logarithmic axis</title>\n"
    );
    for decade in (low as i32)..=(high as i32) {
        let at = x(10f64.powi(decade));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"10\" x2=\"{at:.1}\" y2=\"{:.1}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            HEIGHT - 28.0,
            HEIGHT - 12.0,
            milliseconds(10f64.powi(decade))
        );
    }
    for (name, arm, top) in [("before", before, 12.0), ("after", after, 12.0 + BAND + 8.0)] {
        arm_bars(&mut svg, name, arm, top, &x, (low, high));
    }
    svg.push_str("</svg>");
    svg
}

fn arm_bars(
    svg: &mut String,
    name: &str,
    arm: &RunArm,
    top: f64,
    x: &dyn Fn(f64) -> f64,
    axis: (f64, f64),
) {
    let mut columns = [0u64; COLUMNS];
    for [us, count] in &arm.histogram {
        let place = ((*us).max(1) as f64).log10() - axis.0;
        let at = (place / (axis.1 - axis.0) * COLUMNS as f64) as usize;
        columns[at.min(COLUMNS - 1)] += count;
    }
    let most = columns.iter().max().copied().unwrap_or(1).max(1) as f64;
    let width = (WIDTH - LEFT - RIGHT) / COLUMNS as f64;
    let base = top + BAND;
    let _ = writeln!(svg, "<text class=\"name\" x=\"4\" y=\"{:.1}\">{name}</text>", base - 4.0);
    for (at, count) in columns.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (*count as f64 / most * (BAND - 8.0)).max(1.5);
        let left = LEFT + at as f64 * width;
        let _ = writeln!(
            svg,
            "<rect class=\"{name}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            base - height,
            width - 0.6
        );
    }
    if let Some(p95) = arm.p95_us {
        let at = x(p95);
        // Near the right edge the words stand on the other side of their line.
        let (anchor, words) =
            if at > WIDTH - 110.0 { ("end", at - 3.0) } else { ("start", at + 3.0) };
        let _ = writeln!(
            svg,
            "<line class=\"p95\" x1=\"{at:.1}\" y1=\"{top:.1}\" x2=\"{at:.1}\" y2=\"{base:.1}\"/><text class=\"mark\" text-anchor=\"{anchor}\" x=\"{words:.1}\" y=\"{:.1}\">p95 {}</text>",
            top + 8.0,
            milliseconds(p95)
        );
    }
}

/// p95 that common reads should stay under, microseconds.
const TARGET_US: f64 = 300_000.0;
/// Width of the chart of many statements, and the height of one of them.
const P95_WIDTH: f64 = 480.0;
const P95_ROW: f64 = 30.0;
/// Room for half of a label at both ends of the axis.
const P95_LEFT: f64 = 28.0;

/// p95 of statements before and after on one logarithmic axis, with the line that common reads should stay under.
/// Labels stand above their lines, so that the chart can be read on a telephone.
pub fn p95_chart(rows: &[(String, [f64; 2])]) -> String {
    let values = || rows.iter().flat_map(|(_, pair)| *pair).chain([TARGET_US]);
    let decade = |us: f64| us.max(1.0).log10();
    let low = values().map(decade).fold(f64::INFINITY, f64::min).floor();
    let high = values().map(decade).fold(f64::NEG_INFINITY, f64::max).ceil().max(low + 1.0);
    let x = |us: f64| P95_LEFT + (decade(us) - low) / (high - low) * (P95_WIDTH - 2.0 * P95_LEFT);
    let bottom = 20.0 + P95_ROW * rows.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {P95_WIDTH} {:.0}\" role=\"img\" class=\"chart p95s\"><title>p95 of each statement before and after, logarithmic axis</title>\n",
        bottom + 18.0
    );
    for decade in (low as i32)..=(high as i32) {
        let at = x(10f64.powi(decade));
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"14\" x2=\"{at:.1}\" y2=\"{bottom:.1}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            bottom + 13.0,
            milliseconds(10f64.powi(decade))
        );
    }
    let target = x(TARGET_US);
    let _ = writeln!(
        svg,
        "<line class=\"target\" x1=\"{target:.1}\" y1=\"14\" x2=\"{target:.1}\" y2=\"{bottom:.1}\"/><text class=\"tick\" x=\"{target:.1}\" y=\"10\">{}</text>",
        milliseconds(TARGET_US)
    );
    for (number, (label, [before, after])) in rows.iter().enumerate() {
        let top = 20.0 + P95_ROW * number as f64;
        let (from, to, y) = (x(*before), x(*after), top + 20.0);
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{P95_LEFT}\" y=\"{:.1}\">{}</text><line class=\"way\" x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to:.1}\" y2=\"{y:.1}\"/><circle class=\"before\" cx=\"{from:.1}\" cy=\"{y:.1}\" r=\"4.5\"/><circle class=\"after\" cx=\"{to:.1}\" cy=\"{y:.1}\" r=\"4.5\"/><text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            top + 11.0,
            crate::report::escape::escape(label),
            from.max(to) + 8.0,
            y + 4.0,
            milliseconds(*after)
        );
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_stays_inside_its_box_and_needs_nothing_from_outside() {
        let arm = |us: u64| RunArm {
            timed_out: 0,
            n: 10,
            p50_us: Some(us as f64),
            p95_us: Some(us as f64),
            p99_us: Some(us as f64),
            histogram: vec![[us, 10]],
        };
        for (before, after) in [(100_000, 90), (1, 1), (0, 3_600_000_000)] {
            let svg = before_after(&arm(before), &arm(after));
            assert!(
                !svg.contains("NaN") && !svg.contains("http") && !svg.contains("script"),
                "{svg}"
            );
        }
        let empty = before_after(&RunArm::default(), &RunArm::default());
        assert!(!empty.contains("NaN"));
    }

    #[test]
    fn a_label_of_the_chart_cannot_break_out_of_it() {
        let svg = p95_chart(&[("</svg><script>".to_owned(), [0.0, 3_600e6])]);
        assert!(!svg.contains("<script>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
