//! The values in `DETAIL:  parameters: $1 = '…', $2 = NULL`.

use crate::model::literal::Literal;

/// Values in order of their numbers; `None` when the text is no list of parameters.
///
/// Up to 15 the server writes `parameters:`, later versions `Parameters:`. A value may hold `, ` and
/// `$2 = ` itself, so the list is read quote by quote and never split.
pub fn parse(detail: &str) -> Option<Vec<Literal>> {
    let list =
        detail.strip_prefix("parameters: ").or_else(|| detail.strip_prefix("Parameters: "))?;
    let mut values = Vec::new();
    let mut rest = list;
    while let Some(after) = rest.strip_prefix('$') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = after[..digits].parse().ok()?;
        let (value, end) = value(after[digits..].strip_prefix(" = ")?)?;
        // Numbers come in order; a gap would mean a text that is not what it seems.
        if number != values.len() + 1 {
            return None;
        }
        values.push(value);
        let after = &after[digits + 3 + end..];
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    Some(values)
}

/// A value was cut by `log_parameter_max_length`; it cannot be replayed.
pub fn is_truncated(value: &Literal) -> bool {
    value.expose().is_some_and(|text| text.ends_with("..."))
}

/// The value at the start of `text`, and where it ends.
fn value(text: &str) -> Option<(Literal, usize)> {
    if text.starts_with("NULL") {
        return Some((Literal::NULL, 4));
    }
    let body = text.strip_prefix('\'')?;
    let mut end = 0;
    let mut doubled = false;
    loop {
        end += memchr::memchr(b'\'', body.get(end..)?.as_bytes())?;
        if body.as_bytes().get(end + 1) != Some(&b'\'') {
            break;
        }
        doubled = true;
        end += 2;
    }
    let raw = &body[..end];
    let literal = if doubled { Literal::text(raw.replace("''", "'")) } else { Literal::text(raw) };
    Some((literal, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposed(detail: &str) -> Option<Vec<Option<String>>> {
        let values = parse(detail)?;
        Some(values.iter().map(|value| value.expose().map(str::to_owned)).collect())
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
        assert!(is_truncated(&Literal::text("abc...")));
    }
}
