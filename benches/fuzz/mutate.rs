//! One page made another: bytes, tags and whole parts changed at random, and known forms put into it.

use crate::hostile::FORMS;
use crate::seeds::Seed;

/// What readers of markup, data and text look for.
const TOKENS: [&str; 48] = [
    "<",
    ">",
    "</",
    "/>",
    "\"",
    "'",
    "=",
    "&",
    ";",
    "<!--",
    "-->",
    "--!>",
    "<![CDATA[",
    "]]>",
    "<!doctype x>",
    "<?x>",
    "<p>",
    "</p>",
    "<b>",
    "<i id=q>",
    "<a href=x>",
    "</a>",
    "<div class=x>",
    "</div>",
    "<table>",
    "<td>",
    "</table>",
    "<select>",
    "<template>",
    "</template>",
    "<svg>",
    "<math>",
    "<script>",
    "</script>",
    "<style>",
    "<pre>",
    "<h1>",
    "<ul><li>",
    "<br>",
    "</br>",
    "<frameset>",
    "<noscript>",
    "<textarea>",
    "<plaintext>",
    "\u{0}",
    "\u{feff}",
    "\u{f0001}",
    "```",
];

/// What a header may say about the characters of a page.
const CHARSETS: [&str; 9] = [
    "utf-8",
    "utf-16le",
    "utf-16be",
    "iso-2022-jp",
    "gb18030",
    "shift_jis",
    "windows-1252",
    "x-user-defined",
    "\"?",
];

/// Bytes that arrive, and what is said beside them.
pub(crate) struct Input {
    pub(crate) bytes: Vec<u8>,
    pub(crate) charset: Option<&'static str>,
    pub(crate) asked: Option<&'static str>,
    pub(crate) link: &'static str,
}

/// Makes a page of one of the seeds, of `bytes_max` bytes at most.
pub(crate) fn mutated(seeds: &[Seed], bytes_max: usize, random: &mut fastrand::Rng) -> Input {
    let seed = &seeds[random.usize(..seeds.len())];
    // Most pages are small, so that there are many of them; each tenth or so is of any size.
    let most = if random.u8(..10) == 0 {
        bytes_max
    } else {
        bytes_max / 64
    };
    let mut html = seed.html.clone();
    if random.u8(..4) == 0 {
        html = insert(&html, &part_of_form(most, random), random);
    }
    for _ in 0..random.usize(..12) {
        html = step(&html, seeds, most, random);
    }
    let mut bytes = encoded(&html, random);
    for _ in 0..[0, 0, 1, 8, 64][random.usize(..5)] {
        if let Some(at) = (!bytes.is_empty()).then(|| random.usize(..bytes.len())) {
            bytes[at] = random.u8(..);
        }
    }
    bytes.truncate(bytes_max);
    Input {
        bytes,
        charset: (random.u8(..4) == 0).then(|| CHARSETS[random.usize(..CHARSETS.len())]),
        asked: seed.asked,
        link: seed.link,
    }
}

fn encoded(html: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(..24) {
        0 => html.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => html.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        _ => html.as_bytes().to_vec(),
    }
}

fn step(html: &str, seeds: &[Seed], most: usize, random: &mut fastrand::Rng) -> String {
    let (from, to) = range(html, random);
    let part = &html[from..to];
    let room = most.saturating_sub(html.len());
    match random.u8(..8) {
        0 => [&html[..from], &html[to..]].concat(),
        1 => insert(html, TOKENS[random.usize(..TOKENS.len())], random),
        2 => {
            let token = TOKENS[random.usize(..TOKENS.len())];
            insert(html, &token.repeat(times(token, room, random)), random)
        }
        3 => insert(html, &part.repeat(times(part, room, random)), random),
        4 => insert(html, part, random),
        5 => {
            let other = &seeds[random.usize(..seeds.len())].html;
            let (from, to) = range(other, random);
            insert(html, &other[from..to], random)
        }
        6 => numbers(html, random),
        _ => swapped(html, random),
    }
}

/// How often a part is repeated: mostly a few times, now and then as often as there is room.
fn times(part: &str, room: usize, random: &mut fastrand::Rng) -> usize {
    let most = room / part.len().max(1);
    let few = random.usize(..20);
    if random.u8(..4) == 0 {
        random.usize(..=most)
    } else {
        few.min(most)
    }
}

fn part_of_form(most: usize, random: &mut fastrand::Rng) -> String {
    let form = &FORMS[random.usize(..FORMS.len())];
    let html = (form.make)(random.usize(..=most.max(1)));
    let end = html.floor_char_boundary(random.usize(..=html.len()));
    html[..end].to_owned()
}

fn insert(html: &str, part: &str, random: &mut fastrand::Rng) -> String {
    let at = place(html, random);
    [&html[..at], part, &html[at..]].concat()
}

/// Two tags change places.
fn swapped(html: &str, random: &mut fastrand::Rng) -> String {
    let (first, last) = range(html, random);
    let tag = |at: usize| {
        let from = at + html[at..].find('<')?;
        Some(from..from + html[from..].find('>')? + 1)
    };
    match (tag(first), tag(last)) {
        (Some(one), Some(other)) if one.end <= other.start => [
            &html[..one.start],
            &html[other.clone()],
            &html[one.end..other.start],
            &html[one.clone()],
            &html[other.end..],
        ]
        .concat(),
        _ => html.to_owned(),
    }
}

/// One number becomes one that no reader counts on.
fn numbers(html: &str, random: &mut fastrand::Rng) -> String {
    let strange = [
        "-1",
        "0",
        "1e999",
        "18446744073709551616",
        "null",
        "[]",
        "99999999",
    ];
    let at = place(html, random);
    let Some(from) = html[at..]
        .find(|c: char| c.is_ascii_digit())
        .map(|found| at + found)
    else {
        return html.to_owned();
    };
    let end = html[from..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(html.len(), |found| from + found);
    [
        &html[..from],
        strange[random.usize(..strange.len())],
        &html[end..],
    ]
    .concat()
}

fn range(html: &str, random: &mut fastrand::Rng) -> (usize, usize) {
    let (one, other) = (place(html, random), place(html, random));
    (one.min(other), one.max(other))
}

/// A place between two characters.
fn place(html: &str, random: &mut fastrand::Rng) -> usize {
    html.floor_char_boundary(random.usize(..=html.len()))
}
