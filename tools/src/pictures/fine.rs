//! Charts in finer pixels than the picture has, of which each pixel is the mean: letters stand where they belong, which in whole
//! pixels they do not, and round dots are round.

use super::Chart;
use super::chart::draw;
use crate::Failure;
use image::{Rgb, RgbImage};
use plotters::prelude::*;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

/// Fine pixels beside each other in one of the picture's.
const TIMES: u32 = 4;

/// The most pixels of a picture that is drawn so.
const MOST: u64 = 1 << 22;

/// Draws a chart.
pub(super) fn image(chart: &(impl Chart + ?Sized)) -> Result<RgbImage, Failure> {
    let (width, height) = chart.size();
    if u64::from(width) * u64::from(height) > MOST {
        let mut image = RgbImage::new(width, height);
        draw(chart, BitMapBackend::with_buffer(&mut image, (width, height)))?;
        return Ok(image);
    }
    let size = (TIMES * width, TIMES * height);
    let mut fine = RgbImage::new(size.0, size.1);
    draw(chart, Fine(BitMapBackend::with_buffer(&mut fine, size)))?;
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let mut sum = [0; 3];
        for at in 0..TIMES * TIMES {
            let pixel = fine.get_pixel(TIMES * x + at % TIMES, TIMES * y + at / TIMES);
            sum.iter_mut().zip(pixel.0).for_each(|(sum, level)| *sum += u32::from(level));
        }
        Rgb(sum.map(|sum| ((sum + TIMES * TIMES / 2) / (TIMES * TIMES)) as u8))
    }))
}

/// What is drawn on it becomes so many times larger.
struct Fine<B>(B);

type Drawn<B> = Result<(), DrawingErrorKind<<B as DrawingBackend>::ErrorType>>;

/// A color, and a stroke of so many fine pixels.
struct Stroke(BackendColor, u32);

impl BackendStyle for Stroke {
    fn color(&self) -> BackendColor {
        self.0
    }

    fn stroke_width(&self) -> u32 {
        self.1
    }
}

fn stroke(style: &impl BackendStyle) -> Stroke {
    Stroke(style.color(), TIMES * style.stroke_width())
}

/// The first fine pixel of a pixel.
fn first((x, y): BackendCoord) -> BackendCoord {
    (TIMES as i32 * x, TIMES as i32 * y)
}

/// The one in its middle.
fn middle(at: BackendCoord) -> BackendCoord {
    let (x, y) = first(at);
    (x + TIMES as i32 / 2, y + TIMES as i32 / 2)
}

/// The last one.
fn last(at: BackendCoord) -> BackendCoord {
    let (x, y) = first(at);
    (x + TIMES as i32 - 1, y + TIMES as i32 - 1)
}

impl<B: DrawingBackend> DrawingBackend for Fine<B> {
    type ErrorType = B::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.0.get_size();
        (width / TIMES, height / TIMES)
    }

    fn ensure_prepared(&mut self) -> Drawn<B> {
        self.0.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<B> {
        self.0.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn<B> {
        self.0.draw_rect(first(at), last(at), &color, true)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn<B> {
        self.0.draw_line(middle(from), middle(to), &stroke(style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<B> {
        if fill {
            return self.0.draw_rect(first(from), last(to), &style.color(), true);
        }
        let corners = [from, (to.0, from.1), to, (from.0, to.1), from];
        corners.windows(2).try_for_each(|side| self.draw_line(side[0], side[1], style))
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<B> {
        self.0.draw_path(path.into_iter().map(middle), &stroke(style))
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn<B> {
        self.0.draw_circle(middle(center), TIMES * radius + TIMES / 2, &stroke(style), fill)
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        corners: I,
        style: &S,
    ) -> Drawn<B> {
        self.0.fill_polygon(corners.into_iter().map(middle), &style.color())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn<B> {
        let size = f64::from(TIMES) * style.size();
        let font = FontDesc::new(style.family(), size, style.style()).transform(style.transform());
        self.0.draw_text(text, &TextStyle { font, color: style.color(), pos: style.anchor() }, first(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::confusion::Confusion;

    #[test]
    fn what_is_drawn_is_where_it_would_be_in_whole_pixels() {
        let names = ["cats", "dogs"];
        let chart = Confusion::new(&names, &[3, 1, 0, 4]);
        let (width, height) = chart.size();
        let mut whole = RgbImage::new(width, height);
        draw(&chart, BitMapBackend::with_buffer(&mut whole, (width, height))).unwrap();
        let fine = image(&chart).unwrap();
        assert_eq!(fine.dimensions(), whole.dimensions());
        // The cell of the cats, beside its number.
        let cell = 50 + 8 * 4 + 5;
        assert_eq!(fine.get_pixel(cell, cell), whole.get_pixel(cell, cell));
        // Letters have as much ink, if not the same.
        let ink =
            |image: &RgbImage| -> f64 { image.pixels().map(|pixel| 255.0 - f64::from(pixel.0[1])).sum() };
        let ratio = ink(&fine) / ink(&whole);
        assert!((0.95..1.05).contains(&ratio), "{ratio}");
    }
}
