//! Where a layer of the configuration becomes nodes of the graph.

use super::assembly::{Assembly, Source};
use super::config::Reader;
use super::store::{Place, Variable};
use bantam::{Differentiable, Shape, Value};

/// A value of the graph, and its shape.
#[derive(Clone, Copy)]
pub(super) struct Tensor<'g> {
    pub value: Value<'g>,
    pub shape: Shape,
    /// Not if it stands for one that could not be made, so that its shape says nothing.
    pub certain: bool,
}

/// A call of a layer.
pub(super) struct Site<'a, 'g, 's, 'c> {
    pub read: Reader<'c>,
    pub inputs: Vec<Tensor<'g>>,
    pub numbers: Vec<f64>,
    pub number_first: bool,
    pub place: Place,
    /// What its node is called.
    pub name: String,
    /// The same for each call of a layer.
    pub id: String,
    pub trainable: bool,
    pub assembly: &'a mut Assembly<'g, 's>,
}

/// An array of weights that is not in the file.
pub(super) type Given = (&'static str, Vec<f32>);

impl<'g> Site<'_, 'g, '_, '_> {
    /// A placeholder, if there is no input.
    pub fn input(&self) -> Option<Tensor<'g>> {
        self.inputs.first().copied()
    }

    /// The dimensions of the input.
    pub fn rank(&self) -> usize {
        self.input().map_or(0, |input| input.shape.rank())
    }

    /// A layer without weights, over all inputs.
    pub fn plain<L: Differentiable>(&mut self, layer: L) -> Option<Tensor<'g>> {
        self.put(layer, &[])
    }

    /// The layer, over all inputs, with its weights in the order in which Keras has them.
    pub fn put<L: Differentiable>(&mut self, layer: L, variables: &[Variable]) -> Option<Tensor<'g>> {
        let inputs = self.inputs.clone();
        self.node("", layer, &inputs, variables, Vec::new())
    }

    /// Another layer behind it, which is called `NAME/PART`.
    pub fn behind<L: Differentiable>(
        &mut self,
        part: &str,
        layer: L,
        input: Tensor<'g>,
    ) -> Option<Tensor<'g>> {
        self.node(part, layer, &[input], &[], Vec::new())
    }

    /// A node of that name, or of a name with that part.
    pub fn node<L: Differentiable>(
        &mut self,
        part: &str,
        layer: L,
        inputs: &[Tensor<'g>],
        variables: &[Variable],
        given: Vec<Given>,
    ) -> Option<Tensor<'g>> {
        let of = |whole: &str| if part.is_empty() { whole.to_string() } else { format!("{whole}/{part}") };
        let (name, mut id, mut place) = (of(&self.name), of(&self.id), self.place.clone());
        let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape).collect();
        let certain = inputs.iter().all(|input| input.certain);
        let signature = layer.signature(&shapes);
        let found = signature.and_then(|signature| {
            let weights: Vec<(&'static str, Shape)> = signature.weights().collect();
            Ok((signature.output()?, weights))
        });
        let (shape, weights) = match found {
            Ok(found) => found,
            Err(problem) => {
                // That of a shape that is none says nothing.
                if certain {
                    self.read.refuse(problem.to_string(), "");
                }
                let input = inputs.first()?;
                return Some(Tensor { certain: false, ..*input });
            }
        };
        if !variables.is_empty() {
            self.assembly.shared(&mut place, &mut id, part);
        }
        let first = if weights.is_empty() { None } else { self.assembly.first.get(&id).copied() };
        let value = match (first, inputs) {
            (Some(first), [input]) => input.value.reuse_layer_of(first),
            _ => {
                let values: Vec<Value<'g>> = inputs.iter().map(|input| input.value).collect();
                self.assembly.graph.layer(layer, &values)
            }
        };
        let value = value.named(&name);
        if !weights.is_empty() && first.is_none() {
            self.assembly.first.insert(id.clone(), value);
            self.assembly.sources.push(Source {
                node: name,
                id,
                place,
                variables: variables.to_vec(),
                weights,
                given,
            });
        }
        Some(Tensor { value, shape, certain })
    }

    /// Weights that are whole numbers with a scale are not those of the layer.
    pub fn refuse_integers(&mut self) {
        let policy = self
            .read
            .get("dtype")
            .and_then(|dtype| dtype.as_str().or_else(|| dtype.get("config")?.get("name")?.as_str()));
        if let Some(policy) =
            policy.filter(|policy| ["int8", "int4", "float8"].iter().any(|kind| policy.starts_with(kind)))
        {
            self.read.refuse(format!("quantised to {policy}"), "save it before it is quantised");
        }
    }

    /// The engine has no such layer.
    pub fn refuse(&mut self, what: &str, advice: &str) -> Option<Tensor<'g>> {
        self.read.refuse(what, advice);
        None
    }
}
