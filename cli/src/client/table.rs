//! A table of aligned columns. `bench/src/table.rs` writes tables in Markdown.

use std::fmt;

/// Characters between two columns.
const GAP: usize = 2;
/// Width to which a column is cut at most.
const COLUMN_MIN_WIDTH: usize = 8;

/// A table of `N` columns.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Creates a table with a header.
    pub(crate) fn new(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_owned)] }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Formats the table in lines of at most `columns` characters where possible: cells of the widest columns end in an
    /// ellipsis. The first column, whose names are copied, is never cut.
    pub(crate) fn fitted(mut self, columns: Option<usize>) -> String {
        let Some(columns) = columns else { return self.to_string() };
        let mut widths = self.widths();
        while widths.iter().sum::<usize>() + GAP * N.saturating_sub(1) > columns {
            let cuttable = widths.iter_mut().skip(1).filter(|width| **width > COLUMN_MIN_WIDTH);
            let Some(widest) = cuttable.max_by_key(|width| **width) else { break };
            *widest -= 1;
        }
        for row in &mut self.rows {
            for (cell, width) in row.iter_mut().zip(widths) {
                if cell.chars().count() > width {
                    *cell = cell.chars().take(width - 1).chain(['…']).collect();
                }
            }
        }
        self.to_string()
    }

    fn widths(&self) -> [usize; N] {
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for row in &self.rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_cells_are_cut_to_the_width_of_the_terminal() {
        let mut table = Table::new(["ID", "SCOPES", "NAME"]);
        let scopes = "generate,models:read,models:write,tokens".to_owned();
        table.push(["tok_0123456789".to_owned(), scopes.clone(), "laptop".to_owned()]);
        let text = table.fitted(Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains("tok_0123456789  generate,models…  laptop"), "{text}");
        let mut table = Table::new(["ID", "SCOPES", "NAME"]);
        table.push(["tok_0123456789".to_owned(), scopes.clone(), "laptop".to_owned()]);
        assert!(table.fitted(None).contains(&scopes));
        let mut table = Table::new(["ID", "SCOPES", "NAME"]);
        table.push(["tok_0123456789".to_owned(), scopes, "laptop".to_owned()]);
        assert!(table.fitted(Some(1)).contains("tok_0123456789"), "the first column stays whole");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["ID", "STATE", "SIZE"]);
        table.push(["tiny-chat".to_owned(), "loaded".to_owned(), "1 MiB".to_owned()]);
        table.push(["é".to_owned(), String::new(), String::new()]);
        assert_eq!(
            table.to_string(),
            "ID         STATE   SIZE\n\
             tiny-chat  loaded  1 MiB\n\
             é\n"
        );
    }
}
