//! What convolutions and pools say of their windows.

use crate::import::onnx::arrangement::{Arrangement, Factor, Factors, size};
use crate::import::onnx::graph::Node;
use crate::import::onnx::importer::{Importer, Map};
use crate::import::refused::Refused;
use bantam::Padding;

/// Sizes of windows over `[H, W]`; a series is a map of height 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// `[[top, bottom], [left, right]]`
    pub pads: [[usize; 2]; 2],
    /// Whether they were told as TensorFlow's "same".
    same: bool,
    pub ceil: bool,
}

/// A map as a layer over windows reads it.
pub struct Plane {
    /// Factors of height, width and channels.
    pub parts: [Vec<Factor>; 3],
    /// Whether it has a height in the file.
    two: bool,
}

impl Plane {
    /// # Errors
    /// It is no batch of maps or series of channels.
    pub fn of(importer: &Importer<'_>, map: &Map) -> Result<Plane, Refused> {
        match importer.sample_axes(map)? {
            [c, w] => Ok(Plane { parts: [vec![], w.clone(), c.clone()], two: false }),
            [c, h, w] => Ok(Plane { parts: [h.clone(), w.clone(), c.clone()], two: true }),
            _ => {
                let expected = "a batch of series [N, C, L] or maps [N, C, H, W]";
                Err(Refused::expected_got("input", expected, importer.shape(map)))
            }
        }
    }

    /// Height and width.
    pub fn sizes(&self) -> [usize; 2] {
        [size(&self.parts[0]), size(&self.parts[1])]
    }

    pub fn channels(&self) -> usize {
        size(&self.parts[2])
    }

    /// How many dimensions windows have in the file.
    pub fn rank(&self) -> usize {
        if self.two { 2 } else { 1 }
    }

    pub fn groups(&self) -> [&[Factor]; 3] {
        [0, 1, 2].map(|part| &self.parts[part][..])
    }

    /// The output of that size: with these channels, as many as there were if `None`.
    pub fn output(&self, [h, w]: [usize; 2], channels: Option<usize>, factors: &mut Factors) -> Arrangement {
        let (h, w) = (factors.axis(h), factors.axis(w));
        let c = channels.map_or_else(|| self.parts[2].clone(), |channels| factors.axis(channels));
        let order = [&h[..], &w, &c].concat();
        let batch = vec![Factor::BATCH];
        let axes = if self.two { vec![batch, c, h, w] } else { vec![batch, c, w] };
        Arrangement { axes, order }
    }

    /// Two numbers of an attribute, in front of which there is one for the height if there is none in the file.
    ///
    /// # Errors
    /// There are more or fewer, or they are below `least`.
    pub fn pair(&self, what: &str, numbers: &[i64], least: i64) -> Result<[usize; 2], Refused> {
        let refused = || {
            Refused::expected_got(
                what,
                format!("{} of at least {least}", self.rank()),
                format!("{numbers:?}"),
            )
        };
        let checked = |&number: &i64| {
            let small = number >= least && number <= i64::from(i32::MAX);
            if small { Ok(number as usize) } else { Err(refused()) }
        };
        match (self.two, numbers) {
            (true, [h, w]) => Ok([checked(h)?, checked(w)?]),
            (false, [w]) => Ok([least as usize, checked(w)?]),
            _ => Err(refused()),
        }
    }
}

impl Windows {
    /// As a node says them, over a map and with that kernel.
    pub fn of(node: &Node<'_>, plane: &Plane, kernel: [usize; 2]) -> Result<Windows, Refused> {
        let ones = |name: &str| node.ints(name).map_or(Ok([1, 1]), |numbers| plane.pair(name, numbers, 1));
        let (stride, dilation) = (ones("strides")?, ones("dilations")?);
        let mut windows = Windows {
            kernel,
            stride,
            dilation,
            pads: [[0; 2]; 2],
            same: false,
            ceil: node.flag("ceil_mode"),
        };
        match node.text("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" => {
                if let Some(pads) = node.ints("pads") {
                    let (begin, end) = pads.split_at(plane.rank().min(pads.len()));
                    let (begin, end) = (plane.pair("pads", begin, 0)?, plane.pair("pads", end, 0)?);
                    windows.pads = [[begin[0], end[0]], [begin[1], end[1]]];
                }
            }
            "VALID" => {}
            auto @ ("SAME_UPPER" | "SAME_LOWER") => {
                windows.same = auto == "SAME_UPPER";
                for (axis, input) in plane.sizes().into_iter().enumerate() {
                    let steps = input.div_ceil(stride[axis]) - 1;
                    let reach = (steps * stride[axis]).saturating_add(windows.extent(axis));
                    let total = reach.saturating_sub(input);
                    let (less, more) = (total / 2, total - total / 2);
                    windows.pads[axis] = if windows.same { [less, more] } else { [more, less] };
                }
            }
            other => {
                let expected = "NOTSET, VALID, SAME_UPPER or SAME_LOWER";
                return Err(Refused::expected_got("auto_pad", expected, other));
            }
        }
        Ok(windows)
    }

    /// From a window's first cell to its last.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// With more zeros around.
    pub fn padded(self, by: [[usize; 2]; 2]) -> Windows {
        let pads = [0, 1].map(|axis| [0, 1].map(|end| self.pads[axis][end].saturating_add(by[axis][end])));
        Windows { pads, same: false, ..self }
    }

    pub fn padding(&self) -> Padding {
        let [[top, bottom], [left, right]] = self.pads;
        match self.pads {
            [[0, 0], [0, 0]] => Padding::Valid,
            _ if self.same => Padding::Same,
            _ => Padding::Explicit { top, bottom, left, right },
        }
    }

    /// How many windows there are over a map of that size.
    ///
    /// # Errors
    /// There are none.
    pub fn count(&self, sizes: [usize; 2]) -> Result<[usize; 2], Refused> {
        let mut counts = [0; 2];
        for (axis, (count, input)) in counts.iter_mut().zip(sizes).enumerate() {
            let [before, after] = self.pads[axis];
            let left = (input.saturating_add(before).saturating_add(after)).checked_sub(self.extent(axis));
            let left = left.ok_or_else(|| {
                Refused::expected_got(
                    "window",
                    format!("at most {} cells", input + before + after),
                    self.extent(axis),
                )
            })?;
            let stride = self.stride[axis];
            let steps = if self.ceil { left.div_ceil(stride) } else { left / stride };
            // A window that begins behind the input is none.
            *count = if self.ceil && steps * stride >= input + before { steps } else { steps + 1 };
        }
        Ok(counts)
    }
}
