//! Literal values of a statement. They are customer data, so the type does not print them.

use std::fmt;

/// A value from a statement or from its parameters; `NULL` is kept apart from the empty string.
///
/// `Debug` and `Display` print `$n`, so a literal reaches an output only through
/// [`Literal::expose`], which is easy to search for.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Literal(Option<Box<str>>);

impl Literal {
    /// The SQL `NULL`.
    pub const NULL: Literal = Literal(None);

    /// A value in the server's text form, without quotes.
    pub fn text(value: impl Into<Box<str>>) -> Literal {
        Literal(Some(value.into()))
    }

    /// The value itself; `None` is `NULL`. Every caller is a place where data may leave.
    pub fn expose(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$n")
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_does_not_print_its_value() {
        let secret = Literal::text("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "$n $n");
        assert_eq!(secret.expose(), Some("hunter2"));
        assert_eq!(Literal::NULL.expose(), None);
    }
}
