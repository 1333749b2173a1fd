//! Splits a command line into flags the way a shell and getopt would.

/// The words of a line: white space separates, quotes and backslashes bind.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match (char, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().extend(chars.next().filter(|char| *char != '\n'))
            }
            (_, Some(open)) if char == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(char),
            ('"' | '\'', None) => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (_, None) if char.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// Long flags with their values. A word that is no flag, such as `dnsmasq` itself, is left out; so are the dashes of
/// lines copied from a configuration file.
pub(super) fn flags(line: &str, short: &[(char, &str, bool)]) -> Vec<(String, String)> {
    let mut flags = Vec::new();
    let mut words = words(line).into_iter();
    while let Some(word) = words.next() {
        if let Some(long) = word.strip_prefix("--") {
            let (flag, value) = long.split_once('=').unwrap_or((long, ""));
            flags.push((flag.to_owned(), value.to_owned()));
        } else if let Some(letters) = word.strip_prefix('-') {
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                match short.iter().find(|(known, ..)| *known == letter) {
                    Some((_, long, true)) => {
                        let rest = letters.as_str();
                        let value =
                            if rest.is_empty() { words.next().unwrap_or_default() } else { rest.to_owned() };
                        flags.push(((*long).to_owned(), value));
                        break;
                    }
                    Some((_, long, false)) => flags.push(((*long).to_owned(), String::new())),
                    None => flags.push((letter.to_string(), String::new())),
                }
            }
        } else if let Some((flag, value)) = word.split_once('=') {
            flags.push((flag.to_owned(), value.to_owned()));
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_bind_and_short_flags_expand() {
        let short = [('k', "keep", false), ('M', "boot", true)];
        let read = flags(r#"dnsmasq -kMx,y --pxe-service=x86PC,"a b",'c' dhcp-boot=z \-k"#, &short);
        let expected =
            [("keep", ""), ("boot", "x,y"), ("pxe-service", "x86PC,a b,c"), ("dhcp-boot", "z"), ("keep", "")];
        assert_eq!(read, expected.map(|(flag, value)| (flag.to_owned(), value.to_owned())));
    }
}
