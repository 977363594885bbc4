//! Every format, from one stored run. `INSTA_UPDATE=always` writes the snapshots again.

use pgassay::model::run::Run;
use pgassay::report::{FORMATS, by_extension, by_name};

fn canonical() -> Run {
    serde_json::from_str(include_str!("data/run.json")).unwrap()
}

#[test]
fn every_format_renders_the_canonical_run() {
    let mut run = canonical();
    // The version changes with each release and is in no format's business.
    run.tool.version = "VERSION".to_owned();
    for format in FORMATS {
        let text = (format.render)(&run).unwrap();
        insta::assert_snapshot!(format.name, text);
    }
}

#[test]
fn an_empty_run_renders_in_every_format() {
    let run = pgassay::report::record::empty("analyze", None);
    for format in FORMATS {
        let text = (format.render)(&run).unwrap();
        assert!(!text.contains("NaN") && !text.contains("null ms"), "{}: {text}", format.name);
    }
}

#[test]
fn statements_cannot_break_out_of_their_format() {
    let mut run = canonical();
    run.queries[0].normalized =
        "SELECT '</script><script>alert(1)</script>' | \"x\" & y".to_owned();
    let html = (by_name("html").unwrap().render)(&run).unwrap();
    assert!(!html.contains("<script>"), "HTML is escaped");
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "HTML needs nothing from outside"
    );
    let markdown = (by_name("markdown").unwrap().render)(&run).unwrap();
    let row = markdown.lines().find(|line| line.contains("alert(1)")).unwrap();
    assert!(row.contains("\\|") && !row.contains("<script>"), "{row}");
    run.checks[0].reason = "\u{1}bad]]>\u{0}".to_owned();
    let xml = (by_name("junit").unwrap().render)(&run).unwrap();
    assert!(!xml.contains('\u{0}') && !xml.contains('\u{1}'));
}

#[test]
fn a_stored_run_comes_back_as_it_was() {
    let run = canonical();
    let text = (by_extension("json").unwrap().render)(&run).unwrap();
    let again: Run = serde_json::from_str(&text).unwrap();
    assert_eq!(text, (by_extension("json").unwrap().render)(&again).unwrap());
}
