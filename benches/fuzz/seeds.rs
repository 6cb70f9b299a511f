//! What mutation begins with: pages as sites have them, and the hostile forms that are known.

use serde_json::json;

/// A page with what its reader is told beside it.
#[derive(Clone)]
pub(crate) struct Seed {
    pub(crate) html: String,
    /// The platform that a person names.
    pub(crate) asked: Option<&'static str>,
    pub(crate) link: &'static str,
}

const ARTICLE: &str = "https://example.org/book/one.html";
const TEXT: &str = "This paragraph says enough, with commas, clauses and a full stop, to be taken for the main \
    text of its page — «façade» 漢字 🦀 — and not for the frame around it.";

/// Pages that are read, one of each sort.
pub(crate) fn pages() -> Vec<Seed> {
    let seed = |html, asked, link| Seed { html, asked, link };
    vec![
        seed(article(), None, ARTICLE),
        seed(plain(), None, ARTICLE),
        seed(table(), None, "https://example.org/table?utm_source=x#y"),
        seed(medium(), None, "https://medium.com/@ada/post-0123456789ab"),
        seed(substack(), None, "https://ada.substack.com/p/one"),
        seed(
            linkedin(),
            None,
            "https://www.linkedin.com/posts/ada-activity-7123456789012345678-AbCd",
        ),
        seed(
            article(),
            Some("linkedin"),
            "https://example.org/pulse/looms",
        ),
    ]
}

fn article() -> String {
    let data = json!({"@context": "https://schema.org", "@graph": [
        {"@type": ["NewsArticle"], "headline": "Owning", "author": [{"name": "Ada"}, "Grace"],
         "datePublished": "2024-02-03", "isAccessibleForFree": "False", "mainEntity": {"@type": "WebPage"}},
    ]});
    format!(
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Owning - The Guide</title>\
         <link rel=canonical href='/book/1#x'><meta name=description content=' Who owns  what '>\
         <meta property='og:title' content='Owning'><meta name=robots content=index>\
         <script type='application/ld+json'>{data}</script><style>p > a {{}}</style></head><body>\
         <nav><ul><li><a href=/>Home</a></ul></nav><main class='post body'><article><h1>Owning</h1>\
         <p class=byline>By Ada <time datetime=2024-02-03>then</time><p>{TEXT}</p><h2>Rules</h2>\
         <ol><li>One <b>owner</b><ul><li>a<li>b</ul><li>Two</ol><pre><code class='language-rust'>fn main() {{\n\
         \x20   a < b && c;\n}}</code></pre><blockquote><p>{TEXT}</p></blockquote><p>{TEXT}<br>{TEXT}</p>\
         <figure><img src=x alt=y><figcaption>Seen</figcaption></figure><p>{TEXT} <a href=x>link</a>\
         <div class=c-paywall>Subscribe</div></article></main><aside><form><input><select><option>1<option>2\
         </select><button>x</button></form></aside><footer>Imprint &copy; &notit; &#x110000;</footer>\
         <svg><path d='M0'/><foreignObject><p>x</foreignObject></svg><math><mi>x</math><template><p>y</template>\
         <noscript><img></noscript><script>if (a < b) {{ x = '<p>' }}</script></body></html>"
    )
}

fn plain() -> String {
    format!("{TEXT}\n\n{TEXT}\n<br>\n{TEXT}<p>{TEXT}").repeat(3)
}

fn table() -> String {
    let row =
        format!("<tr><th scope=row>Sign<td>!<td colspan=2>{TEXT}<td><table><tr><td>in</table>");
    format!(
        "<title>Table</title><table><caption>x</caption><colgroup><col></colgroup><thead><tr><th>a<th>b</thead>\
         <tbody>{}</tbody></table><dl><dt>a<dd>{TEXT}<dt>b<dd>c</dl><p>{TEXT}",
        row.repeat(5)
    )
}

fn medium() -> String {
    let state = json!({
        "User:u1": {"name": "Ada Lovelace"},
        "Post:0123456789ab": {
            "id": "0123456789ab", "title": "Post", "creator": {"__ref": "User:u1"},
            "firstPublishedAt": 1_706_933_106_000_u64, "clapCount": 3,
            "content({})": {"isLockedPreviewOnly": true, "bodyModel": {"paragraphs": [
                {"__ref": "Paragraph:a"}, {"__ref": "Paragraph:b"}, {"__ref": "Paragraph:c"},
            ]}},
        },
        "Paragraph:a": {"type": "H3", "text": "Post"},
        "Paragraph:b": {"type": "P", "text": TEXT.repeat(2), "markups": [{"type": "CODE", "start": 8, "end": 13}]},
        "Paragraph:c": {"type": "PRE", "text": "fn weave() {\n  loom();\n}", "codeBlockMetadata": {"lang": "rust"}},
    });
    let state = state.to_string().replace('<', "\\u003c");
    format!(
        "<html lang=en><head><title>Post | Medium</title><meta property=\"al:ios:url\" \
         content=\"medium://p/0123456789ab\"></head><body><article><h1>Post</h1><p>{TEXT}</p></article>\
         <script>window.__APOLLO_STATE__ = {state}</script><script>window.main();</script></body></html>"
    )
}

fn substack() -> String {
    let state = json!({"post": {
        "slug": "one", "title": "Letter", "subtitle": "On \"looms\"", "audience": "only_paid",
        "post_date": "2024-02-03T04:05:06.000Z", "reaction_count": 3,
        "body_html": format!("<h2>Patterns</h2><p>{TEXT}</p><ul><li>{TEXT}</ul><p class=button-wrapper>x</p>"),
        "publishedBylines": [{"name": "Ada Lovelace"}],
    }});
    let inside = json!(state.to_string())
        .to_string()
        .replace("</", "<\\u002F");
    format!(
        "<html lang=en><head><title>Letter</title></head><body><div id=entry></div>\
         <script>window._preloads        = JSON.parse({inside})</script></body></html>"
    )
}

fn linkedin() -> String {
    let data = json!({"@type": "SocialMediaPosting", "articleBody": TEXT, "author": {"name": "Ada"},
        "datePublished": "2024-02-03T04:05:06Z", "commentCount": 2, "interactionStatistic": [
        {"interactionType": "http://schema.org/LikeAction", "userInteractionCount": 7}]});
    format!(
        "<html><head><script type='application/ld+json'>{data}</script></head><body><article>\
         <p class='attributed-text-segment-list__content' data-test-id='main-feed-activity-card__commentary'>\
         {TEXT}<br>{TEXT}</p></article></body></html>"
    )
}
