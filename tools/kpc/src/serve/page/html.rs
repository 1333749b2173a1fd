//! Text and times for HTML. Everything that the page writes passes here.

/// Text for HTML, in an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            letter => html.push(letter),
        }
    }
    html
}

/// Milliseconds as minutes and seconds.
pub(super) fn minutes(millis: u64) -> String {
    format!("{:02}:{:02}", millis / 60_000, millis / 1000 % 60)
}

/// Milliseconds as people say them: `0.4 s`, `12 s`, `3 min 20 s`.
pub(super) fn duration(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis / 100 % 10),
        10_000..60_000 => format!("{} s", millis / 1000),
        _ => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_says_stays_text() {
        assert_eq!(escape("<script>\"&'"), "&lt;script&gt;&quot;&amp;&#39;");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let said = [0, 1449, 10_000, 59_999, 200_000].map(duration);
        assert_eq!(said, ["0.0 s", "1.4 s", "10 s", "59 s", "3 min 20 s"]);
    }
}
