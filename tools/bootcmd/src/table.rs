//! Tables and Go's notation of values, as matchbox's client prints them (`text/tabwriter`: tab stops of 8).

use std::collections::HashMap;

const TAB: usize = 8;

/// Rows with the cells of each column aligned by tabs.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| cell(row, column)).max().unwrap_or_default() + 1)
        .map(|width| width.div_ceil(TAB) * TAB)
        .collect();
    let mut out = String::new();
    for row in rows {
        for (column, text) in row.iter().enumerate() {
            out.push_str(text);
            if column + 1 < row.len() {
                let left =
                    widths.get(column).copied().unwrap_or_default().saturating_sub(text.chars().count());
                out.extend(std::iter::repeat_n('\t', left.div_ceil(TAB)));
            }
        }
        out.push('\n');
    }
    out
}

/// `map[string]string{"a":"b"}`
pub(crate) fn go_map(map: &HashMap<String, String>) -> String {
    if map.is_empty() {
        return "map[string]string(nil)".into();
    }
    let mut pairs: Vec<_> = map.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
    pairs.sort();
    format!("map[string]string{{{}}}", pairs.join(", "))
}

/// `[a b]`
pub(crate) fn go_list(items: &[String]) -> String {
    format!("[{}]", items.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_at_tab_stops() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows = [row(&["ID", "NAME"]), row(&["a-long-name", "x"])];
        assert_eq!(table(&rows), "ID\t\tNAME\na-long-name\tx\n");
    }

    #[test]
    fn values_are_written_as_go_does() {
        assert_eq!(go_map(&HashMap::new()), "map[string]string(nil)");
        let map = [("b".to_string(), "2".to_string()), ("a".to_string(), "1".to_string())].into();
        assert_eq!(go_map(&map), r#"map[string]string{"a":"1", "b":"2"}"#);
        assert_eq!(go_list(&["a".into(), "b".into()]), "[a b]");
    }
}
