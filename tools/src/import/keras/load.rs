//! Weights for a model that is there.

use super::hdf5::{Array, Hdf5};
use super::store::{Absent, Place, Store, Variable};
use super::{File, assembly, missing, spread, wrong};
use crate::import::{Cause, ImportError, WeightProblem};
use bantam::{Model, Node, Parameter};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Which weights have to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// All that the model has, and no others.
    #[default]
    All,
    /// Those of layers that both have: the model may have a new head, the file an old one.
    OfBoth,
}

/// What became of a file's weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The model's layers that have them now.
    pub loaded: Vec<String>,
    /// The model's layers of which the file has none.
    pub missing: Vec<String>,
    /// The file's arrays of which the model has no layer.
    pub extra: Vec<String>,
}

impl Loaded {
    /// Whether that is what was asked for, and nothing was wrong with the arrays.
    pub(in crate::import) fn check(
        &self,
        which: Which,
        mut problems: Vec<WeightProblem>,
    ) -> Result<(), Cause> {
        if which == Which::All {
            problems.extend(self.extra.iter().map(|name| WeightProblem::Extra { name: name.clone() }));
        } else if self.loaded.is_empty() {
            problems.extend(self.missing.iter().map(|name| WeightProblem::Missing { name: name.clone() }));
        }
        if problems.is_empty() { Ok(()) } else { Err(Cause::Weights(problems)) }
    }
}

/// Gives a model the weights of a file of Keras: `.h5`, `.weights.h5` or `.keras`. Layers are found by their names; in files of
/// Keras 2 that have the layout of Keras 3, which say no names, by their classes and their order.
///
/// ```no_run
/// use bantam::Sequential;
/// use bantam_tools::import::keras::{Which, load_weights};
/// let net = Sequential::new([150, 150, 3]).conv2d(64, 3).named("block1_conv1").relu();
/// let mut model = net.global_average_pool2d().dense(2).named("cat_or_dog").build(1)?;
/// let loaded = load_weights(&mut model, "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", Which::OfBoth)?;
/// assert_eq!((&loaded.loaded[..], &loaded.missing[..]), (&["block1_conv1".into()][..], &["cat_or_dog".into()][..]));
/// # Ok::<(), bantam_tools::Failure>(())
/// ```
///
/// # Errors
/// The file cannot be read, is damaged, or its weights are not the model's: all that is missing, extra or of another shape is
/// named. The model is then as it was.
pub fn load_weights(
    model: &mut Model<'_>,
    path: impl AsRef<Path>,
    which: Which,
) -> Result<Loaded, ImportError> {
    let path = path.as_ref();
    File::open(path).and_then(|file| load(model, &file.weights, which)).map_err(|cause| cause.in_file(path))
}

/// As [`load_weights`], of a file's bytes.
///
/// # Errors
/// As [`load_weights`].
pub fn read_weights(model: &mut Model<'_>, bytes: Vec<u8>, which: Which) -> Result<Loaded, Cause> {
    load(model, &File::from_bytes(bytes)?.weights, which)
}

fn load(model: &mut Model<'_>, file: &Hdf5, which: Which) -> Result<Loaded, Cause> {
    let store = Store::new(file)?;
    let mut loaded = Loaded::default();
    let (mut arrays, mut problems) = (Vec::new(), Vec::new());
    let numbers = if store.is_nameless() { numbered(model) } else { BTreeMap::new() };
    for node in owners(model) {
        let parameters = model.parameters_of(node);
        let weights: Vec<_> =
            parameters.iter().map(|parameter| (parameter.name(), parameter.shape())).collect();
        let places = match numbers.get(node.name()) {
            Some(place) => vec![place.clone()],
            None => store.places(node.name()),
        };
        let found = match &places[..] {
            [] => Err(Absent::Layer),
            [place] => of_node(&store, place, node, parameters),
            _ => {
                let got = format!("{} layers of that name", places.len());
                problems.push(WeightProblem::Arrays {
                    name: node.name().into(),
                    expected: "one".into(),
                    got,
                });
                continue;
            }
        };
        match found {
            Ok(found) => {
                for (&(name, shape), array) in weights.iter().zip(&found) {
                    problems.extend(array.and_then(|array| wrong(node.name(), name, shape, array)));
                }
                loaded.loaded.push(node.name().into());
                arrays.push((node.name().to_string(), found));
            }
            Err(Absent::Layer) if which == Which::OfBoth => loaded.missing.push(node.name().into()),
            Err(absent) => problems.extend(missing(node.name(), &weights, &absent)),
        }
    }
    loaded.extra = store.left();
    loaded.check(which, problems)?;
    // All is read before anything is changed.
    let values: Vec<(String, Vec<Vec<f32>>)> = arrays
        .into_iter()
        .map(|(name, arrays)| Ok((name.clone(), read(model, &name, &arrays)?)))
        .collect::<Result<_, Cause>>()?;
    for (name, values) in values {
        let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        model.set_weights(&name, &values)?;
    }
    Ok(loaded)
}

