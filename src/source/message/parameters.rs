//! Parses the values in `DETAIL:  parameters: $1 = '…', $2 = NULL`.

use std::borrow::Cow;

use crate::model::workload::literal::Literal;

/// The range of one value in the text of the detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    Null,
    /// Between the quotes; `doubled` says that quotes inside are doubled.
    Text {
        start: usize,
        end: usize,
        doubled: bool,
    },
}

impl Parameter {
    /// The value's bytes; `None` is NULL.
    pub fn bytes<'a>(&self, detail: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let Parameter::Text { start, end, doubled } = *self else { return None };
        let raw = detail.get(start..end).unwrap_or(b"");
        if !doubled {
            return Some(Cow::Borrowed(raw));
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some(quote) = memchr::memchr(b'\'', rest) {
            out.extend_from_slice(&rest[..=quote]);
            rest = rest.get(quote + 2..).unwrap_or(b"");
        }
        out.extend_from_slice(rest);
        Some(Cow::Owned(out))
    }

    pub fn literal(&self, detail: &[u8]) -> Literal {
        match self.bytes(detail) {
            None => Literal::NULL,
            Some(bytes) => Literal::text(String::from_utf8_lossy(&bytes)),
        }
    }
}

/// Finds the values, in order of their numbers; `false` when the text is no list of parameters.
///
/// Up to 15 the server writes `parameters:`, from 16 on `Parameters:`. A value may hold `, ` and
/// `$2 = ` itself, so the list is read quote by quote and never split.
pub fn find(detail: &[u8], out: &mut Vec<Parameter>) -> bool {
    out.clear();
    let list =
        detail.strip_prefix(b"parameters: ").or_else(|| detail.strip_prefix(b"Parameters: "));
    let Some(list) = list else { return false };
    let mut at = detail.len() - list.len();
    while detail.get(at) == Some(&b'$') {
        let Some((parameter, end)) = one(detail, at, out.len() + 1) else {
            out.clear();
            return false;
        };
        out.push(parameter);
        at = if detail[end..].starts_with(b", ") { end + 2 } else { end };
    }
    true
}

/// The value with this number at `at`, and where it ends. Numbers come in order; a gap would mean a
/// text that is not what it seems.
fn one(detail: &[u8], at: usize, number: usize) -> Option<(Parameter, usize)> {
    let mut at = at + 1;
    let mut found = 0usize;
    while let Some(digit) = detail.get(at).filter(|byte| byte.is_ascii_digit()) {
        found = found.checked_mul(10)?.checked_add(usize::from(digit - b'0'))?;
        at += 1;
    }
    let value = detail.get(at..)?.strip_prefix(b" = ")?;
    if found != number {
        return None;
    }
    if value.starts_with(b"NULL") {
        return Some((Parameter::Null, at + 3 + 4));
    }
    let body = value.strip_prefix(b"'")?;
    let start = at + 4;
    let mut end = 0;
    let mut doubled = false;
    loop {
        end += memchr::memchr(b'\'', body.get(end..)?)?;
        if body.get(end + 1) != Some(&b'\'') {
            break;
        }
        doubled = true;
        end += 2;
    }
    Some((Parameter::Text { start, end: start + end, doubled }, start + end + 1))
}

/// A value was cut by `log_parameter_max_length`; it cannot be replayed.
pub fn is_truncated(value: &Literal) -> bool {
    value.expose().is_some_and(|text| text.ends_with("..."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(detail: &str) -> Option<Vec<Option<String>>> {
        let mut found = Vec::new();
        find(detail.as_bytes(), &mut found).then(|| {
            let literals = found.iter().map(|parameter| parameter.literal(detail.as_bytes()));
            literals.map(|literal| literal.expose().map(str::to_owned)).collect()
        })
    }

    #[test]
    fn values_with_quotes_commas_and_numbers_inside_stay_whole() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            exposed("parameters: $1 = 'a, b', $2 = NULL, $3 = 'it''s $4 = ''x''', $4 = ''")
                .unwrap(),
            [some("a, b"), None, some("it's $4 = 'x'"), some("")]
        );
        assert_eq!(exposed("Parameters: $1 = '7'").unwrap(), [some("7")]);
    }

    #[test]
    fn ten_parameters_do_not_become_one() {
        let list: Vec<String> = (1..=12).map(|n| format!("${n} = '{n}'")).collect();
        let values = exposed(&format!("parameters: {}", list.join(", "))).unwrap();
        assert_eq!(values[9].as_deref(), Some("10"));
        assert_eq!(values.len(), 12);
    }

    #[test]
    fn other_details_and_torn_lists_are_refused() {
        assert_eq!(exposed("Key (id)=(1) already exists."), None);
        assert_eq!(exposed("parameters: $1 = 'abc"), None);
        assert_eq!(exposed("parameters: $1 = 'a', $3 = 'b'"), None);
        assert!(is_truncated(&Literal::text("abc...")));
    }
}
