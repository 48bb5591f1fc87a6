//! The net that is made: layers that may still change, as when a bias is found behind a convolution, before a model is built.

use super::constant::Tensor;
use super::error::Cause;
use super::refused::Refused;
use bantam::{Differentiable, GraphBuilder, LayerType, Model, Value};
use std::borrow::Cow;
use std::collections::HashMap;

/// A value of the net: an input, or what a layer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(usize);

/// What puts a layer into a graph. The flag says whether it has a bias.
pub type Make = Box<dyn for<'g> Fn(&'g GraphBuilder, &[Value<'g>], bool) -> Value<'g>>;

/// Weights of a layer.
#[derive(Clone, Debug)]
pub struct Weights {
    /// As the layer calls them: `"kernel"`.
    pub name: &'static str,
    pub values: Tensor,
    /// How many weights lie side by side that are of the same output, and what those of each output are multiplied by.
    scale: Option<(usize, Vec<f32>)>,
}

impl Weights {
    pub fn new(name: &'static str, values: Tensor) -> Weights {
        Weights { name, values, scale: None }
    }

    /// Multiplies them by a number for each output, of which `inner` lie side by side.
    pub fn scale(&mut self, inner: usize, by: Vec<f32>) {
        let (_, scale) = self.scale.get_or_insert_with(|| (inner, vec![1.0; by.len()]));
        scale.iter_mut().zip(by).for_each(|(scale, by)| *scale *= by);
    }
}

/// What a layer is that its neighbours may become a part of.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A kernel's sums: factors and a bias behind it can be its own. So many weights lie side by side that are of one output.
    Sums {
        outputs: usize,
        inner: usize,
    },
    /// Zeros around a map, `[[top, bottom], [left, right]]`.
    Padding([[usize; 2]; 2]),
    /// Another order of the elements.
    Permute,
    /// What becomes a SiLU where its input is multiplied by it.
    Sigmoid,
    Other,
}

/// A layer that is not built yet.
pub struct Layer {
    pub name: String,
    inputs: Vec<Id>,
    pub kind: Kind,
    pub weights: Vec<Weights>,
    /// The arrays of the file that they are made of.
    pub origin: Vec<usize>,
    make: Make,
}

/// What a net becomes.
pub struct Built {
    pub model: Model<'static>,
    /// How many layers turn elements.
    pub permutes: usize,
    /// Layers that have the weights of another, a line each.
    pub shared: Vec<String>,
}

/// Inputs and layers, in order.
#[derive(Default)]
pub struct Net {
    /// The arrays of the file that the weights of layers to come are made of, by a number for each. What is made of the same, and is
    /// the same, stays one: layers share it.
    pub origin: Vec<usize>,
    values: Vec<(Vec<usize>, Option<Layer>)>,
    /// How often each was wanted again.
    names: HashMap<String, usize>,
    /// What has been turned already, for all who read it.
    turned: HashMap<(Id, Vec<usize>, bool), Id>,
}

impl Net {
    /// An input, of one sample.
    pub fn input(&mut self, dims: Vec<usize>) -> Id {
        self.values.push((dims, None));
        Id(self.values.len() - 1)
    }

    /// A layer that gives samples of these sizes.
    pub fn add(
        &mut self,
        name: &str,
        kind: Kind,
        inputs: &[Id],
        dims: Vec<usize>,
        weights: Vec<Weights>,
        make: Make,
    ) -> Id {
        let (name, inputs, origin) = (self.name(name), inputs.to_vec(), self.origin.clone());
        self.values.push((dims, Some(Layer { name, inputs, kind, weights, origin, make })));
        Id(self.values.len() - 1)
    }

    /// A layer without weights or neighbours that it joins.
    pub fn layer<L: Differentiable + Clone>(
        &mut self,
        name: &str,
        layer: L,
        inputs: &[Id],
        dims: Vec<usize>,
    ) -> Id {
        let make: Make = Box::new(move |graph, inputs, _| graph.layer(layer.clone(), inputs));
        self.add(name, Kind::Other, inputs, dims, Vec::new(), make)
    }

    /// The same elements as samples of these sizes.
    pub fn reshape(&mut self, name: &str, id: Id, dims: &[usize]) -> Id {
        if self.dims(id) == dims {
            return id;
        }
        let key = (id, dims.to_vec(), false);
        if let Some(&done) = self.turned.get(&key) {
            return done;
        }
        let new = if let [_] = dims {
            self.layer(&format!("{name}/flatten"), bantam::Flatten, &[id], dims.to_vec())
        } else {
            let target: Vec<i32> = dims.iter().map(|&dim| i32::try_from(dim).unwrap_or(i32::MAX)).collect();
            self.layer(&format!("{name}/reshape"), bantam::Reshape::new(target), &[id], dims.to_vec())
        };
        self.turned.insert(key, new);
        new
    }

