//! Messages of a server log to executions: each execution once, with its text, time and parameters.
//!
//! The extended protocol logs one execution as up to three messages (parse, bind, execute), and
//! `log_statement` with `log_duration` logs text and time apart. Both are joined here, by session.

use std::borrow::Cow;
use std::collections::HashMap;

use super::collect::Collector;
use super::parameters;
use crate::model::event::QueryEvent;
use crate::model::literal::Literal;

/// One record of a server log, whatever its format.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    pub at_us: Option<i64>,
    pub session: Cow<'a, str>,
    pub database: Cow<'a, str>,
    pub user: Cow<'a, str>,
    pub application: Cow<'a, str>,
    pub transaction: Cow<'a, str>,
    pub severity: Cow<'a, str>,
    pub text: Cow<'a, str>,
    pub detail: Cow<'a, str>,
    pub queryid: Option<i64>,
}

/// What a session has under way.
#[derive(Default)]
struct Session {
    pending: Option<Pending>,
    /// Parse and bind of the execution to come.
    prepared_us: u64,
}

/// An execution whose parameters or time may still follow.
struct Pending {
    event: QueryEvent<'static>,
    line: u64,
}

/// Joins messages to events and hands them to a collector.
pub struct Assembler<'c> {
    collector: &'c mut Collector,
    sessions: HashMap<String, Session>,
}

/// What a `LOG` message says.
#[derive(Debug, PartialEq)]
enum Said<'a> {
    /// An execution, with its time when it is on the same line.
    Executed {
        duration_us: Option<u64>,
        text: &'a str,
    },
    /// Parse or bind: part of an execution to come.
    Prepared {
        duration_us: u64,
    },
    /// `log_duration` alone: the time of what was said before.
    Took {
        duration_us: u64,
    },
    Plan,
    Other,
}

impl<'c> Assembler<'c> {
    pub fn new(collector: &'c mut Collector) -> Self {
        Assembler { collector, sessions: HashMap::new() }
    }

    pub fn collector(&mut self) -> &mut Collector {
        self.collector
    }

    /// Takes one record that began at `line`.
    pub fn message(&mut self, message: &Message<'_>, line: u64) {
        // Our own sessions are no part of anybody's workload.
        if message.application.starts_with("pgassay/") {
            return;
        }
        match message.severity.as_ref() {
            "LOG" => self.log(message, line),
            "DETAIL" => self.detail(&message.session, &message.text),
            "ERROR" | "FATAL" => {
                // What was announced without a time has failed; it was executed all the same.
                self.flush(&message.session);
                if let Some(session) = self.sessions.get_mut(message.session.as_ref()) {
                    session.prepared_us = 0;
                }
            }
            _ => {}
        }
    }

    fn log(&mut self, message: &Message<'_>, line: u64) {
        match read(&message.text) {
            Said::Executed { duration_us, text } => {
                self.flush(&message.session);
                let session = self.session(&message.session);
                let prepared = std::mem::take(&mut session.prepared_us);
                let mut event = event(message, text);
                event.duration_us = duration_us.map(|own| own + prepared);
                session.pending = Some(Pending { event, line });
                if duration_us.is_none() {
                    session.prepared_us = prepared;
                }
                if !message.detail.is_empty() {
                    self.detail(&message.session, &message.detail);
                }
            }
            Said::Prepared { duration_us } => {
                self.session(&message.session).prepared_us += duration_us
            }
            Said::Took { duration_us } => {
                let session = self.session(&message.session);
                match &mut session.pending {
                    Some(pending) if pending.event.duration_us.is_none() => {
                        let prepared = std::mem::take(&mut session.prepared_us);
                        pending.event.duration_us = Some(duration_us + prepared);
                        pending.event.at_us = message.at_us.or(pending.event.at_us);
                        self.flush(&message.session);
                    }
                    _ => session.prepared_us += duration_us,
                }
            }
            Said::Plan => self.collector.skip("auto_explain plan", 1, || format!("line {line}")),
            Said::Other => {}
        }
    }

    fn detail(&mut self, session: &str, text: &str) {
        let Some(pending) = self.sessions.get_mut(session).and_then(|s| s.pending.as_mut()) else {
            return;
        };
        if pending.event.parameters.is_empty()
            && let Some(values) = parameters::parse(text)
        {
            pending.event.parameters = values;
        }
    }

