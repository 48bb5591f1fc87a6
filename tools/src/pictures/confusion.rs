//! Which class is taken for which.

use super::Chart;
use super::chart::{Area, Drawn};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A row for each class, a column for what it was read as: darker where there are more of the row's.
#[derive(Clone, Debug)]
pub struct Confusion<'c> {
    names: Vec<&'c str>,
    counts: &'c [usize],
}

impl<'c> Confusion<'c> {
    /// Of `counts[class * classes + read]`.
    ///
    /// # Panics
    /// There are not as many counts as pairs of names.
    pub fn new(names: &'c [impl AsRef<str>], counts: &'c [usize]) -> Confusion<'c> {
        assert_eq!(counts.len(), names.len() * names.len(), "a count for each pair of classes");
        Confusion { names: names.iter().map(AsRef::as_ref).collect(), counts }
    }

    fn widest(&self) -> i32 {
        self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(24) as i32
    }

    /// Pixels of a cell.
    fn cell(&self) -> i32 {
        if self.names.len() <= 20 { 48 } else { 16 }
    }

    /// Pixels beside and above the cells.
    fn margin(&self) -> i32 {
        50 + 8 * self.widest()
    }
}

impl Chart for Confusion<'_> {
    fn size(&self) -> (u32, u32) {
        let side = self.margin() + self.cell() * self.names.len() as i32 + 24;
        (side as u32, side as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>
    where
        B::ErrorType: 'static,
    {
        let (cell, margin, classes) = (self.cell(), self.margin(), self.names.len());
        let font = FontDesc::from(("sans-serif", if classes <= 20 { 15.0 } else { 11.0 }));
        let style = |color: &RGBColor, h, v| font.clone().color(color).pos(Pos::new(h, v));
        let end = margin + cell * classes as i32;
        let heading = font.clone().resize(16.0);
        let middle = i32::midpoint(margin, end);
        let read = heading.clone().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw_text("read as", &read, (middle, 8))?;
        let truth = heading.transform(FontTransform::Rotate270).color(&BLACK);
        area.draw_text("class", &truth.pos(Pos::new(HPos::Center, VPos::Top)), (8, middle))?;
        for (index, name) in self.names.iter().enumerate() {
            let at = margin + cell * index as i32 + cell / 2;
            area.draw_text(name, &style(&BLACK, HPos::Right, VPos::Center), (margin - 8, at))?;
            let upright = font.clone().transform(FontTransform::Rotate270).color(&BLACK);
            area.draw_text(name, &upright.pos(Pos::new(HPos::Left, VPos::Center)), (at, margin - 8))?;
        }
        for (class, row) in self.counts.chunks(classes.max(1)).enumerate() {
            let all = row.iter().sum::<usize>().max(1);
            for (read, &count) in row.iter().enumerate() {
                let (x, y) = (margin + cell * read as i32, margin + cell * class as i32);
                let share = count as f64 / all as f64;
                let color = if class == read { RGBColor(0, 90, 180) } else { RGBColor(200, 40, 40) };
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], color.mix(share).filled()))?;
                area.draw(&Rectangle::new([(x, y), (x + cell, y + cell)], BLACK.mix(0.15)))?;
                if count > 0 && cell > 16 {
                    let ink = if share > 0.5 { &WHITE } else { &BLACK };
                    let style = style(ink, HPos::Center, VPos::Center);
                    area.draw_text(&count.to_string(), &style, (x + cell / 2, y + cell / 2))?;
                }
            }
        }
        Ok(())
    }
}
