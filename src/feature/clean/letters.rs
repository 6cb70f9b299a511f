//! Characters one by one: which are seen, and which are another one in disguise.

use unicode_normalization::UnicodeNormalization;

const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];

/// The text without control and zero-width characters, its lines ended by line feeds.
///
/// Joiners stay between characters beyond ASCII, where Persian, Indic scripts and emoji need them.
pub(super) fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => seen.push('\n'),
            hidden if is_hidden(hidden) => {}
            character => seen.push(character),
        }
    }
    joined(seen)
}

/// The text without the joiners that join nothing.
fn joined(text: String) -> String {
    if !text.contains(JOINERS) {
        return text;
    }
    let joins = |character: char| !character.is_ascii() && !character.is_whitespace();
    let mut kept = String::with_capacity(text.len());
    let mut joiners = String::new();
    for character in text.chars() {
        if JOINERS.contains(&character) {
            joiners.push(character);
            continue;
        }
        if joins(character) && kept.ends_with(joins) {
            kept.push_str(&joiners);
        }
        joiners.clear();
        kept.push(character);
    }
    kept
}

fn is_hidden(character: char) -> bool {
    // Soft hyphen, Mongolian separator, directions, word joiners, byte order mark, tags.
    let zero_width = matches!(character,
        '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    zero_width || (character.is_control() && !matches!(character, '\n' | '\t'))
}

/// The text with styled letters as plain ones, in Unicode NFC.
pub(super) fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    let mut before = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().is_some_and(is_styled);
        let styled = is_styled(character) || (is_gap_filler(character) && (before || after));
        before = styled;
        if styled {
            folded.extend(std::iter::once(character).nfkc());
        } else {
            folded.push(character);
        }
    }
    let folded: String = folded.nfc().collect();
    if !folded.contains(JOINERS) {
        return folded;
    }
    // What joined styled letters joins nothing now; what it kept apart may be one letter.
    joined(folded).nfc().collect()
}

/// Mathematical letters and digits, and the full-width forms of ASCII's.
fn is_styled(character: char) -> bool {
    matches!(character,
        '\u{1d400}'..='\u{1d7ff}' | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}'
        | '\u{ff41}'..='\u{ff5a}')
}

/// Letters that Unicode had before the styled alphabets, which leave their places empty. Alone,
/// such as in a formula, they mean themselves.
fn is_gap_filler(character: char) -> bool {
    matches!(character,
        'ℂ' | 'ℊ'..='ℎ' | 'ℐ'..='ℒ' | 'ℕ' | 'ℙ'..='ℝ' | 'ℤ' | 'ℨ' | 'ℬ' | 'ℭ' | 'ℯ'..='ℱ'
        | 'ℳ' | 'ℴ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styled_letters_become_plain_and_others_stay() {
        assert_eq!(plain("𝐛𝐨𝐥𝐝 𝑤ℎ𝑦 𝟙𝟚 Ｆｕｌｌ"), "bold why 12 Full");
        assert_eq!(plain("x ∈ ℝ, ½ ﬁ ① 你好！"), "x ∈ ℝ, ½ ﬁ ① 你好！");
        assert_eq!(plain("e\u{301}"), "é");
    }

    #[test]
    fn what_is_not_seen_goes_and_what_joins_stays() {
        assert_eq!(
            visible("a\u{200b}b\u{200d}c\u{ad}\u{202e}\u{7}\u{feff}"),
            "abc"
        );
        assert_eq!(
            visible("👩\u{200d}💻 می\u{200c}خواهم"),
            "👩\u{200d}💻 می\u{200c}خواهم"
        );
        assert_eq!(visible("é\u{a0}\u{200d}\u{a0}é"), "é\u{a0}\u{a0}é");
        for (styled, folded) in [
            ("𝐛\u{200d}𝐛", "bb"),
            ("𝐛ℎ\u{200d}é", "bhé"),
            ("\u{212a}\u{200d}é", "Ké"),
            ("𝐞\u{200d}\u{301}", "é"),
        ] {
            assert_eq!(plain(&visible(styled)), folded);
        }
        assert_eq!(visible("a\r\nb\rc\u{2028}d\r\r\ne"), "a\nb\nc\nd\n\ne");
    }
}
