//! A truth as a table: one row for each row of a condition, with its weight where weights differ.

use std::io::Write;

use super::Truth;

/// The name of the column of weights in a table that is written; `_` is added while another column has it.
pub const WEIGHT: &str = "weight";

impl Truth {
    /// Writes all rows as CSV with a header, given columns first. Where weights differ, a last column has each row's
    /// p(c, y) up to a constant. Returns the number of rows.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, out: &mut impl Write) -> csv::Result<usize> {
        let mut writer = csv::Writer::from_writer(out);
        let columns: Vec<_> = self.schema().columns().collect();
        let weights = !self.is_uniform();
        let mut weight = WEIGHT.to_owned();
        while columns.iter().any(|column| column.name == weight) {
            weight.push('_');
        }
        let header = columns.iter().map(|column| column.name.as_str()).chain(weights.then_some(weight.as_str()));
        writer.write_record(header)?;
        for group in 0..self.len() {
            for (rank, row) in self.range(group).enumerate() {
                let values = columns.iter().zip(self.groups().rows().row(row));
                values.map(|(column, value)| column.value(*value)).try_for_each(|value| writer.write_field(value))?;
                if weights {
                    writer.write_field(self.weight(group, rank).to_string())?;
                }
                writer.write_record(None::<&[u8]>)?;
            }
        }
        writer.flush()?;
        Ok(self.groups().rows().len())
    }
}

#[cfg(test)]
mod tests {
    use crate::task::Task;

    #[test]
    fn rows_are_written_with_the_names_of_their_values() {
        let text = |name: &str| {
            let mut out = Vec::new();
            let rows = Task::named(name).unwrap().truth.write_csv(&mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.lines().count(), rows + 1);
            text
        };
        assert!(
            text("permutations")
                .starts_with("inversions,descents,first,p1,p2,p3,p4,p5,p6,p7,p8\n0,0,1,1,2,3,4,5,6,7,8\n")
        );
        let weighted = text("weighted_dates");
        let mut lines = weighted.lines();
        assert_eq!(lines.next(), Some("weekday,month,leap,decade,date_decade,date_month,digit,day,weight"));
        let weights: Vec<f64> = lines.take(2).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
        assert!((weights[0] / weights[1] - 2.0).abs() < 1e-12);
    }
}
