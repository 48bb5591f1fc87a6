use super::fine::{self, Fine};
use super::{png, write};
use crate::Failure;
use image::RgbImage;
use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::Once;

pub(super) type Area<B> = DrawingArea<B, Shift>;
pub(super) type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// The most pixels of a picture that is drawn in finer ones.
const MOST_FINE: u64 = 1 << 22;

/// Something that is drawn with lines and text, as SVG or as PNG.
pub trait Chart {
    /// Width and height, in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it on white.
    ///
    /// # Errors
    /// As the backend's.
    fn draw<B: DrawingBackend>(&self, area: &Area<B>) -> Drawn<B>
    where
        B::ErrorType: 'static;

    /// As the text of an SVG file.
    ///
    /// # Errors
    /// It cannot be drawn.
    fn svg(&self) -> Result<String, Failure> {
        let mut svg = String::new();
        draw(self, SVGBackend::with_string(&mut svg, self.size()))?;
        Ok(svg)
    }

    /// As pixels.
    ///
    /// # Errors
    /// It cannot be drawn.
    fn image(&self) -> Result<RgbImage, Failure> {
        let (width, height) = self.size();
        let times = if u64::from(width) * u64::from(height) > MOST_FINE { 1 } else { fine::TIMES };
        let size = (times * width, times * height);
        let mut image = RgbImage::new(size.0, size.1);
        let backend = BitMapBackend::with_buffer(&mut image, size);
        if times == 1 {
            draw(self, backend)?;
            return Ok(image);
        }
        draw(self, Fine(backend))?;
        Ok(fine::means(&image))
    }

    /// Writes a file, PNG or, as by any other name, SVG: as a whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), Failure> {
        let path = path.as_ref();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
            write(path, &png(&self.image()?)?)
        } else {
            write(path, self.svg()?.as_bytes())
        }
    }
}

fn draw<B: DrawingBackend>(chart: &(impl Chart + ?Sized), backend: B) -> Result<(), Failure>
where
    B::ErrorType: 'static,
{
    // One of its own, so that pictures are the same everywhere: small computers may have none.
    static FONT: Once = Once::new();
    FONT.call_once(|| {
        let known = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
        debug_assert!(known.is_ok());
    });
    let area = backend.into_drawing_area();
    area.fill(&WHITE)?;
    chart.draw(&area)?;
    Ok(area.present()?)
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
        let fine = chart.image().unwrap();
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
