//! A picture of how training went.

use bantam::{Epoch, Evaluation, History};
use plotters::prelude::*;
use std::error::Error;

/// A figure of an evaluation.
type Figure = fn(Evaluation) -> Option<f32>;

/// An SVG of loss and accuracy over the epochs, in training and validation.
///
/// # Errors
/// It cannot be drawn.
pub fn svg(history: &History) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (900, 360)).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(450);
        chart(&left, "Loss", history, |e| Some(e.loss))?;
        chart(&right, "Accuracy", history, |e| e.accuracy)?;
        root.present()?;
    }
    Ok(svg)
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    history: &History,
    figure: Figure,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let training = |epoch: &Epoch| figure(epoch.training);
    let validation = |epoch: &Epoch| epoch.validation.and_then(figure);
    let points = |of: &dyn Fn(&Epoch) -> Option<f32>| -> Vec<(f32, f32)> {
        history.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f32, of(epoch)?))).collect()
    };
    let lines = [("training", points(&training), BLUE), ("validation", points(&validation), RED)];
    let values = lines.iter().flat_map(|(_, points, _)| points).map(|point| point.1);
    let (low, high) = values.fold((f32::MAX, f32::MIN), |(low, high), y| (low.min(y), high.max(y)));
    if low > high {
        return Ok(());
    }
    let margin = (high - low).max(1e-3) * 0.05;
    let epochs = history.epochs.len() as f32;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.8..epochs + 0.2, low - margin..high + margin)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .label_style(("sans-serif", 15))
        .x_labels(history.epochs.len().min(10))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.3}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, points, colour) in lines {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
