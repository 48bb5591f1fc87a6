//! A model of the configuration as one graph: models within models are laid out in it.

use super::calls::{Call, calls, ports};
use super::config::{LayerConfig, Reader, list};
use super::layers;
use super::site::{Given, Site, Tensor};
use super::store::{Absent, Place, Store, Variable};
use crate::import::{Cause, ImportOptions, Port, Report, Unsupported};
use bantam::{GraphBuilder, Shape, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

/// As many as a model of the engine has nodes.
const MAX_LAYERS: usize = 4096;

/// The graph, and what is known of it so far.
pub(super) struct Assembly<'g, 's> {
    pub graph: &'g GraphBuilder,
    store: &'s Store,
    options: &'s ImportOptions,
    /// Whether the file is one of Keras 1 or 2.
    pub before_keras_3: bool,
    pub report: Report,
    pub problems: Vec<Unsupported>,
    /// What the axes behind the batch are called whose sizes the file leaves open.
    pub open: Vec<String>,
    /// The first node of each layer with weights, by what is the same for all its calls.
    pub first: HashMap<String, Value<'g>>,
    pub sources: Vec<Source>,
    /// Nodes that training does not change.
    pub frozen: Vec<String>,
    /// The places of all layers among each other, as the configuration lists them.
    order: HashMap<String, usize>,
    /// How often a name is given.
    names: BTreeMap<String, usize>,
    /// The places of layers of a name, and what is the same for their calls.
    places: BTreeMap<String, Vec<(Place, String)>>,
    /// How often a layer was called.
    called: HashMap<String, usize>,
    /// Calls of all layers: models within models may multiply them.
    calls: usize,
}

/// Where the weights of a node come from.
pub(super) struct Source {
    pub node: String,
    /// The layer's names, from the outermost model's on, and its part.
    pub id: String,
    pub place: Place,
    pub variables: Vec<Variable>,
    /// What the engine's layer takes.
    pub weights: Vec<(&'static str, Shape)>,
    pub given: Vec<Given>,
}

/// A model in the tree of models.
#[derive(Clone, Default)]
struct Level {
    /// The names of the models that it is in, and its own.
    names: Vec<String>,
    /// Where its layers' weights are in the tree.
    path: String,
    trainable: bool,
}

impl Level {
    /// The level of a model in this one.
    fn inner(&self, model: &LayerConfig<'_>, path: &str) -> Level {
        let names = [&self.names[..], &[model.name.to_string()]].concat();
        Level { names, path: format!("{path}/layers"), trainable: self.trainable && model.is_trainable() }
    }

    /// Where a layer's weights are.
    fn place(&self, name: &str, path: &str) -> Place {
        let group = self.names.first().map_or(name, String::as_str).into();
        let within = if self.names.is_empty() { Vec::new() } else { vec![name.to_string()] };
        Place { group, within, path: path.into(), part: "", name: name.into() }
    }

    /// A layer's names, from the outermost model's on.
    fn id(&self, name: &str) -> String {
        [&self.names[..], &[name.to_string()]].concat().join("/")
    }
}

/// The places of a model's layers in the tree: their classes, with a number from the second of a class on.
fn paths(level: &Level, layers: &[LayerConfig<'_>]) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut path = |layer: &LayerConfig<'_>| {
        let class = snake_case(layer.class);
        let count = counts.entry(class.clone()).or_default();
        *count += 1;
        match *count {
            1 => format!("{}/{class}", level.path),
            count => format!("{}/{class}_{}", level.path, count - 1),
        }
    };
    layers.iter().map(&mut path).collect()
}

/// As Keras makes a name of a class: `Conv2DTranspose` is `conv2d_transpose`, `PReLU` is `p_re_lu`.
pub(crate) fn snake_case(class: &str) -> String {
    let letters: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut name = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let after_lower = i > 0 && letters[i - 1].is_lowercase();
        let before_lower = letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if i > 0 && letter.is_uppercase() && (after_lower || before_lower) {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
    }
    name
}

impl<'g, 's> Assembly<'g, 's> {
    pub fn new(
        graph: &'g GraphBuilder,
        store: &'s Store,
        options: &'s ImportOptions,
        before_keras_3: bool,
    ) -> Assembly<'g, 's> {
        Assembly {
            graph,
            store,
            options,
            before_keras_3,
            report: Report::default(),
            problems: Vec::new(),
            open: Vec::new(),
            first: HashMap::new(),
            sources: Vec::new(),
            frozen: Vec::new(),
            order: HashMap::new(),
            names: BTreeMap::new(),
            places: BTreeMap::new(),
            called: HashMap::new(),
            calls: 0,
        }
    }

    /// The whole model. Gives its outputs.
    pub fn whole(&mut self, model: &LayerConfig<'_>) -> Result<Vec<Tensor<'g>>, Cause> {
        let level = Level { names: Vec::new(), path: "layers".into(), trainable: model.is_trainable() };
        let mut count = 0;
        self.survey(model, &level, &mut count)?;
        let outputs = self.model(model, &level, None)?;
        let named = ports(model.config.get("output_layers"));
        let name =
            |index: usize| named.get(index).map_or_else(|| model.name.into(), |port| port.layer.clone());
        self.report.outputs =
            (0..outputs.len()).map(|index| Port { name: name(index), channels_first: false }).collect();
        Ok(outputs)
    }

    /// Counts names, and notes where layers are.
    fn survey(&mut self, model: &LayerConfig<'_>, level: &Level, count: &mut usize) -> Result<(), Cause> {
        let layers = model.children()?;
        *count += layers.len();
        limited(*count, "layers")?;
        for (layer, path) in layers.iter().zip(paths(level, &layers)) {
            if layer.layers.is_some() {
                self.survey(layer, &level.inner(layer, &path), count)?;
                continue;
            }
            *self.names.entry(layer.name.into()).or_default() += 1;
            let place = (level.place(layer.name, &path), level.id(layer.name));
            let next = self.order.len();
            self.order.entry(place.1.clone()).or_insert(next);
            self.places.entry(layer.name.into()).or_default().push(place);
            if layer.class != "InputLayer" {
                self.report.count(layer.class);
            }
        }
        Ok(())
    }

    /// The sources in the order in which Keras lists weights: that of the layers, whatever their calls read.
    pub fn sources_as_listed(&self) -> Vec<&Source> {
        let place = |id: &str| self.order.get(id).copied();
        // A part of a layer is where that is.
        let whole = |id: &str| id.rsplit_once('/').and_then(|(whole, _)| place(whole));
        let mut sources: Vec<&Source> = self.sources.iter().collect();
        sources.sort_by_key(|source| place(&source.id).or_else(|| whole(&source.id)));
        sources
    }

    /// In the tree a layer that is in several models is in one place: finds it.
    pub fn shared(&self, place: &mut Place, id: &mut String, part: &str) {
        let is_there = |place: &Place| !matches!(self.store.arrays(place, &[]), Err(Absent::Layer));
        if !self.store.is_tree() || is_there(place) {
            return;
        }
        let others = self.places.get(&place.name).into_iter().flatten();
        let mut there = others
            .map(|(other, id)| (Place { part: place.part, ..other.clone() }, id))
            .filter(|(other, _)| is_there(other));
        if let (Some((other, other_id)), None) = (there.next(), there.next()) {
            *id = if part.is_empty() { other_id.clone() } else { format!("{other_id}/{part}") };
            *place = other;
        }
    }

    /// The layers of a model on top of these values, or of inputs of its own.
    fn model(
        &mut self,
        model: &LayerConfig<'_>,
        level: &Level,
        inputs: Option<Vec<Tensor<'g>>>,
    ) -> Result<Vec<Tensor<'g>>, Cause> {
        let layers = model.children()?;
        let paths = paths(level, &layers);
        if model.config.contains_key("input_layers") {
            self.functional(model, level, &layers, &paths, inputs)
        } else if model.layers.is_some() {
            self.sequential(model, level, &layers, &paths, inputs)
        } else {
            let what = format!("{}: a class of its own, of which the file has no layers", model.class);
            let advice = "build it here, and load its weights by names".into();
            self.problems.push(Unsupported { name: model.name.into(), what, advice });
            Ok(Vec::new())
        }
    }

    fn sequential(
        &mut self,
        model: &LayerConfig<'_>,
        level: &Level,
        layers: &[LayerConfig<'_>],
        paths: &[String],
        inputs: Option<Vec<Tensor<'g>>>,
    ) -> Result<Vec<Tensor<'g>>, Cause> {
        let mut now = match inputs {
            Some(inputs) => inputs,
            None => {
                let first = layers.first();
                let keys = ["batch_shape", "batch_input_shape"];
                let of_layer = first.and_then(|layer| keys.iter().find_map(|key| layer.config.get(*key)));
                let built = first.and_then(|layer| layer.built);
                let shape = of_layer.or_else(|| model.config.get("build_input_shape")).or(built);
                let name = first.map_or(model.name, |layer| layer.name);
                vec![self.open_input(name, shape)?]
            }
        };
        for (layer, path) in layers.iter().zip(paths).filter(|(layer, _)| layer.class != "InputLayer") {
            now = self.call(layer, level, path, now, &Call::default())?;
        }
        Ok(now)
    }

    fn functional(
        &mut self,
        model: &LayerConfig<'_>,
        level: &Level,
        layers: &[LayerConfig<'_>],
        paths: &[String],
        given: Option<Vec<Tensor<'g>>>,
    ) -> Result<Vec<Tensor<'g>>, Cause> {
        let inputs = ports(model.config.get("input_layers"));
        let outputs = ports(model.config.get("output_layers"));
        if let Some(given) = given.as_ref().filter(|given| given.len() != inputs.len()) {
            let problem = format!("expected {} inputs, got {}", inputs.len(), given.len());
            return Err(Cause::damaged(model.name, problem));
        }
        let calls: Vec<Vec<Call>> = layers.iter().map(calls).collect::<Result<_, _>>()?;
        limited(calls.iter().map(Vec::len).sum(), "calls of layers")?;
        let firsts = first_calls(layers, &calls, &outputs);
        // What a call gave, by the layer's name and the call's number.
        let mut made: HashMap<(&str, usize), Vec<Tensor<'g>>> = HashMap::new();
        for (index, port) in inputs.iter().enumerate() {
            let Some(layer) = layers.iter().find(|layer| layer.name == port.layer) else {
                return Err(Cause::damaged(
                    model.name,
                    format!("expected a layer \"{}\", found none", port.layer),
                ));
            };
            let tensor = match &given {
                Some(given) => given[index],
                None => {
                    let shape =
                        ["batch_shape", "batch_input_shape"].iter().find_map(|key| layer.config.get(*key));
                    self.open_input(layer.name, shape)?
                }
            };
            made.insert((layer.name, 0), vec![tensor]);
        }
        let mut waiting: Vec<(usize, usize)> = (0..layers.len())
            .flat_map(|layer| (0..calls[layer].len()).map(move |call| (layer, call)))
            .filter(|&(layer, _)| layers[layer].class != "InputLayer")
            .collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for (layer, number) in waiting {
                let call = &calls[layer][number];
                let reads: Option<Vec<Tensor<'g>>> = call
                    .reads
                    .iter()
                    .map(|read| made.get(&(read.layer.as_str(), read.call))?.get(read.output).copied())
                    .collect();
                // Calls of one layer are in order, so that the second is so called.
                let in_order =
                    number == 0 || made.contains_key(&(layers[layer].name, firsts[layer] + number - 1));
                match reads.filter(|_| in_order) {
                    Some(reads) => {
                        let given = self.call(&layers[layer], level, &paths[layer], reads, call)?;
                        made.insert((layers[layer].name, firsts[layer] + number), given);
                    }
                    None => still.push((layer, number)),
                }
            }
            if still.len() == before {
                let (layer, _) = still[0];
                let problem = "expected values that earlier layers give, it reads others";
                return Err(Cause::damaged(layers[layer].name, problem));
            }
            waiting = still;
        }
        let output = |port: &super::calls::Reference| {
            let tensor = made.get(&(port.layer.as_str(), port.call)).and_then(|given| given.get(port.output));
            tensor.copied().ok_or_else(|| {
                Cause::damaged(model.name, format!("expected an output of \"{}\", it gives none", port.layer))
            })
        };
        outputs.iter().map(output).collect()
    }

    /// A call of a layer, or of a model.
    fn call(
        &mut self,
        layer: &LayerConfig<'_>,
        level: &Level,
        path: &str,
        inputs: Vec<Tensor<'g>>,
        call: &Call,
    ) -> Result<Vec<Tensor<'g>>, Cause> {
        self.calls += 1;
        limited(self.calls, "calls of layers")?;
        if layer.layers.is_some() {
            return self.model(layer, &level.inner(layer, path), Some(inputs));
        }
        let id = level.id(layer.name);
        let unique = self.names.get(layer.name).is_some_and(|&count| count == 1);
        let mut name = if unique { layer.name.to_string() } else { id.clone() };
        let times = self.called.entry(id.clone()).or_default();
        if *times > 0 {
            name = format!("{name}:{times}");
        }
        *times += 1;
        let stand_in = inputs.first().copied();
        let nodes = self.sources.len();
        let mut site = Site {
            read: Reader::new(*layer),
            inputs,
            numbers: call.numbers.clone(),
            number_first: call.number_first,
            place: level.place(layer.name, path),
            name,
            id,
            trainable: level.trainable && layer.is_trainable(),
            assembly: self,
        };
        site.refuse_integers();
        let made = layers::convert(&mut site);
        let (problems, trainable) = (std::mem::take(&mut site.read.problems), site.trainable);
        let failed = !problems.is_empty();
        self.problems.extend(problems);
        if !trainable {
            self.frozen.extend(self.sources[nodes..].iter().map(|source| source.node.clone()));
        }
        let made = made.or(stand_in).map_or_else(|| self.any_input(), Ok)?;
        Ok(vec![Tensor { certain: made.certain && !failed, ..made }])
    }

    /// A stand-in where nothing is known.
    fn any_input(&self) -> Result<Tensor<'g>, Cause> {
        Ok(Tensor {
            value: self.graph.input([1]),
            shape: Shape::new(&[1]).map_err(bantam::Error::from)?,
            certain: false,
        })
    }

    /// An input of the whole model. Sizes that are open are those of the options.
    fn open_input(&mut self, name: &str, shape: Option<&Json>) -> Result<Tensor<'g>, Cause> {
        self.report.inputs.push(Port { name: name.into(), channels_first: false });
        let mut refuse = |what: String, advice: &str| {
            self.problems.push(Unsupported { name: name.into(), what, advice: advice.into() });
        };
        let Some(shape) = shape else {
            refuse(
                "the file does not say the shape of its input".into(),
                "build the model before it is saved",
            );
            return self.any_input();
        };
        let told = list(Some(shape), name)?.iter().skip(1);
        let told = told.map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok()));
        let told: Vec<Option<usize>> = told.collect();
        let (mut sizes, mut open) = (Vec::new(), Vec::new());
        for (axis, &size) in told.iter().enumerate() {
            let called = format!("{name}.{}", axis + 1);
            let by_pixels = || {
                self.options.input_size.filter(|_| told.len() == 3).and_then(|size| size.get(axis).copied())
            };
            match size.or_else(|| self.options.dimension_of(&called)).or_else(by_pixels) {
                Some(size) => sizes.push(size),
                None => open.push(called.clone()),
            }
            if size.is_none() {
                self.open.push(called);
            }
        }
        if !open.is_empty() {
            let advice = "say the size of images by --input-size, others by --dimension NAME=SIZE";
            refuse(format!("an input of open size, {shape}: \"{}\"", open.join("\", \"")), advice);
            return self.any_input();
        }
        match Shape::new(&sizes) {
            Ok(shape) => Ok(Tensor { value: self.graph.input(&sizes), shape, certain: true }),
            Err(problem) => {
                refuse(problem.to_string(), "");
                self.any_input()
            }
        }
    }
}

fn limited(count: usize, what: &str) -> Result<(), Cause> {
    if count <= MAX_LAYERS {
        return Ok(());
    }
    Err(Cause::damaged("configuration", format!("expected at most {MAX_LAYERS} {what}, found more")))
}

/// The number of each layer's first call: in files of Keras 2 a model's calls begin with 1, as it was called when it was made.
fn first_calls(
    layers: &[LayerConfig<'_>],
    calls: &[Vec<Call>],
    outputs: &[super::calls::Reference],
) -> Vec<usize> {
    let mut last: HashMap<&str, usize> = HashMap::new();
    for read in calls.iter().flatten().flat_map(|call| &call.reads).chain(outputs) {
        let most = last.entry(&read.layer).or_default();
        *most = read.call.max(*most);
    }
    let counts = layers.iter().zip(calls);
    counts
        .map(|(layer, calls)| {
            let highest = last.get(layer.name).map_or(0, |&call| call + 1);
            usize::from(layer.layers.is_some() && highest > calls.len())
        })
        .collect()
}
