//! Lines on standard error. A terminal that is gone is no reason to panic, and nothing of somebody else's steers it.

use std::io::Write;

/// Writes one line.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes text as it is, but for what [`harmless`] takes out of it.
pub fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(harmless(text).as_bytes()).and_then(|()| out.flush());
}

/// Without passwords of connection strings, without control characters, and without lines that begin as commands of a
/// CI log do.
pub fn harmless(text: &str) -> String {
    crate::report::words::displayable(&without_user_info(text))
}

/// `://user:password@` without what stands between.
fn without_user_info(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || c == '\'' || c == '"');
        let url = &after[..end.unwrap_or(after.len())];
        rest = match url.rfind('@') {
            Some(at) => {
                out.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn passwords_and_commands_do_not_get_through() {
        assert_eq!(
            harmless("cannot read postgres://u:p@w/x@h/d: gone, see https://h/x"),
            "cannot read postgres://***@h/d: gone, see https://h/x"
        );
        assert_eq!(harmless("a\u{1b}[31m\n::error::x\n"), "a\u{fffd}[31m\n ::error::x\n");
    }
}
