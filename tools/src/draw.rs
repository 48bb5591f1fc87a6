//! Pictures and figures in a terminal.

use std::fmt::{Display, Write};

/// So many of them: `1 picture`, `2 pictures`.
pub fn count(number: impl Display + PartialEq + From<u8>, of: &str) -> String {
    let plural = if number == 1.into() { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// A grey picture of `columns` columns, 0 dark and 1 light, two characters a pixel.
pub fn picture(pixels: &[f32], columns: usize) -> String {
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    let mut out = String::new();
    for row in pixels.chunks(columns) {
        for pixel in row {
            let shade = SHADES[(pixel.clamp(0.0, 1.0) * 4.0).round() as usize];
            out.extend([shade, shade]);
        }
        out.push('\n');
    }
    out
}

/// A bar for each class, as long as it is probable.
pub fn bars(probabilities: &[f32]) -> String {
    let mut out = String::new();
    for (class, p) in probabilities.iter().enumerate() {
        let bar = "█".repeat((p * 40.0).round() as usize);
        let _ = writeln!(out, "{class} {bar:40} {:5.1} %", p * 100.0);
    }
    out
}

/// How much of so many bytes are used.
pub fn share(used: usize, of: usize) -> String {
    const WIDTH: usize = 20;
    let filled = (used * WIDTH).div_ceil(of).min(WIDTH);
    let verdict = if used <= of { "" } else { ", too much" };
    format!(
        "{}{} {:.0} %{verdict}",
        "█".repeat(filled),
        "░".repeat(WIDTH - filled),
        100.0 * used as f64 / of as f64
    )
}

/// How often each class, a row, was read as each, a column: `counts[class * classes + read]`.
pub fn confusion(names: &[impl AsRef<str>], counts: &[usize]) -> String {
    let widest = names.iter().map(|name| name.as_ref().chars().count()).max().unwrap_or(0);
    let (first, width) = (widest.max(11), (widest + 1).max(6));
    let mut out = format!("{:>first$}", "true \\ read");
    for name in names {
        let _ = write!(out, "{:>width$}", name.as_ref());
    }
    out.push('\n');
    for (name, row) in names.iter().zip(counts.chunks(names.len())) {
        let _ = write!(out, "{:>first$}", name.as_ref());
        for &count in row {
            let _ = if count == 0 { write!(out, "{:>width$}", "·") } else { write!(out, "{count:width$}") };
        }
        out.push('\n');
    }
    out
}
