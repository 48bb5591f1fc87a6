//! Where a model's time goes.

use super::Chart;
use super::chart::{Area, Drawn};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::time::Duration;

/// A bar for the whole run, and below it one for each step in its order, as wide as it takes time: like a flame graph, with the
/// longest in red. A bar has its step's name, or that of its first layer, if it fits, and the longest steps are listed below.
#[derive(Clone, Debug)]
pub struct Times<'t> {
    steps: Vec<(&'t str, Duration)>,
    whole: Duration,
}

const WIDTH: i32 = 1200;
const MARGIN: i32 = 12;
const BAR: i32 = 56;
/// Steps that are listed.
const LISTED: usize = 10;
const LINE: i32 = 22;

impl<'t> Times<'t> {
    /// Of steps by name, and the run that they are of.
    pub fn new(steps: impl IntoIterator<Item = (&'t str, Duration)>, whole: Duration) -> Times<'t> {
        Times { steps: steps.into_iter().collect(), whole }
    }

    fn longest(&self) -> Duration {
        self.steps.iter().map(|step| step.1).max().unwrap_or_default()
    }
}

/// As many digits as tell something.
fn told(time: Duration) -> String {
    let micros = 1e6 * time.as_secs_f64();
    if micros < 1e4 { format!("{micros:.1} µs") } else { format!("{:.1} ms", micros / 1e3) }
}

/// Yellow for a short time, red for as long as the longest.
fn flame(share: f64) -> RGBColor {
    let mixed = |from: f64, to: f64| (from + (to - from) * share).round() as u8;
    RGBColor(mixed(255.0, 215.0), mixed(225.0, 60.0), mixed(130.0, 40.0))
}

impl Chart for Times<'_> {
    fn size(&self) -> (u32, u32) {
        let listed = self.steps.len().min(LISTED) as i32;
        (WIDTH as u32, (3 * MARGIN + 2 * BAR + LINE * listed) as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>
    where
        B::ErrorType: 'static,
    {
        let font = FontDesc::from(("sans-serif", 15.0));
        let style = |h| font.clone().color(&BLACK).pos(Pos::new(h, VPos::Center));
        let bar = |row: i32, from: i32, to: i32| {
            let top = MARGIN + row * BAR;
            [(MARGIN + from, top), (MARGIN + to, top + BAR - 2)]
        };
        let middle = |row: i32| MARGIN + row * BAR + BAR / 2;
        let across = WIDTH - 2 * MARGIN;
        area.draw(&Rectangle::new(bar(0, 0, across), RGBColor(225, 230, 235).filled()))?;
        let whole = format!("one run: {}", told(self.whole));
        area.draw_text(&whole, &style(HPos::Center), (WIDTH / 2, middle(0)))?;
        let (whole, longest) = (self.whole.as_secs_f64().max(1e-12), self.longest().as_secs_f64().max(1e-12));
        let at = |seconds: f64| (f64::from(across) * seconds / whole).round() as i32;
        let mut start = 0.0;
        for (name, time) in &self.steps {
            let seconds = time.as_secs_f64();
            let (from, to) = (at(start), at(start + seconds));
            start += seconds;
            if to == from {
                continue;
            }
            area.draw(&Rectangle::new(bar(1, from, to), flame(seconds / longest).filled()))?;
            area.draw(&Rectangle::new(bar(1, from, to), WHITE))?;
            // Letters of this font are hardly wider. The list below has the whole names.
            let first = name.split_once(" + ").map_or(*name, |(first, _)| first);
            let fits = |name: &&&str| 7 * name.chars().count() as i32 <= to - from;
            if let Some(name) = [name, &first].into_iter().find(fits) {
                let place = (MARGIN + i32::midpoint(from, to), middle(1));
                area.draw_text(name, &style(HPos::Center), place)?;
            }
        }
        let mut longest: Vec<_> = self.steps.iter().collect();
        longest.sort_by_key(|step| std::cmp::Reverse(step.1));
        for (index, (name, time)) in longest.into_iter().take(LISTED).enumerate() {
            let y = 2 * MARGIN + 2 * BAR + LINE * index as i32 + LINE / 2;
            let share = 100.0 * time.as_secs_f64() / whole;
            area.draw_text(&format!("{share:.1} %"), &style(HPos::Right), (MARGIN + 60, y))?;
            area.draw_text(&told(*time), &style(HPos::Right), (MARGIN + 150, y))?;
            area.draw_text(name, &style(HPos::Left), (MARGIN + 166, y))?;
        }
        Ok(())
    }
}
