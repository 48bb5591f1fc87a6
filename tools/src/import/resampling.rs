//! Maps enlarged, or every so many pixels of them: which of the many rules of other programs are those of a layer.

use super::net::{Id, Net};
use super::refused::Refused;
use bantam::{MaxPool2d, UpSampling2d};

/// How a coordinate of the output is one of the input, and which pixel that is, in ONNX's words.
pub struct Rule {
    pub transformation: String,
    pub nearest: String,
    pub linear: bool,
}

/// The most rows or columns of an output.
const MOST: usize = 1 << 16;

impl Net {
    /// Maps `[H, W, C]` with `output` rows and columns, of whose coordinates those of the input are so many times less.
    ///
    /// # Errors
    /// No layer has that rule.
    pub fn resampled(
        &mut self,
        name: &str,
        id: Id,
        output: [usize; 2],
        scales: [f64; 2],
        rule: &Rule,
    ) -> Result<Id, Refused> {
        let &[h, w, channels] = self.dims(id) else {
            return Err(Refused::expected_got("input", "maps [H, W, C]", format!("{:?}", self.dims(id))));
        };
        let dims = vec![output[0], output[1], channels];
        let whole = [output[0] / h.max(1), output[1] / w.max(1)];
        if output.iter().any(|&size| size == 0 || size > MOST) {
            return Err(Refused::expected_got("size", format!("1 to {MOST}"), format!("{output:?}")));
        }
        let fits = [(h, whole[0], scales[0]), (w, whole[1], scales[1])].iter().zip(output).all(
            |(&(input, factor, scale), output)| {
                factor * input == output && rule.is_layers(input, factor, scale)
            },
        );
        if fits {
            let layer = UpSampling2d::new(whole);
            let layer = if rule.linear { layer.bilinear() } else { layer };
            return Ok(self.layer(name, layer, &[id], dims));
        }
        // Pixels left out are a pool of one.
        let steps = [(h, output[0], scales[0]), (w, output[1], scales[1])]
            .map(|(input, output, scale)| rule.step(input, output, scale));
        if let (false, [Some(down), Some(across)]) = (rule.linear, steps) {
            let layer = MaxPool2d::rectangular([1, 1]).strides([down, across]);
            return Ok(self.layer(name, layer, &[id], dims));
        }
        let mode = if rule.linear { "linear".to_string() } else { format!("nearest ({})", rule.nearest) };
        let got = format!("{mode}, {}, from {h}×{w} to {}×{}", rule.transformation, output[0], output[1]);
        let expected = "a whole factor, nearest or half_pixel linear";
        Err(Refused::expected_got("resize", expected, got).advice("resize by 2 or 4 with half-pixel centres"))
    }
}

impl Rule {
    /// Where a pixel of the output lies in the input.
    fn place(&self, at: usize, input: usize, output: usize, scale: f64) -> Option<f64> {
        let (x, last) = (at as f64, output as f64 - 1.0);
        match &self.transformation[..] {
            "half_pixel" => Some((x + 0.5) / scale - 0.5),
            "half_pixel_symmetric" => {
                let adjust = output as f64 / (scale * input as f64);
                let offset = input as f64 / 2.0 * (1.0 - adjust);
                Some(offset + (x + 0.5) / scale - 0.5)
            }
            "pytorch_half_pixel" => Some(if output > 1 { (x + 0.5) / scale - 0.5 } else { 0.0 }),
            "asymmetric" => Some(x / scale),
            "align_corners" => Some(if output > 1 { x * (input as f64 - 1.0) / last } else { 0.0 }),
            _ => None,
        }
    }

    /// Which pixel is nearest.
    fn pixel(&self, at: usize, input: usize, output: usize, scale: f64) -> Option<usize> {
        let x = self.place(at, input, output, scale)?;
        let down = x.floor();
        let nearest = match &self.nearest[..] {
            "round_prefer_floor" => (x - 0.5).ceil(),
            "round_prefer_ceil" => (x + 0.5).floor(),
            "floor" => down,
            "ceil" => x.ceil(),
            _ => return None,
        };
        Some(nearest.clamp(0.0, input as f64 - 1.0) as usize)
    }

    /// Whether each pixel comes so often, or pixels between are weighed as by the layer.
    fn is_layers(&self, input: usize, factor: usize, scale: f64) -> bool {
        let output = input * factor;
        (0..output).all(|at| {
            if self.linear {
                let centre = (at as f64 + 0.5) / factor as f64 - 0.5;
                let last = input as f64 - 1.0;
                let place = self.place(at, input, output, scale);
                place.is_some_and(|x| (x.clamp(0.0, last) - centre.clamp(0.0, last)).abs() < 1e-6)
            } else {
                self.pixel(at, input, output, scale) == Some(at / factor)
            }
        })
    }

    /// From one pixel that is kept to the next, if the first is and they are as many.
    fn step(&self, input: usize, output: usize, scale: f64) -> Option<usize> {
        let step = input.checked_div(output)?.max(1);
        let kept = (0..output).all(|at| self.pixel(at, input, output, scale) == Some(at * step));
        (kept && input.div_ceil(step) == output).then_some(step)
    }
}
