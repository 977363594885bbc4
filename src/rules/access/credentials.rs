//! Recognizes credentials in values.

/// A credential that begins with a word of its own.
struct Token {
    what: &'static str,
    prefix: &'static str,
    /// Characters that follow, at least.
    length: usize,
    alphabet: fn(u8) -> bool,
}

const fn token(
    what: &'static str,
    prefix: &'static str,
    length: usize,
    alphabet: fn(u8) -> bool,
) -> Token {
    Token { what, prefix, length, alphabet }
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn capital(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// As their issuers document them.
const TOKENS: &[Token] = &[
    token("an AWS access key", "AKIA", 16, capital),
    token("an AWS access key", "ASIA", 16, capital),
    token("a GitHub token", "ghp_", 30, alphanumeric),
    token("a GitHub token", "gho_", 30, alphanumeric),
    token("a GitHub token", "ghu_", 30, alphanumeric),
    token("a GitHub token", "ghs_", 30, alphanumeric),
    token("a GitHub token", "ghr_", 30, alphanumeric),
    token("a GitHub token", "github_pat_", 30, url_safe),
    token("a GitLab token", "glpat-", 20, url_safe),
    token("a Stripe key", "sk_live_", 16, alphanumeric),
    token("a Stripe key", "sk_test_", 16, alphanumeric),
    token("a Stripe key", "rk_live_", 16, alphanumeric),
    token("a webhook secret", "whsec_", 20, alphanumeric),
    token("a Slack token", "xoxb-", 10, url_safe),
    token("a Slack token", "xoxp-", 10, url_safe),
    token("a Slack token", "xoxa-", 10, url_safe),
    token("a Google API key", "AIza", 35, url_safe),
    token("a Google token", "ya29.", 20, url_safe),
    token("an API key", "sk-", 20, url_safe),
    token("an API key", "sk_", 24, alphanumeric),
    token("a SendGrid key", "SG.", 22, url_safe),
    token("an npm token", "npm_", 36, alphanumeric),
    token("a PyPI token", "pypi-", 40, url_safe),
    token("a Hugging Face token", "hf_", 30, alphanumeric),
    token("a DigitalOcean token", "dop_v1_", 60, alphanumeric),
    token("a Shopify token", "shpat_", 32, alphanumeric),
];

/// The credential that a text holds, if it holds one.
pub fn recognize(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if has_web_token(text) {
        return Some("a JSON web token");
    }
    if has_url_password(text) {
        return Some("a connection string with a password");
    }
    TOKENS.iter().find(|token| token.is_in(text)).map(|token| token.what)
}

impl Token {
    fn is_in(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        text.match_indices(self.prefix).any(|(at, _)| {
            let starts = at == 0 || !url_safe(bytes[at - 1]);
            let rest = &bytes[at + self.prefix.len()..];
            let body = rest.iter().take_while(|byte| (self.alphabet)(**byte)).count();
            starts && body >= self.length
        })
    }
}

/// Three parts of base64 between dots, the first of which begins a JSON object (RFC 7519).
fn has_web_token(text: &str) -> bool {
    text.match_indices("eyJ").any(|(at, _)| {
        let rest = &text[at..];
        let end = rest.bytes().position(|b| !url_safe(b) && b != b'.').unwrap_or(rest.len());
        let parts: Vec<&str> = rest[..end].split('.').collect();
        parts.len() >= 3 && parts[..3].iter().all(|part| part.len() >= 8)
    })
}

/// `scheme://user:password@host`.
fn has_url_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = &text[at + 3..];
        let end = rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len());
        let Some((login, host)) = rest[..end].rsplit_once('@') else { return false };
        let password = login.split_once(':').map_or("", |(_, password)| password);
        !host.is_empty() && password.len() >= 3 && !password.bytes().all(|byte| byte == b'*')
    })
}

/// The kind of values that a column's name suggests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Secret {
    Password,
    Token,
}

impl Secret {
    pub fn of_column(column: &str) -> Option<Secret> {
        const PASSWORDS: &[&str] =
            &["password", "passwd", "pwd", "passphrase", "passwort", "mot_de_passe"];
        const TOKENS: &[&str] = &[
            "secret",
            "api_key",
            "apikey",
            "private_key",
            "secret_key",
            "access_token",
            "refresh_token",
            "auth_token",
            "session_token",
            "bearer_token",
            "reset_token",
            "client_secret",
            "jwt",
        ];
        let name = snake_case(column);
        let ends = |words: &[&str]| {
            words.iter().any(|word| {
                name.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
            })
        };
        if ends(PASSWORDS) {
            Some(Secret::Password)
        } else if ends(TOKENS) {
            Some(Secret::Token)
        } else {
            None
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Secret::Password => "a password",
            Secret::Token => "a token",
        }
    }

