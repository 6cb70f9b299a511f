//! Cuts a question to what the model reads. Pure.

/// A question that fits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// The first words.
    pub(super) text: &'a str,
    /// That something was left out, for the asker.
    pub(super) note: Option<String>,
}

/// The longest run of first words within the limit; of a first word that alone is over it, the
/// longest run of characters.
pub(super) fn cut(text: &str, token_limit: usize, count: impl Fn(&str) -> usize) -> Cut<'_> {
    let text = text.trim();
    // A word has at least one token, so that nothing behind this many words can fit, and a book
    // pasted as a question costs no more than a page.
    let ends: Vec<usize> = word_ends(text).take(token_limit + 1).collect();
    let head = |end: usize| text.get(..end).unwrap_or_default();
    let fits = |end: &usize| count(head(*end)) <= token_limit;
    if ends.last() == Some(&text.len()) && fits(&text.len()) {
        return Cut { text, note: None };
    }
    let words = ends.partition_point(fits);
    let end = match words.checked_sub(1).and_then(|last| ends.get(last)) {
        Some(end) => *end,
        None => first_characters(text, ends.first().copied().unwrap_or(0), fits),
    };
    Cut {
        text: head(end),
        note: Some(format!(
            "the question was cut to its first {words} words, since the model reads {token_limit} tokens"
        )),
    }
}

/// Where each word ends, in bytes.
fn word_ends(text: &str) -> impl Iterator<Item = usize> {
    let start = text.as_ptr() as usize;
    text.split_whitespace()
        .map(move |word| word.as_ptr() as usize - start + word.len())
}

fn first_characters(text: &str, word_end: usize, fits: impl Fn(&usize) -> bool) -> usize {
    let ends: Vec<usize> = text
        .char_indices()
        .map(|(at, character)| at + character.len_utf8())
        .take_while(|end| *end <= word_end)
        .collect();
    ends.partition_point(fits)
        .checked_sub(1)
        .and_then(|last| ends.get(last).copied())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token a word and one more for every four characters, and two special ones.
    fn count(text: &str) -> usize {
        2 + text
            .split_whitespace()
            .map(|word| 1 + word.chars().count() / 4)
            .sum::<usize>()
    }

    #[test]
    fn a_question_that_fits_stays_whole() {
        let cut = cut("  how do threads share state? ", 12, count);
        assert_eq!(cut.text, "how do threads share state?");
        assert_eq!(cut.note, None);
    }

    #[test]
    fn a_long_question_keeps_as_many_first_words_as_the_model_reads() {
        let cut = cut("how do threads share state?", 6, count);
        assert_eq!(cut.text, "how do threads");
        assert!(count(cut.text) <= 6 && count("how do threads share") > 6);
        assert!(cut.note.unwrap().contains("first 3 words"));
    }

    #[test]
    fn a_first_word_over_the_limit_is_cut_between_characters() {
        let word = "ü".repeat(100);
        let cut = cut(&word, 6, count);
        assert_eq!(cut.text.chars().count(), 15);
        assert!(cut.note.is_some());
    }

    #[test]
    fn whatever_is_asked_the_cut_fits_and_one_word_more_does_not() {
        let text: Vec<String> = (0..300).map(|n| "x".repeat(n % 17 + 1)).collect();
        let text = text.join("  ");
        for limit in 4..400 {
            let cut = cut(&text, limit, count);
            assert!(count(cut.text) <= limit);
            let rest = text.strip_prefix(cut.text).unwrap();
            if let Some(next) = rest
                .split_whitespace()
                .next()
                .filter(|_| cut.text.contains(' '))
            {
                assert!(count(&format!("{} {next}", cut.text)) > limit);
            }
        }
    }
}
