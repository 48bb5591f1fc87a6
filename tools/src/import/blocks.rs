//! What several layers make of a value, as the operators of all formats need it.

use super::constant::Tensor;
use super::net::{Id, Kind, Make, Net, Weights};
use super::refused::Refused;
use bantam::{
    AveragePool2d, Concatenate, Cropping2d, DepthwiseConv2d, Differentiable, GeneralRelu,
    GlobalAveragePool2d, GlobalMaxPool2d, MAX_INPUTS, MaxPool2d, Prelu, Relu, Relu6, Rescaling, UpSampling2d,
};

impl Net {
    /// A function of each element, wherever these lie.
    pub fn function<L: Differentiable + Clone>(&mut self, name: &str, id: Id, layer: L) -> Id {
        let dims = self.dims(id).to_vec();
        self.layer(name, layer, &[id], dims)
    }

    /// A value within bounds.
    ///
    /// # Errors
    /// The upper is below the lower.
    pub fn bounded(&mut self, name: &str, id: Id, [low, high]: [Option<f32>; 2]) -> Result<Id, Refused> {
        // What no finite number exceeds is no bound.
        let low = low.filter(|&low| low > f32::MIN);
        let high = high.filter(|&high| high < f32::MAX);
        let shift = format!("{name}/shift");
        let add = |by: f32| Rescaling::new(1.0).offset(by);
        Ok(match (low, high) {
            (None, None) => id,
            (Some(0.0), None) => self.function(name, id, Relu),
            (Some(0.0), Some(6.0)) => self.function(name, id, Relu6),
            (Some(low), None) => {
                let id = self.function(&shift, id, add(-low));
                let id = self.function(name, id, Relu);
                self.function(&shift, id, add(low))
            }
            (None, Some(high)) => {
                let id = self.function(&shift, id, Rescaling::new(-1.0).offset(high));
                let id = self.function(name, id, Relu);
                self.function(&shift, id, Rescaling::new(-1.0).offset(high))
            }
            (Some(low), Some(high)) if low <= high => {
                let bounded = GeneralRelu::new().max_value(high - low);
                if low == 0.0 {
                    self.function(name, id, bounded)
                } else {
                    let id = self.function(&shift, id, add(-low));
                    let id = self.function(name, id, bounded);
                    self.function(&shift, id, add(low))
                }
            }
            (Some(low), Some(high)) => {
                return Err(Refused::expected_got("bounds", "the lower first", format!("{low} and {high}")));
            }
        })
    }

    /// Makes factors and summands a part of the layer that gives a value, if that has a kernel and they are one for each of its
    /// outputs. Nobody else may read the value.
    pub fn join(&mut self, id: Id, scale: &[f32], shift: Option<&[f32]>) -> bool {
        let origin = self.origin.clone();
        let Some(layer) = self.layer_of(id) else { return false };
        let Kind::Sums { outputs, inner } = layer.kind else { return false };
        if scale.len() != outputs && scale.len() != 1 {
            return false;
        }
        let each = |values: &[f32]| (0..outputs).map(|i| values[i % values.len()]).collect::<Vec<_>>();
        let scale = each(scale);
        layer.origin.extend(origin);
        let bias = layer.weights.iter().position(|weights| weights.name == "bias");
        let before = bias.map(|at| layer.weights.remove(at).values.to_vec());
        if let Some(shift) = shift.map(each).or_else(|| before.is_some().then(|| vec![0.0; outputs])) {
            let before = before.unwrap_or_else(|| vec![0.0; outputs]);
            let bias =
                before.iter().zip(&scale).zip(&shift).map(|((bias, scale), shift)| bias * scale + shift);
            layer.weights.push(Weights::new("bias", Tensor::new(vec![outputs], bias.collect())));
        }
        if scale.iter().any(|&scale| scale != 1.0) {
            layer.weights[0].scale(inner, scale);
        }
        true
    }

    /// Factors and summands of a row of elements, by which the innermost of samples of these sizes are multiplied and moved, each
    /// row by the same.
    pub fn affine(
        &mut self,
        name: &str,
        id: Id,
        dims: Vec<usize>,
        scale: Vec<f32>,
        shift: Option<Vec<f32>>,
    ) -> Id {
        let inner = scale.len();
        if inner == 1 {
            let shift = shift.map_or(0.0, |shift| shift[0]);
            return self.function(name, id, Rescaling::new(scale[0]).offset(shift));
        }
        // A depthwise convolution of single pixels.
        let all: usize = dims.iter().product();
        let dims = if dims.len() == 3 && dims[2] == inner { dims } else { vec![1, all / inner, inner] };
        let id = self.reshape(name, id, &dims);
        let mut weights = vec![Weights::new("kernel", Tensor::new(vec![1, 1, inner, 1], scale))];
        weights.extend(shift.map(|shift| Weights::new("bias", Tensor::new(vec![inner], shift))));
        let how = DepthwiseConv2d::valid().kernel([1, 1]);
        let make: Make =
            Box::new(move |graph, x, bias| graph.layer(if bias { how } else { how.no_bias() }, x));
        self.add(name, Kind::Sums { outputs: inner, inner: 1 }, &[id], dims, weights, make)
    }