    /// The dimensions in another order, counted from 0: four at most.
    pub fn permute(&mut self, name: &str, id: Id, order: &[usize]) -> Id {
        let key = (id, [self.dims(id), order].concat(), true);
        if let Some(&done) = self.turned.get(&key) {
            return done;
        }
        let dims = order.iter().map(|&axis| self.dims(id)[axis]).collect();
        let order: Vec<u8> = order.iter().map(|&axis| axis as u8 + 1).collect();
        let make: Make = Box::new(move |graph, inputs, _| graph.layer(bantam::Permute::new(&order), inputs));
        let new = self.add(&format!("{name}/permute"), Kind::Permute, &[id], dims, Vec::new(), make);
        self.turned.insert(key, new);
        new
    }

    /// Sizes of a sample.
    pub fn dims(&self, id: Id) -> &[usize] {
        &self.values[id.0].0
    }

    /// The layer that gives a value.
    pub fn layer_of(&mut self, id: Id) -> Option<&mut Layer> {
        self.values[id.0].1.as_mut()
    }

    /// What the layer that gives a value reads.
    pub fn inputs_of(&self, id: Id) -> &[Id] {
        self.values[id.0].1.as_ref().map_or(&[], |layer| &layer.inputs)
    }

    /// A name that no other layer has: that one, or with a number behind it.
    fn name(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "layer" } else { wanted };
        let (mut name, mut count) = (wanted.to_string(), self.names.get(wanted).copied().unwrap_or(0));
        while self.names.contains_key(&name) {
            count += 1;
            name = format!("{wanted}_{count}");
        }
        self.names.insert(name.clone(), 0);
        if count > 0 {
            self.names.insert(wanted.into(), count);
        }
        name
    }

    /// Which values these depend on.
    fn needed(&self, outputs: &[Id]) -> Vec<bool> {
        let mut needed = vec![false; self.values.len()];
        outputs.iter().for_each(|output| needed[output.0] = true);
        for at in (0..self.values.len()).rev() {
            if let (true, Some(layer)) = (needed[at], &self.values[at].1) {
                layer.inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        needed
    }

    /// The model, of the layers that these outputs depend on.
    ///
    /// # Errors
    /// The engine refuses a layer, or there are more weights than `most`: a small file may repeat one number very often.
    pub fn build(&self, outputs: &[Id], most: usize) -> Result<Built, Cause> {
        let (graph, needed) = (GraphBuilder::new(), self.needed(outputs));
        let mut values: Vec<Option<Value<'_>>> = Vec::with_capacity(self.values.len());
        let (mut weights, mut permutes, mut all) = (HashMap::new(), 0, 0usize);
        let mut owners: HashMap<&[usize], Vec<(&Layer, Value<'_>)>> = HashMap::new();
        let mut shared = Vec::new();
        for ((dims, layer), needed) in self.values.iter().zip(needed) {
            let Some(layer) = layer else {
                values.push(Some(graph.input(dims)));
                continue;
            };
            if !needed {
                values.push(None);
                continue;
            }
            permutes += usize::from(layer.kind == Kind::Permute);
            let inputs: Vec<Value<'_>> = layer.inputs.iter().filter_map(|input| values[input.0]).collect();
            let biased = layer.weights.iter().any(|weights| weights.name == "bias");
            let value = (layer.make)(&graph, &inputs, biased).named(&layer.name);
            values.push(Some(value));
            if !layer.weights.is_empty() && !layer.origin.is_empty() {
                let same = |(other, of): &&(&Layer, Value<'_>)| {
                    value.layer_type().map(LayerType::name) == of.layer_type().map(LayerType::name)
                        && layer.weights == other.weights
                };
                let others = owners.entry(&layer.origin).or_default();
                if let Some((other, of)) = others.iter().find(same) {
                    let _ = value.with_weights_of(*of);
                    shared.push(format!("{}: the weights of {}", layer.name, other.name));
                    continue;
                }
                others.push((layer, value));
            }
            for array in &layer.weights {
                all = all.saturating_add(array.values.len());
                weights.insert((layer.name.as_str(), array.name), array);
            }
        }
        if all > most {
            return Err(Refused::expected_got("weights", format!("{most} at most"), all).of("model"));
        }
        let outputs: Vec<Value<'_>> = outputs.iter().filter_map(|output| values[output.0]).collect();
        let model = graph.build_with(&outputs, &mut |layer, array, _| {
            let missing = bantam::Error::Empty { what: "weights of a layer" };
            let weights = weights.get(&(layer, array)).ok_or(missing)?;
            Ok(Cow::Owned(weights.made()))
        });
        Ok(Built { model: model?, permutes, shared })
    }
}

impl PartialEq for Weights {
    fn eq(&self, other: &Weights) -> bool {
        self.name == other.name
            && self.values.dims == other.values.dims
            && self.scale == other.scale
            && self.values.to_vec() == other.values.to_vec()
    }
}

impl Weights {
    /// In the layer's own order.
    fn made(&self) -> Vec<f32> {
        let mut values = self.values.to_vec();
        if let Some((inner, scale)) = &self.scale {
            for (part, scale) in values.chunks_exact_mut(*inner).zip(scale.iter().cycle()) {
                part.iter_mut().for_each(|value| *value *= scale);
            }
        }
        values
    }
}
