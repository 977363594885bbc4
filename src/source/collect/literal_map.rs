//! Positions of literals in a statement's text, computed once for each form of the text.

use foldhash::{HashMap, HashMapExt};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::workload::literal::Literal;
use crate::sql::lex::literal::word;
use crate::sql::normalize::literal_scan::LiteralSpan;
use crate::sql::normalize::normalizer::Normalized;
use crate::sql::normalize::slot::SlotSource;

/// Forms remembered. Beyond that all are forgotten and met again.
const MOST: usize = 100_000;

/// One form of a statement's text.
#[derive(Debug, Default)]
pub struct LiteralMap {
    /// Number of the statement in the collector.
    pub statement: u32,
    pub slots: Box<[LiteralPlace]>,
    /// The largest number of a `$n` in the text, as many values as an execution comes with; 0 where all are in the text.
    pub parameters: u32,
    /// Hash of the form, and which of its literals stay in the normalized text.
    form: u64,
    kept: Box<[u32]>,
    /// All literals of the text are accounted for, so the plan holds for other texts of the form.
    is_general: bool,
}

/// The origin of the value of one `$n` of the normalized text.
#[derive(Debug)]
pub struct LiteralPlace {
    pub from: From,
    /// Elements of the list that shrank to this position; 1 for a scalar.
    pub elements: u32,
}

#[derive(Debug)]
pub enum From {
    /// A literal of the text, by order of appearance.
    Literal { ordinal: u32, negative: bool },
    /// `$n` of the text, from 1.
    Parameter(u32),
    /// A word such as `TRUE`, which is part of the form.
    Fixed(Literal),
}

impl LiteralMap {
    /// The plan for a text of this form, with its literals in order of appearance.
    pub fn of(
        statement: u32,
        form: u64,
        normalized: &Normalized<'_>,
        literals: &[LiteralSpan],
    ) -> LiteralMap {
        let ordinal = |start: usize| {
            literals.binary_search_by_key(&start, |span| span.start).ok().map(|at| at as u32)
        };
        let mut is_general = true;
        let slots: Box<[LiteralPlace]> = normalized
            .slots
            .iter()
            .map(|slot| {
                let from = match slot.source {
                    SlotSource::Parameter(number) => {
                        From::Parameter(u32::try_from(number).unwrap_or(0))
                    }
                    SlotSource::Constant { token, negative } => match ordinal(token.start) {
                        Some(ordinal) => From::Literal { ordinal, negative },
                        None => {
                            let fixed = word(token.text);
                            is_general &= fixed.is_some();
                            From::Fixed(
                                fixed.unwrap_or_else(|| slot.value(&[]).unwrap_or(Literal::NULL)),
                            )
                        }
                    },
                };
                LiteralPlace { from, elements: u32::try_from(slot.elements).unwrap_or(u32::MAX) }
            })
            .collect();
        let kept: Option<Box<[u32]>> = normalized.kept.iter().map(|at| ordinal(*at)).collect();
        is_general &= kept.is_some();
        let numbers = slots.iter().map(|slot| match slot.from {
            From::Parameter(number) => number,
            _ => 0,
        });
        let parameters = numbers.max().unwrap_or(0);
        LiteralMap {
            statement,
            slots,
            parameters,
            form,
            kept: kept.unwrap_or_default(),
            is_general,
        }
    }
}

/// The forms met so far.
#[derive(Debug, Default)]
pub struct Known {
    forms: HashMap<u64, Form>,
    plans: Vec<LiteralMap>,
}

#[derive(Debug)]
enum Form {
    LiteralMap(u32),
    /// These literals stay in the normalized text, so they belong to the key.
    Kept(Box<[u32]>),
}

fn key(form: u64, kept: &[u32], text: &[u8], literals: &[LiteralSpan]) -> u64 {
    kept.iter().fold(form, |key, ordinal| {
        let literal = literals.get(*ordinal as usize).map_or(&b""[..], |span| span.of(text));
        xxh3_64_with_seed(literal, key.rotate_left(1) ^ 1)
    })
}

impl Known {
    /// Number of the plan for a text.
    pub fn find(&self, form: u64, text: &[u8], literals: &[LiteralSpan]) -> Option<usize> {
        match self.forms.get(&form)? {
            Form::LiteralMap(at) => Some(*at as usize),
            Form::Kept(kept) => match self.forms.get(&key(form, kept, text, literals))? {
                Form::LiteralMap(at) => Some(*at as usize),
                Form::Kept(_) => None,
            },
        }
    }

    pub fn take(&mut self, at: usize) -> LiteralMap {
        std::mem::take(&mut self.plans[at])
    }

    pub fn put_back(&mut self, at: usize, plan: LiteralMap) {
        self.plans[at] = plan;
    }

    /// Remembers a plan, if it holds for all texts of its form.
    pub fn keep(&mut self, plan: LiteralMap, text: &[u8], literals: &[LiteralSpan]) {
        if !plan.is_general {
            return;
        }
        if self.plans.len() >= MOST {
            self.forms = HashMap::new();
            self.plans = Vec::new();
        }
        let at = Form::LiteralMap(self.plans.len() as u32);
        if plan.kept.is_empty() {
            self.forms.insert(plan.form, at);
        } else {
            self.forms.insert(key(plan.form, &plan.kept, text, literals), at);
            self.forms.insert(plan.form, Form::Kept(plan.kept.clone()));
        }
        self.plans.push(plan);
    }
}