    /// A rectifier with slopes of a row of elements, which are those of the innermost of samples of these sizes.
    pub fn prelu(&mut self, name: &str, id: Id, dims: Vec<usize>, slopes: Vec<f32>) -> Id {
        let (all, inner): (usize, _) = (dims.iter().product(), slopes.len());
        let dims = if dims.last() == Some(&inner) && dims.len() <= 4 {
            dims
        } else if all == inner {
            vec![inner]
        } else {
            vec![all / inner, inner]
        };
        let id = self.reshape(name, id, &dims);
        let shared = dims.len() - 1;
        let mut alpha = vec![1; shared];
        alpha.push(inner);
        let make: Make = Box::new(move |graph, x, _| {
            let prelu = match shared {
                0 => Prelu::new(),
                1 => Prelu::new().shared_axes([1]),
                2 => Prelu::new().shared_axes([1, 2]),
                _ => Prelu::new().shared_axes([1, 2, 3]),
            };
            graph.layer(prelu, x)
        });
        let weights = vec![Weights::new("alpha", Tensor::new(alpha, slopes))];
        self.add(name, Kind::Other, &[id], dims, weights, make)
    }

    /// Of samples `[before, all, behind]`, `len` elements of the middle from `start` on, each `step`-th.
    pub fn part(
        &mut self,
        name: &str,
        mut id: Id,
        [before, all, behind]: [usize; 3],
        [start, len, step]: [usize; 3],
    ) -> Id {
        let span = (len - 1) * step + 1;
        if span < all {
            id = self.reshape(name, id, &[before, all, behind]);
            let crop = Cropping2d::new([[0, 0], [start, all - start - span]]);
            id = self.layer(name, crop, &[id], vec![before, span, behind]);
        }
        if step > 1 {
            // The largest of one.
            id = self.reshape(name, id, &[before, span, behind]);
            let each = MaxPool2d::rectangular([1, 1]).strides([1, step]);
            id = self.layer(name, each, &[id], vec![before, len, behind]);
        }
        id
    }

    /// Samples `[outer, inner]` as `[outer, times, inner]`, each row so often.
    pub fn repeat(&mut self, name: &str, id: Id, [outer, times, inner]: [usize; 3]) -> Id {
        let id = self.reshape(name, id, &[outer, 1, inner]);
        self.layer(&format!("{name}/repeat"), UpSampling2d::new([1, times]), &[id], vec![outer, times, inner])
    }

    /// Values beside each other along a dimension, some at a time.
    pub fn joined(&mut self, name: &str, ids: &[Id], at: usize) -> Id {
        let mut ids = ids.to_vec();
        while ids.len() > 1 {
            let partial = ids.len() > MAX_INPUTS;
            let mut next = Vec::with_capacity(ids.len().div_ceil(MAX_INPUTS));
            for some in ids.chunks(MAX_INPUTS) {
                if let [one] = some {
                    next.push(*one);
                    continue;
                }
                let mut dims = self.dims(some[0]).to_vec();
                let last = at + 1 == dims.len();
                dims[at] = some.iter().map(|&id| self.dims(id)[at]).sum();
                let layer = if last { Concatenate::new() } else { Concatenate::new().axis(at as i8 + 1) };
                let name = if partial { format!("{name}/partial") } else { name.to_string() };
                next.push(self.layer(&name, layer, some, dims));
            }
            ids = next;
        }
        ids[0]
    }

    /// The mean, or the largest, of the middle of samples `[outer, over, inner]`. `dims` are their sizes as they are.
    pub fn pooled(
        &mut self,
        name: &str,
        id: Id,
        dims: Vec<usize>,
        [outer, over, inner]: [usize; 3],
        mean: bool,
    ) -> Id {
        if outer == 1 {
            let dims = if dims.len() == 3 && dims[2] == inner { dims } else { vec![over, 1, inner] };
            let (id, one) = (self.reshape(name, id, &dims), vec![1, 1, inner]);
            return if mean {
                self.layer(name, GlobalAveragePool2d::new().keep_dims(), &[id], one)
            } else {
                self.layer(name, GlobalMaxPool2d::new().keep_dims(), &[id], one)
            };
        }
        let (id, rows) = (self.reshape(name, id, &[outer, over, inner]), vec![outer, 1, inner]);
        if mean {
            self.layer(name, AveragePool2d::rectangular([1, over]), &[id], rows)
        } else {
            self.layer(name, MaxPool2d::rectangular([1, over]), &[id], rows)
        }
    }
}
