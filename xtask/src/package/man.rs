//! The manual page: what `--help` says of the program and of each verb, so that both are always the same.

use std::path::Path;

use crate::run::{Outcome, command, output};

/// Columns of help texts: a page of 80 has a margin.
const COLUMNS: &str = "76";

/// `kpc.1`, from the program itself. `date` is the page's, as YYYY-MM-DD.
pub(super) fn page(program: &Path, version: &str, date: &str) -> Outcome<String> {
    let whole = help(program, &[])?;
    let mut text = format!(
        ".TH KPC 1 \"{date}\" \"kpc {version}\" \"kpc\"\n.SH NAME\nkpc \\- bare metal from powered off to registered nodes\n\
         .SH SYNOPSIS\n.B kpc\n.I VERB\n[\n.I OPTIONS\n]\n.SH DESCRIPTION\n"
    );
    preformatted(&mut text, &whole);
    text.push_str(".SH VERBS\n");
    for verb in verbs(&whole) {
        let said = help(program, &[&verb])?;
        text.push_str(&format!(".SS kpc {verb}\n"));
        preformatted(&mut text, &said);
        for below in verbs(&said) {
            text.push_str(&format!(".SS kpc {verb} {below}\n"));
            preformatted(&mut text, &help(program, &[&verb, &below])?);
        }
    }
    text.push_str(
        ".SH FILES\n.TP\n.I /etc/kpc/kpc.toml\nThe configuration, written by `kpc init`; /usr/share/doc/kpc/config.md has every key.\n\
         .TP\n.I /var/lib/kpc\nStore, certificates, profiles and images.\n\
         .TP\n.I /var/lib/kpc\\-bmc\nThe logins of BMCs.\n\
         .SH EXIT STATUS\n0 good, 1 failed (also: some machines failed), 2 usage, 3 configuration.\n",
    );
    Ok(text)
}

fn help(program: &Path, verbs: &[&str]) -> Outcome<String> {
    let mut asked = command(&program.to_string_lossy(), verbs);
    output(asked.arg("--help").env("COLUMNS", COLUMNS))
}

/// The words of a help text's list of commands.
fn verbs(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let listed = listed.take_while(|line| !line.trim().is_empty());
    listed
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| *word != "help")
        .map(str::to_owned)
        .collect()
}

/// Lines as they are.
fn preformatted(text: &mut String, lines: &str) {
    text.push_str(".nf\n");
    for line in lines.trim().lines() {
        let line = line.trim_end().replace('\\', "\\e").replace('-', "\\-").replace('…', "...");
        if line.starts_with(['.', '\'']) {
            text.push_str("\\&");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str(".fi\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_the_first_words_of_the_list() {
        let help = "Usage: kpc\n\nCommands:\n  init   sets up\n         and more\n  bmc    those\n  help   this\n\nOptions:\n  -x  no\n";
        assert_eq!(verbs(help), ["init", "bmc"]);
        assert!(verbs("Usage: kpc init\n\nOptions:\n  -x  no\n").is_empty());
    }

    #[test]
    fn no_line_is_a_request_of_the_formatter() {
        let mut text = String::new();
        preformatted(&mut text, ".x \\n\n'y\n-z");
        assert_eq!(text, ".nf\n\\&.x \\en\n\\&'y\n\\-z\n.fi\n");
    }
}
