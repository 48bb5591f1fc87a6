//! What convolutions and pools say of their windows.

use crate::import::refused::Refused;
use crate::import::tflite::graph::Node;
use bantam::Padding;

/// Sizes of windows over `[H, W]`.
#[derive(Clone, Copy)]
pub struct Windows {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

impl Windows {
    /// As a node says them in these fields: the padding, the strides and the dilations, each of columns first.
    pub fn of(
        node: &Node<'_>,
        kernel: [usize; 2],
        strides: [usize; 2],
        dilations: Option<[usize; 2]>,
    ) -> Result<Windows, Refused> {
        let padding = match node.byte(0)? {
            0 => Padding::Same,
            1 => Padding::Valid,
            other => {
                return Err(Refused::expected_got("padding", "SAME or VALID", format!("number {other}")));
            }
        };
        let pair = |what: &str, [w, h]: [usize; 2], default: i32| {
            Ok::<_, Refused>([node.size(what, h, default)?, node.size(what, w, default)?])
        };
        // A stride that the file leaves out is 0, which none can be; a dilation is 1.
        let stride = pair("stride", strides, 0)?;
        let dilation = dilations.map_or(Ok([1, 1]), |fields| pair("dilation", fields, 1))?;
        Ok(Windows { kernel, stride, dilation, padding })
    }

    /// From a window's first cell to its last.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1)
    }

    /// How many windows there are over a map of that size.
    ///
    /// # Errors
    /// There are none.
    pub fn count(&self, sizes: [usize; 2]) -> Result<[usize; 2], Refused> {
        let mut counts = [0; 2];
        for (axis, (count, input)) in counts.iter_mut().zip(sizes).enumerate() {
            let input = match self.padding {
                Padding::Same => {
                    *count = input.div_ceil(self.stride[axis]);
                    continue;
                }
                Padding::Valid => input,
                Padding::Explicit { top, bottom, left, right } => {
                    let around = if axis == 0 { [top, bottom] } else { [left, right] };
                    input.saturating_add(around[0]).saturating_add(around[1])
                }
            };
            let left = input.checked_sub(self.extent(axis)).ok_or_else(|| {
                Refused::expected_got("window", format!("at most {input} cells"), self.extent(axis))
            })?;
            *count = left / self.stride[axis] + 1;
        }
        Ok(counts)
    }
}
