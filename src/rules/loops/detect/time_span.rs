//! The time over which the loops of a finding ran.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::find::Loop;
use crate::model::workload::Workload;

/// When loops ran, and for how long.
pub struct TimeSpan {
    /// From the end of each parent to the end of its last child, round trips included.
    pub wall_us: i64,
    pub first_at: Option<String>,
    pub last_at: Option<String>,
    /// The minute with most executions.
    pub worst_minute: Option<String>,
    pub worst_executions: usize,
}

impl TimeSpan {
    pub fn of(workload: &Workload, loops: &[Loop]) -> TimeSpan {
        const MINUTE_US: i64 = 60_000_000;
        let at_us = |place: u32| workload.timeline.executions[place as usize].at_us;
        let time = |at_us: i64| Timestamp::from_microsecond(at_us).ok().map(|at| at.to_string());
        let mut minutes: BTreeMap<i64, usize> = BTreeMap::new();
        let (mut wall_us, mut first, mut last) = (0, None::<i64>, None::<i64>);
        for found in loops {
            let begin = found.parent.or_else(|| found.children.first().copied());
            let (Some(begin), Some(end)) = (begin, found.children.last()) else { continue };
            wall_us += at_us(*end) - at_us(begin);
            first = Some(first.map_or(at_us(begin), |known| known.min(at_us(begin))));
            last = last.max(Some(at_us(*end)));
            for child in &found.children {
                *minutes.entry(at_us(*child).div_euclid(MINUTE_US)).or_default() += 1;
            }
        }
        // Of minutes with as many, the first.
        let worst = minutes.iter().max_by_key(|(minute, count)| (**count, -**minute));
        TimeSpan {
            wall_us,
            first_at: first.and_then(time),
            last_at: last.and_then(time),
            worst_minute: worst.and_then(|(minute, _)| time(minute * MINUTE_US)),
            worst_executions: worst.map_or(0, |(_, count)| *count),
        }
    }
}
