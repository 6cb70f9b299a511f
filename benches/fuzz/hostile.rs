//! Pages that were made to cost: each a form, at any size.

/// A form that a page may have, made of about so many bytes.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) make: fn(usize) -> String,
}

/// Every form that is known.
pub(crate) const FORMS: [Form; 32] = [
    form("open tags", |n| cut("<div>", n)),
    form("open formatting, paragraphs", |n| {
        format!(
            "<p>{}</p>{}",
            numbered("<b id=", ">", 30),
            cut("<p>x</p>", n)
        )
    }),
    form("formatting left open in every paragraph", |n| {
        counted(n, |at| format!("<p><b><i id={at}>word </p>"))
    }),
    form("formatting that crosses", |n| {
        cut("<b><p><i><p><u><p>x</b>y</i>z</u>", n)
    }),
    form("links within links in tables", |n| {
        cut("<a href=x><table><a href=y>", n)
    }),
    form("fonts and ends that fit nothing", |n| {
        cut("<span>", 3_000) + &cut("</x>", n)
    }),
    form("deep, then wide", |n| {
        cut("<div>", 5 * 480) + &cut("<i>x</i> ", n)
    }),
    form("deep lists", |n| {
        cut("<ul><li>", 8 * 200) + &cut("<li>x", n)
    }),
    form("deep quotes of paragraphs", |n| {
        cut("<blockquote>", 12 * 400) + &cut("<p>some words, and a stop.</p>", n)
    }),
    form("deep tables", |n| {
        cut("<table><tr><td>", 15 * 120) + &cut("<p>some words.</p>", n)
    }),
    form("cells", |n| format!("<table>{}", cut("<tr><td>a<td>b", n))),
    form("one wide row", |n| {
        format!("<table><tr>{}", cut("<td>a", n))
    }),
    form("a row, and cells of a long text", |n| {
        format!(
            "<table><tr><td>{}<tr>{}",
            cut("long ", n / 2),
            cut("<td>a<tr>", n / 2)
        )
    }),
    form("line breaks", |n| cut("x<br>", n)),
    form("headings within headings", |n| {
        cut("<h1><div>", 9 * 200) + &cut("words ", n)
    }),
    form("attributes", |n| {
        format!("<p {}>x", counted(n, |at| format!("a{at}=b ")))
    }),
    form("comments", |n| cut("a<!---->", n)),
    form("null characters", |n| cut("\0", n)),
    form("character references", |n| {
        cut("&amp;&#x41;&notanything;&lt", n)
    }),
    form("signs of markup", |n| format!("<p>{}", cut("< >", n))),
    form("ampersands", |n| format!("<p>{}", cut("&", n))),
    form("an endless comment", |n| {
        format!("<p>x<!-- {}", cut("- ", n))
    }),
    form("an endless tag", |n| format!("<p>x<a b={}", cut("<a", n))),
    form("an endless script", |n| {
        format!("<p>x<script>{}", cut("<!--<script>", n))
    }),
    form("long words", |n| format!("<p>{}", cut("a", n))),
    form("paragraphs", |n| {
        cut(
            "<p>A paragraph that says enough, with commas, clauses, and a full stop.</p>",
            n,
        )
    }),
    form("inline code and emphasis", |n| {
        format!("<p>{}", cut("<code>`*_</code><em>a</em>", n))
    }),
    form("characters of Markdown", |n| {
        format!("<p>{}", cut("*_`[](#|\\!~>- ", n))
    }),
    form("nested data", |n| {
        let deep = "{\"mainEntity\":".repeat(120);
        let inner = format!("{{\"@type\":\"Article\",\"x\":\"{}\"}}", cut("x", n));
        format!(
            "<script type=application/ld+json>{deep}{inner}{}</script><p>x",
            "}".repeat(120)
        )
    }),
    form("one paragraph that is named often", |n| {
        let named = cut("{\"__ref\":\"Paragraph:a\"},", n / 2);
        let text = cut("word ", n / 2);
        format!(
            "<meta content=\"medium://p/0123456789ab\"><script>window.__APOLLO_STATE__ = {{\
             \"Paragraph:a\":{{\"text\":\"{text}\"}},\"Post:0123456789ab\":{{\"content(a)\":{{\"bodyModel\":\
             {{\"paragraphs\":[{named}null]}}}}}}}}</script>"
        )
    }),
    form("marks of one paragraph", |n| {
        let marks = cut("{\"type\":\"CODE\",\"start\":99999,\"end\":100001},", n / 2);
        let text = cut("word ", n / 2);
        format!(
            "<meta content=\"medium://p/0123456789ab\"><script>window.__APOLLO_STATE__ = {{\
             \"Post:0123456789ab\":{{\"content(a)\":{{\"bodyModel\":{{\"paragraphs\":[\
             {{\"text\":\"{text}\",\"markups\":[{marks}null]}}]}}}}}}}}</script>"
        )
    }),
    form("a post of markup that grows", |n| {
        let body = numbered("<b id=", ">", 200) + &cut("<p>x</p>", n);
        let inside = serde_json::json!({"post": {"slug": "a", "body_html": body}}).to_string();
        let inside = serde_json::json!(inside)
            .to_string()
            .replace("</", "<\\u002F");
        format!("<script>window._preloads = JSON.parse({inside})</script>")
    }),
];

const fn form(name: &'static str, make: fn(usize) -> String) -> Form {
    Form { name, make }
}

/// A part as often as it fits.
fn cut(part: &str, bytes: usize) -> String {
    part.repeat(bytes / part.len())
}

fn numbered(before: &str, after: &str, count: usize) -> String {
    (0..count)
        .map(|at| format!("{before}{at}{after}"))
        .collect::<Vec<_>>()
        .concat()
}

fn counted(bytes: usize, part: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for at in 0.. {
        let part = part(at);
        if out.len() + part.len() > bytes {
            break;
        }
        out.push_str(&part);
    }
    out
}