    fn session(&mut self, name: &str) -> &mut Session {
        if !self.sessions.contains_key(name) {
            self.sessions.insert(name.to_owned(), Session::default());
        }
        self.sessions.entry(name.to_owned()).or_default()
    }

    fn flush(&mut self, session: &str) {
        if let Some(pending) = self.sessions.get_mut(session).and_then(|s| s.pending.take()) {
            self.collector.event(&pending.event, pending.line);
        }
    }

    /// Hands over what is still under way. In the order of the log, so that the result does not
    /// depend on how a map happens to be laid out.
    pub fn finish(self) {
        let mut rest: Vec<Pending> =
            self.sessions.into_values().filter_map(|session| session.pending).collect();
        rest.sort_by_key(|pending| pending.line);
        for pending in rest {
            self.collector.event(&pending.event, pending.line);
        }
    }
}

fn event(message: &Message<'_>, text: &str) -> QueryEvent<'static> {
    let own = |text: &Cow<'_, str>| Cow::Owned(text.to_string());
    QueryEvent {
        at_us: message.at_us,
        session: own(&message.session),
        database: own(&message.database),
        user: own(&message.user),
        application: own(&message.application),
        transaction: own(&message.transaction),
        text: Cow::Owned(text.to_owned()),
        parameters: Vec::<Literal>::new(),
        duration_us: None,
        // Zero is the server's "not computed".
        queryid: message.queryid.filter(|id| *id != 0),
    }
}

fn read(text: &str) -> Said<'_> {
    let Some(after) = text.strip_prefix("duration: ") else {
        return match statement(text) {
            Some((false, text)) => Said::Executed { duration_us: None, text },
            _ => Said::Other,
        };
    };
    let Some((number, rest)) = after.split_once(" ms") else { return Said::Other };
    let Ok(milliseconds) = number.parse::<f64>() else { return Said::Other };
    let duration_us = (milliseconds * 1_000.0).round().max(0.0) as u64;
    let rest = rest.trim_start();
    if rest.is_empty() {
        return Said::Took { duration_us };
    }
    match statement(rest) {
        Some((true, _)) => Said::Prepared { duration_us },
        Some((false, text)) => Said::Executed { duration_us: Some(duration_us), text },
        None if rest.starts_with("plan:") => Said::Plan,
        None => Said::Other,
    }
}

/// `statement: …`, `execute NAME: …`, `execute fetch from NAME: …`; the flag is set for parse and
/// bind, which are no executions.
fn statement(text: &str) -> Option<(bool, &str)> {
    if let Some(sql) = text.strip_prefix("statement: ") {
        return Some((false, sql));
    }
    let (verb, rest) = text.split_once(' ')?;
    let preparing = match verb {
        "execute" => false,
        "parse" | "bind" => true,
        _ => return None,
    };
    rest.split_once(": ").map(|(_, sql)| (preparing, sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_message_is_told_apart() {
        let executed = |duration_us, text| Said::Executed { duration_us, text };
        assert_eq!(read("duration: 0.063 ms  statement: BEGIN"), executed(Some(63), "BEGIN"));
        assert_eq!(
            read("duration: 1.5 ms  execute <unnamed>: SELECT 1"),
            executed(Some(1500), "SELECT 1")
        );
        assert_eq!(
            read("duration: 1 ms  execute fetch from c/p: SELECT 1"),
            executed(Some(1000), "SELECT 1")
        );
        assert_eq!(read("duration: 2 ms  bind s1: SELECT 1"), Said::Prepared { duration_us: 2000 });
        assert_eq!(read("duration: 2 ms"), Said::Took { duration_us: 2000 });
        assert_eq!(read("statement: SELECT 'a: b'"), executed(None, "SELECT 'a: b'"));
        assert_eq!(read("execute <unnamed>: SELECT 1"), executed(None, "SELECT 1"));
        assert_eq!(read("duration: 2 ms  plan:\nQuery Text: x"), Said::Plan);
        assert_eq!(read("checkpoint starting: time"), Said::Other);
    }
}
