//! The report page: one self-contained file that opens offline. The template is filled once; charts are drawn by the page itself.

const TEMPLATE: &str = include_str!("../assets/page.html");
const PARTS: [(&str, &str); 4] = [
    ("{{css}}", include_str!("../assets/page.css")),
    ("{{echarts}}", include_str!("../assets/echarts.min.js")),
    ("{{argument}}", include_str!("../assets/argument.js")),
    ("{{js}}", include_str!("../assets/page.js")),
];

/// The page of a report, given as JSON.
pub fn page(json: &str) -> String {
    // Inside a script element only these two sequences can end it or open a comment.
    let json = json.replace("</", "<\\/").replace("<!--", "<\\u0021--");
    let (head, tail) = TEMPLATE.split_once("{{report}}").unwrap_or((TEMPLATE, ""));
    let filled =
        PARTS.iter().fold((head.to_owned(), tail.to_owned()), |(h, t), (mark, part)| (h.replace(mark, part), t.replace(mark, part)));
    [filled.0.as_str(), &json, &filled.1].concat()
}
