//! `~/.pgpass`, by libpq's rules.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::secret::Secret;

/// The password for a connection, and a warning when the file is there and may not be used.
pub fn lookup(
    file: &Path,
    host: &str,
    port: u16,
    database: &str,
    user: &str,
) -> (Option<Secret>, Option<String>) {
    let Ok(metadata) = std::fs::metadata(file) else { return (None, None) };
    if !metadata.is_file() {
        return (None, Some(format!("password file {} is not a plain file", file.display())));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return (
            None,
            Some(format!(
                "password file {} has group or world access and is ignored; chmod 0600 mends it",
                file.display()
            )),
        );
    }
    match std::fs::read_to_string(file) {
        Ok(text) => {
            // A socket counts as localhost.
            let host = if host.starts_with('/') { "localhost" } else { host };
            (search(&text, [host, &port.to_string(), database, user]), None)
        }
        Err(error) => (None, Some(format!("cannot read {}: {error}", file.display()))),
    }
}

/// The first line that fits: `host:port:database:user:password`, `*` for anything.
fn search(text: &str, wanted: [&str; 4]) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let fits = fields.len() >= 5
            && wanted.iter().zip(&fields).all(|(want, field)| field == "*" || field == want);
        fits.then(|| Secret::new(fields[4..].join(":")))
    })
}

/// Fields between colons; `\:` and `\\` stand for themselves.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' => fields.push(String::new()),
            c => {
                let c = if c == '\\' { chars.next().unwrap_or('\\') } else { c };
                if let Some(last) = fields.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_matched_field_by_field() {
        assert_eq!(fields(r"h\:1:5432:*:me:pa\\ss"), ["h:1", "5432", "*", "me", r"pa\ss"]);
    }
}
