//! What people read: standard output, and what is said on standard error beside the logs.
//!
//! A name in the data may hold what a terminal obeys. So everything passes [`plain`] on its way out, and nothing is written by
//! `println!`, which panics where nobody reads any more.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
    io::{self, Write as _},
};

use crate::{open::Failure, settings::redacted};

/// A text in which nothing acts: each control character, and each that makes a text run the other way, is written as `\u001b`,
/// which is what JSON understands, too. Those in `keep` stay.
pub(crate) fn plain<'a>(text: &'a str, keep: &[char]) -> Cow<'a, str> {
    let acts = |char: char| acts(char) && !keep.contains(&char);
    if !text.contains(acts) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if acts(char) {
            let _ = write!(escaped, "\\u{:04x}", u32::from(char));
        } else {
            escaped.push(char);
        }
    }
    escaped.into()
}

/// A text for one cell of a table, or within a line.
pub(crate) fn cell(text: &str) -> String {
    plain(text, &[]).into_owned()
}

/// The beginning of a text, for one cell or within a line: enough to recognise it.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}...", plain(text.get(..end).unwrap_or_default(), &[])),
        None => cell(text),
    }
}

fn acts(char: char) -> bool {
    let turns = matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    char.is_control() || turns
}

/// Prints lines to standard output. Whoever reads it may have read enough (`dealog replay | head`): that is no failure.
pub(crate) fn print(text: impl Display) -> Result<(), Failure> {
    match deliver(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        delivered => delivered.map_err(failed),
    }
}

/// The same for what is shown once and never again: it must arrive.
pub(crate) fn deliver(text: impl Display) -> io::Result<()> {
    let text = text.to_string();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", plain(&text, &['\n']))?;
    out.flush()
}

/// Standard output takes no more.
pub(crate) fn failed(source: io::Error) -> Failure {
    Failure::Io { what: "standard output".into(), source }
}

/// A text as it may stand on standard error.
pub(crate) fn said(text: &str) -> String {
    plain(&redacted(text), &['\n']).into_owned()
}

/// Says something on standard error. Where that cannot be written, nobody misses it.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", said(&text.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_anything_that_acts_stays_as_it_is() {
        let text = "Zoë's „Großhandel“ 東京 👩‍🚀 / 100 %";
        assert!(matches!(plain(text, &[]), Cow::Borrowed(same) if same == text));
    }

    #[test]
    fn whatever_a_terminal_obeys_is_spelled_out() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}\r\n\u{9b}2J\u{7f}", &[]), r"a\u001b]0;x\u0007\u000d\u000a\u009b2J\u007f");
        assert_eq!(plain("a\u{202e}b\u{2066}c\u{2029}", &['\n']), r"a\u202eb\u2066c\u2029");
        assert_eq!(plain("one\ntwo\u{1b}", &['\n']), "one\ntwo\\u001b");
        let json = serde_json::to_string("\u{9b}2J\u{202e}").unwrap();
        assert_eq!(serde_json::from_str::<String>(&plain(&json, &[])).unwrap(), "\u{9b}2J\u{202e}");
    }
}
