use super::{fine, png, write};
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
        fine::image(self)
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

pub(super) fn draw<B: DrawingBackend>(chart: &(impl Chart + ?Sized), backend: B) -> Result<(), Failure>
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