    /// The value is the credential itself and not a hash of it.
    pub fn is_plain(self, value: &str) -> bool {
        match self {
            Secret::Password => value.len() >= 4 && !is_hashed(value),
            // Whether a token was hashed cannot be seen; short values are names of something.
            Secret::Token => value.len() >= 16 && !value.contains(' ') && !is_hashed(value),
        }
    }
}

/// Parts of the names of columns with personal data.
const PERSONAL: &[&str] = &[
    "email",
    "e_mail",
    "phone",
    "iban",
    "ssn",
    "passport",
    "birth",
    "tax_id",
    "card_number",
    "hash",
    "otp",
    "secret",
    "address",
    "telefon",
    "telefono",
    "kennwort",
    "passwort",
    "geburtsdatum",
    "contrasena",
];

/// The name of a column suggests secrets or personal data.
pub fn is_personal(column: &str) -> bool {
    let name = snake_case(column);
    Secret::of_column(column).is_some()
        || name == "token"
        || name.ends_with("_token")
        || PERSONAL.iter().any(|part| {
            name.split('_').any(|word| word == *part)
                || name.contains("e_mail")
                || (part.contains('_') && name.contains(part))
        })
}

/// `accessToken` and `AccessToken` are `access_token`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    let mut previous = '_';
    for char in name.chars() {
        if char.is_uppercase() && !previous.is_uppercase() && previous != '_' {
            out.push('_');
        }
        out.extend(char.to_lowercase());
        previous = char;
    }
    out
}

/// A password hash of the usual kinds, or a digest in hexadecimal.
pub fn is_hashed(value: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "$1$",
        "$2a$",
        "$2b$",
        "$2y$",
        "$5$",
        "$6$",
        "$7$",
        "$y$",
        "$argon2",
        "$scrypt",
        "$pbkdf2",
        "$bcrypt",
        "pbkdf2_",
        "pbkdf2:",
        "bcrypt",
        "argon2",
        "scrypt",
        "sha1$",
        "sha256$",
        "md5$",
        "{SSHA",
        "{SHA",
        "{bcrypt}",
        "SCRAM-SHA-256$",
    ];
    let digest = value.strip_prefix("md5").unwrap_or(value);
    let digest = digest.strip_prefix("\\x").unwrap_or(digest);
    PREFIXES.iter().any(|prefix| value.starts_with(prefix))
        || (matches!(digest.len(), 32 | 40 | 56 | 64 | 96 | 128)
            && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_recognized_wherever_they_stand() {
        let web_token =
            format!("{}.{}.{}", "eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NSJ9", "c2lnbmF0dXJl");
        assert_eq!(recognize(&web_token), Some("a JSON web token"));
        assert_eq!(recognize(&format!("Bearer {web_token}; x")), Some("a JSON web token"));
        let key = format!("{}{}", "sk_live_", "0123456789abcdefABCDEF");
        assert_eq!(recognize(&format!("/* {key} */ SELECT")), Some("a Stripe key"));
        assert_eq!(recognize(&format!("AKIA{}", "ABCDEFGHIJKLMNOP")), Some("an AWS access key"));
        assert_eq!(
            recognize("postgres://shop:hunter22@db/shop"),
            Some("a connection string with a password")
        );
    }

    #[test]
    fn ordinary_text_is_no_credential() {
        for text in [
            "risk-assessment of a long-winded and-hyphenated-title",
            "task-2026-11-23-0001-something-long",
            "https://example.com/a:b@c",
            "postgres://shop@db/shop",
            "postgres://shop:***@db/shop",
            "eyJ is how they begin",
            "SKIP LOCKED",
        ] {
            assert_eq!(recognize(text), None, "{text}");
        }
    }

    #[test]
    fn a_hash_is_no_password() {
        let digest = "0123456789abcdef".repeat(4);
        for hash in ["$2b$12$abcdefghijklmnopqrstuv", "pbkdf2_sha256$600000$salt$hash", &digest] {
            assert!(is_hashed(hash), "{hash}");
        }
        assert!(Secret::Password.is_plain("hunter2"));
        assert!(!Secret::Password.is_plain("$argon2id$v=19$m=65536"));
    }

    #[test]
    fn columns_are_judged_by_the_end_of_their_name() {
        assert_eq!(Secret::of_column("user_password"), Some(Secret::Password));
        assert_eq!(Secret::of_column("accessToken"), Some(Secret::Token));
        for name in
            ["password_hash", "password_digest", "password_changed_at", "token_count", "secretary"]
        {
            assert_eq!(Secret::of_column(name), None, "{name}");
        }
    }
}
