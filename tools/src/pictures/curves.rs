//! How a training went.

use super::Chart;
use super::chart::{Area, Drawn};
use bantam::{Epoch, Evaluation};
use plotters::prelude::*;
use std::ops::Range;

/// Loss and accuracy over the epochs: dots for training, a line for validation, as in *Deep Learning with Python*.
///
/// ```
/// use bantam::{Epoch, Evaluation};
/// use bantam_tools::pictures::Chart;
/// use bantam_tools::pictures::curves::Curves;
/// let epoch = |epoch, loss| {
///     let training = Evaluation { loss, accuracy: Some(1.0 - loss) };
///     Epoch { epoch, samples: 100, training, validation: Some(training) }
/// };
/// let epochs = [epoch(1, 0.5), epoch(2, 0.25)];
/// assert!(Curves::new(&epochs).smooth(0.8).svg()?.contains("Accuracy"));
/// # Ok::<(), bantam_tools::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Curves<'h> {
    epochs: &'h [Epoch],
    smooth: f32,
}

/// A figure of an evaluation.
type Figure = fn(Evaluation) -> Option<f32>;

impl<'h> Curves<'h> {
    /// Those of a training's epochs.
    pub fn new(epochs: &'h [Epoch]) -> Curves<'h> {
        Curves { epochs, smooth: 0.0 }
    }

    /// Each point becomes a mean of itself and of what was before, which counts so much: 0 to less than 1.
    pub fn smooth(self, share: f32) -> Curves<'h> {
        Curves { smooth: share, ..self }
    }

    /// The figure over the epochs that have it.
    fn points(&self, of: impl Fn(&Epoch) -> Option<f32>) -> Vec<(f32, f32)> {
        let mut mean = None;
        let figures = self.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f32, of(epoch)?)));
        figures
            .map(|(epoch, figure)| {
                let before = mean.unwrap_or(figure);
                let smooth = before * self.smooth + figure * (1.0 - self.smooth);
                mean = Some(smooth);
                (epoch, smooth)
            })
            .collect()
    }

    fn chart<B: DrawingBackend>(&self, area: &Area<B>, title: &str, figure: Figure) -> Drawn<B>
    where
        B::ErrorType: 'static,
    {
        let training = self.points(|epoch| figure(epoch.training));
        let validation = self.points(|epoch| epoch.validation.and_then(figure));
        let values = training.iter().chain(&validation).map(|point| point.1);
        let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), y| (low.min(y), high.max(y)));
        if low > high {
            return Ok(());
        }
        let margin = (high - low).max(1e-3) * 0.05;
        let last = self.epochs.last().map_or(1.0, |epoch| epoch.epoch as f32);
        let mut chart = ChartBuilder::on(area)
            .caption(title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0.8..last + 0.2, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .label_style(("sans-serif", 15))
            .x_labels(self.epochs.len().min(10))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.3}"))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let place = clear(&training, &validation, last, [low, high]);
        let dot = |at| Circle::new(at, 3, BLUE.filled());
        chart
            .draw_series(training.into_iter().map(dot))?
            .label("training")
            .legend(move |(x, y)| Circle::new((x + 9, y), 3, BLUE.filled()));
        if !validation.is_empty() {
            let line = RED.stroke_width(2);
            chart
                .draw_series(LineSeries::new(validation, line).point_size(1))?
                .label("validation")
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], line));
        }
        chart
            .configure_series_labels()
            .label_font(("sans-serif", 15))
            .position(place)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .draw()
    }
}

/// Where a legend hides the fewest points of a chart over epochs from 1 to `last`.
fn clear(
    training: &[(f32, f32)],
    validation: &[(f32, f32)],
    last: f32,
    [low, high]: [f32; 2],
) -> SeriesLabelPosition {
    use SeriesLabelPosition::{LowerLeft, LowerRight, MiddleRight, UpperLeft, UpperRight};
    let share = |x: f32, from: f32, to: f32| if to > from { (x - from) / (to - from) } else { 0.5 };
    // Shares of the width and height that it covers.
    let hidden = |columns: Range<f32>, rows: Range<f32>| {
        let points = training.iter().chain(validation);
        points
            .filter(|&&(x, y)| columns.contains(&share(x, 1.0, last)) && rows.contains(&share(y, low, high)))
            .count()
    };
    let (left, right) = (-0.1..0.36, 0.64..1.1);
    let (lower, middle, upper) = (-0.1..0.28, 0.36..0.64, 0.72..1.1);
    let places = [
        (MiddleRight, hidden(right.clone(), middle)),
        (UpperRight, hidden(right.clone(), upper.clone())),
        (LowerRight, hidden(right, lower.clone())),
        (UpperLeft, hidden(left.clone(), upper)),
        (LowerLeft, hidden(left, lower)),
    ];
    let fewest = places.into_iter().min_by_key(|&(_, hidden)| hidden);
    fewest.map_or(MiddleRight, |(place, _)| place)
}

impl Chart for Curves<'_> {
    fn size(&self) -> (u32, u32) {
        (900, 360)
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>
    where
        B::ErrorType: 'static,
    {
        let (left, right) = area.split_horizontally(450);
        self.chart(&left, "Loss", |e| Some(e.loss))?;
        self.chart(&right, "Accuracy", |e| e.accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_hides_what_it_must() {
        let falls: Vec<(f32, f32)> = (0..=10u8).map(|i| (f32::from(i) + 1.0, 10.0 - f32::from(i))).collect();
        let rises: Vec<(f32, f32)> = falls.iter().map(|&(x, y)| (x, 10.0 - y)).collect();
        let flat: Vec<(f32, f32)> = falls.iter().map(|&(x, _)| (x, 5.0)).collect();
        let place = |training: &[_], validation: &[_]| clear(training, validation, 11.0, [0.0, 10.0]);
        assert!(matches!(place(&falls, &[]), SeriesLabelPosition::MiddleRight));
        assert!(matches!(place(&flat, &falls), SeriesLabelPosition::UpperRight));
        assert!(matches!(place(&flat, &rises), SeriesLabelPosition::LowerRight));
        // Nowhere to the right.
        let right: Vec<(f32, f32)> = (0..=10u8).map(|i| (11.0, f32::from(i))).collect();
        assert!(matches!(place(&right, &flat), SeriesLabelPosition::UpperLeft));
    }

    #[test]
    fn smooth_points_are_means_with_what_was_before() {
        let epochs: Vec<Epoch> = [1.0, 2.0, 4.0]
            .iter()
            .zip(1..)
            .map(|(&loss, epoch)| {
                let training = Evaluation { loss, accuracy: None };
                Epoch { epoch, samples: 1, training, validation: None }
            })
            .collect();
        let curves = Curves::new(&epochs);
        assert_eq!(curves.points(|e| Some(e.training.loss)), [(1.0, 1.0), (2.0, 2.0), (3.0, 4.0)]);
        assert_eq!(curves.points(|e| e.training.accuracy), []);
        let smooth = curves.smooth(0.5).points(|e| Some(e.training.loss));
        assert_eq!(smooth, [(1.0, 1.0), (2.0, 1.5), (3.0, 2.75)]);
    }
}
