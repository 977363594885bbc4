//! The handover as Markdown and as one HTML file.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};

use super::render::handover;
use crate::model::run::Run;
use crate::report::error::RenderError;

/// # Errors
/// When the template has a fault.
pub fn markdown(run: &Run) -> Result<String, RenderError> {
    render(run, "handover.md", include_str!("templates/handover.md.j2"))
}

/// # Errors
/// When the template has a fault.
pub fn html(run: &Run) -> Result<String, RenderError> {
    render(run, "handover.html", include_str!("templates/handover.html.j2"))
}

fn render(run: &Run, name: &str, template: &str) -> Result<String, RenderError> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // Statements come from outside: HTML escapes everything but our own SVG, Markdown its own way.
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
    });
    environment.add_filter("cell", cell);
    environment.add_filter("code", code);
    environment.add_filter("prose", prose);
    environment.add_filter("fenced", fenced);
    environment
        .add_filter("emphasis", |text: String| Value::from_safe_string(html_emphasis(&text)));
    environment.add_template(name, template)?;
    let mut text = environment
        .get_template(name)?
        .render(context! { d => Value::from(Serde(handover(run))) })?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Text that stays inside one cell of a Markdown table, and is no markup of its own.
fn cell(text: String) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('\n', " ").replace('<', "&lt;")
}

/// A code span in a cell, in as many backticks as keep those in it together.
fn code(text: String) -> String {
    let mut text = text.replace('|', "\\|").replace('\n', " ");
    // Some readers take even what is code for HTML.
    for begin in ["</", "<s", "<S", "<!", "<i", "<I"] {
        text = text.replace(begin, &format!("&lt;{}", &begin[1..]));
    }
    match text.contains('`') {
        true => format!("`` {} ``", text.replace("``", "` `")),
        false => format!("`{text}`"),
    }
}

/// A sentence of ours: what is no code in it is no HTML, and it stays one line.
fn prose(text: String) -> String {
    let text = text.replace('\n', " ");
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Text in a block of code, which it cannot end.
fn fenced(text: String) -> String {
    text.replace("```", "` ` `")
}

/// `**strong**`, `*emphasis*` and `` `code` `` of our own sentences, as HTML. What is code is nothing else: statements
/// hold asterisks.
fn html_emphasis(text: &str) -> String {
    let escaped = crate::report::escape::escape(text);
    let mut parts = escaped.split('`').peekable();
    let mut out = String::new();
    while let Some(plain) = parts.next() {
        out.push_str(&marked(plain));
        // A code span ends with another mark.
        if let Some(code) = parts.next() {
            match parts.peek() {
                Some(_) => out.push_str(&format!("<code>{code}</code>")),
                None => out.push_str(&format!("`{}", marked(code))),
            }
        }
    }
    out
}

fn marked(text: &str) -> String {
    let mut out = text.to_owned();
    for (mark, open, close) in [("**", "<strong>", "</strong>"), ("*", "<em>", "</em>")] {
        while let Some(start) = out.find(mark) {
            let Some(length) = out[start + mark.len()..].find(mark) else { break };
            let end = start + mark.len() + length;
            let inner = out[start + mark.len()..end].to_owned();
            out.replace_range(start..end + mark.len(), &format!("{open}{inner}{close}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{code, fenced, html_emphasis, prose};

    #[test]
    fn what_is_somebody_elses_stays_text() {
        assert_eq!(code("a | `b`".to_owned()), "`` a \\| `b` ``");
        assert_eq!(prose("x <b> `a < b`\n::y".to_owned()), "x &lt;b> `a < b` ::y");
        assert_eq!(fenced("a\n```\nb".to_owned()), "a\n` ` `\nb");
    }

    #[test]
    fn asterisks_of_a_statement_are_no_emphasis() {
        assert_eq!(
            html_emphasis("*Saved* by `SELECT count(*), sum(a * b)` and **more**, a ` alone"),
            "<em>Saved</em> by <code>SELECT count(*), sum(a * b)</code> and <strong>more</strong>, a ` alone"
        );
    }
}
