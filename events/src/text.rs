//! Texts with a limit, and the short names that ids of stages, fields and reasons are.

use std::{borrow::Cow, fmt, str::FromStr};

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use crate::Invalid;

/// What of an unfit text is repeated in a message: enough to recognise it, never all of a megabyte.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The same text however it was typed: letters with their accents in one character where there is one (Unicode's NFC), so
/// that what looks alike is alike.
fn composed(text: &str) -> Cow<'_, str> {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect::<String>().into(),
    }
}

/// Whether a character leaves nothing on the page: blanks, what Unicode lets programs ignore, and letters that are blank.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text of 1 to `MAX` characters with something to see in it: trimmed, in Unicode's NFC, no control characters but line
/// breaks and tabs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

/// The title of a deal, the name of a pipeline, a stage, a customer or a team: at most 200 characters.
pub type Title = Text<200>;
/// A short classifying text such as the source of a deal: at most 100 characters.
pub type Label = Text<100>;
/// Why something was done, in a sentence or two: at most 500 characters.
pub type Reason = Text<500>;
/// Free text: at most 4,000 characters.
pub type Note = Text<4000>;

impl<const MAX: usize> Text<MAX> {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = composed(text.trim());
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Invalid::new("the text has control characters; only line breaks and tabs are allowed"));
        }
        if text.chars().all(is_invisible) {
            return Err(Invalid::new("a text is needed here, and it is empty, or nothing in it can be seen"));
        }
        let chars = text.chars().count();
        if chars > MAX {
            return Err(Invalid::new(format!("the text has {chars} characters; at most {MAX} are allowed")));
        }
        Ok(Self(text.into_owned()))
    }
}

string_type!(Title, "Title", "A text of 1 to 200 characters.", None, "200 licences for the Riga office");
string_type!(Label, "Label", "A text of 1 to 100 characters.", None, "Trade fair");
string_type!(Reason, "Reason", "A text of 1 to 500 characters.", None, "The budget came back");
string_type!(Note, "Note", "A text of 1 to 4,000 characters.", None, "They went with the cheaper offer.");

/// A name that serves as an id within its owner: a stage, a custom field, a loss reason. `a-z`, digits and `_`, starting
/// with a letter, at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    const CHARS_MAX: usize = 63;

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A slug is short, and has something to see in it.
impl From<&Slug> for Label {
    fn from(slug: &Slug) -> Self {
        Self(slug.0.clone())
    }
}

impl FromStr for Slug {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let holds_only = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if starts_well && holds_only && text.len() <= Self::CHARS_MAX {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid::new(format!(
            "`{}` is not a slug: expected a-z, 0-9 and _, starting with a letter, at most {} characters, such as \
             offer_made",
            shorten(text),
            Self::CHARS_MAX
        )))
    }
}

string_type!(
    Slug,
    "Slug",
    "A short name that serves as an id: a-z, 0-9 and _.",
    Some("^[a-z][a-z0-9_]{0,62}$"),
    "offer_made"
);

/// An e-mail address: something, an @ and a domain. Whether it receives mail only sending can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        const BYTES_MAX: usize = 254; // RFC 5321, 4.5.3.1.3
        let text = composed(text);
        let plausible = text.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && domain.contains('.')
                && !domain.starts_with('.')
                && !domain.ends_with('.')
                && !text.chars().any(is_invisible)
        });
        if plausible && text.len() <= BYTES_MAX {
            return Ok(Self(text.into_owned()));
        }
        Err(Invalid::new(format!(
            "`{}` is not an e-mail address: expected something like anna@example.com",
            shorten(&text)
        )))
    }
}

string_type!(Email, "Email", "An e-mail address.", None, "anna@example.com");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_which_nothing_can_be_seen_is_empty() {
        for text in [
            "",
            "  ",
            "\u{200b}",
            "\u{feff}",
            "\u{3164}",
            "\u{2800}",
            " \u{200b}\u{2060}\u{a0} ",
            "\u{ad}",
            "\u{e0041}",
        ] {
            let refused = text.parse::<Label>().unwrap_err().to_string();
            assert!(refused.contains("empty"), "{text:?}: {refused}");
        }
        // What is invisible by itself may shape what is not.
        for text in ["\u{2764}\u{fe0f}", "نامه\u{200c}ای", "👩\u{200d}💻"] {
            assert_eq!(text.parse::<Label>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_looks_alike_is_alike_however_it_was_typed() {
        let (composed, decomposed) = ("Rīga Café", "Ri\u{304}ga Cafe\u{301}");
        assert_eq!(decomposed.parse::<Title>().unwrap(), composed.parse::<Title>().unwrap());
        assert_eq!(decomposed.parse::<Title>().unwrap().as_str(), composed);
        assert_eq!("re\u{301}@example.com".parse::<Email>().unwrap(), "r\u{e9}@example.com".parse::<Email>().unwrap());
        // Counted as it is kept.
        assert!("e\u{301}".repeat(100).parse::<Label>().is_ok());
    }
}
