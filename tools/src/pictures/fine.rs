//! Charts in finer pixels than the picture has, of which each pixel is the mean: letters stand where they belong, which in whole
//! pixels they do not, and round dots are round.

use image::{Rgb, RgbImage};
use plotters::prelude::*;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

/// Fine pixels beside each other in one of the picture's.
pub(super) const TIMES: u32 = 4;

/// The picture of a finer one, whose sides are multiples.
pub(super) fn means(fine: &RgbImage) -> RgbImage {
    RgbImage::from_fn(fine.width() / TIMES, fine.height() / TIMES, |x, y| {
        let mut sum = [0; 3];
        for at in 0..TIMES * TIMES {
            let pixel = fine.get_pixel(TIMES * x + at % TIMES, TIMES * y + at / TIMES);
            sum.iter_mut().zip(pixel.0).for_each(|(sum, level)| *sum += u32::from(level));
        }
        Rgb(sum.map(|sum| ((sum + TIMES * TIMES / 2) / (TIMES * TIMES)) as u8))
    })
}

/// What is drawn on it becomes so many times larger.
pub(super) struct Fine<B>(pub B);

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