/// The first nodes of all weights.
pub(crate) fn owners<'a, 'm>(model: &'a Model<'m>) -> impl Iterator<Item = &'a Node<'m>> {
    let mut seen = HashSet::new();
    model.nodes().iter().filter(move |node| {
        let first = model.parameters_of(node).first();
        first.is_some_and(|first| seen.insert(std::ptr::from_ref(first)))
    })
}

/// Where the tree has layers that say no names: their classes, with a number from the second of a class on.
fn numbered(model: &Model<'_>) -> BTreeMap<String, Place> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for node in owners(model) {
        let class = assembly::snake_case(node.layer_type().name());
        let count = counts.entry(class.clone()).or_default();
        let path = if *count == 0 { format!("layers/{class}") } else { format!("layers/{class}_{count}") };
        *count += 1;
        let part = if matches!(node.layer_type().name(), "LSTM" | "GRU") { "/cell" } else { "" };
        let place = Place { path, part, name: node.name().into(), ..Place::default() };
        places.insert(node.name().to_string(), place);
    }
    places
}

/// A node's arrays in the file, in the order of its own. None is one that Keras's layer has not.
fn of_node<'s>(
    store: &'s Store,
    place: &Place,
    node: &Node<'_>,
    own: &[Parameter<'_>],
) -> Result<Vec<Option<&'s Array>>, Absent> {
    let all: Vec<&'static str> = own.iter().map(Parameter::name).collect();
    let mut tries = vec![all.clone()];
    match node.layer_type().name() {
        "BatchNormalization" => {
            // Of a tree's three nobody knows which are there: those that learn, and else as in `keras.applications`.
            let no_beta = own.iter().any(|parameter| parameter.name() == "beta" && !parameter.is_trainable());
            let [first, second] = if no_beta { ["beta", "gamma"] } else { ["gamma", "beta"] };
            let without =
                |left_out: &[&str]| all.iter().copied().filter(|name| !left_out.contains(name)).collect();
            tries.extend([without(&[first]), without(&[second]), without(&["gamma", "beta"])]);
        }
        "Normalization" => tries.insert(0, vec!["mean", "variance", "count"]),
        _ => {}
    }
    let mut whole = None;
    for names in &tries {
        let variables: Vec<Variable> = names.iter().map(|name| variable(name)).collect();
        match store.arrays(place, &variables) {
            Ok(found) => {
                let of = |name: &&'static str| {
                    names.iter().position(|known| known == name).map(|index| found[index])
                };
                return Ok(all.iter().map(of).collect());
            }
            Err(absent) => _ = whole.get_or_insert(absent),
        }
    }
    Err(whole.unwrap_or(Absent::Layer))
}

/// What an array of the engine is called in files.
fn variable(array: &'static str) -> Variable {
    const SAME: [Variable; 13] = [
        Variable { array: "kernel", names: &["kernel", "depthwise_kernel"] },
        Variable { array: "bias", names: &["bias"] },
        Variable { array: "gamma", names: &["gamma"] },
        Variable { array: "beta", names: &["beta"] },
        Variable { array: "moving_mean", names: &["moving_mean"] },
        Variable { array: "moving_variance", names: &["moving_variance"] },
        Variable { array: "depthwise_kernel", names: &["depthwise_kernel"] },
        Variable { array: "pointwise_kernel", names: &["pointwise_kernel"] },
        Variable { array: "recurrent_kernel", names: &["recurrent_kernel"] },
        Variable { array: "alpha", names: &["alpha"] },
        Variable { array: "mean", names: &["mean"] },
        Variable { array: "variance", names: &["variance"] },
        Variable { array: "count", names: &["count"] },
    ];
    SAME.into_iter().find(|variable| variable.array == array).unwrap_or(Variable { array, names: &[] })
}

fn read(model: &Model<'_>, node: &str, arrays: &[Option<&Array>]) -> Result<Vec<Vec<f32>>, Cause> {
    let parameters = model.weights(node)?;
    let pairs = parameters.iter().zip(arrays);
    pairs
        .map(|(parameter, array)| match array {
            Some(array) => Ok(spread(&array.read()?, parameter.shape())),
            None => Ok(vec![f32::from(parameter.name() == "gamma"); parameter.shape().elements()]),
        })
        .collect()
}
